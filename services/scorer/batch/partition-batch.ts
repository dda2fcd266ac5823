// One micro-batch of a partition, from the queue to the commit: read the state, decide, then write the state and
// publish at the same time.

import type { Clock } from '../../core/clock.ts'
import type { PartitionFold } from '../../core/features/engine/partition-fold.ts'
import type { PartitionProgress } from '../../core/stream/partition-progress.ts'
import type { LogWriter } from '../../platform/kafka/log-client.ts'
import type { ScorerTelemetry } from '../../platform/metrics/scorer-telemetry.ts'
import type { BatchSpan } from '../../platform/tracing/open-tracing.ts'
import { encodeOutput, type OutputOptions } from '../publish/batch-output.ts'
import { reportOf } from './batch-report.ts'
import { frontierTakenAfter } from './split-batch.ts'
import type { DecidedOutcome } from '../recovery/decided-outcomes.ts'
import type { PartitionBlocks } from '../publish/partition-blocks.ts'
import type { Taken } from '../intake/record-queue.ts'
import type { PartitionState } from '../recovery/partition-state.ts'
import { decideBatch, type DecidedBatch } from './micro-batch.ts'

export interface BatchDeps {
  readonly clock: Clock
  readonly telemetry: Pick<
    ScorerTelemetry,
    'batchFrontier' | 'batchDecided' | 'blocksCommitted' | 'policyFailed'
  >
  /** The model and options for the batch that begins. */
  readonly takeOutput: () => HeldOutput
}

/** Everything that decides one batch; fixed from its beginning to its end. */
export interface HeldOutput {
  readonly options: OutputOptions
  /** Called once the batch is committed. Never waits. */
  readonly committed: (decided: DecidedBatch) => void
  /** Must be called once, at the end of the batch, however it ends. */
  readonly release: () => void
}

/** The state of a partition from which a batch continues. */
export interface BatchPlace {
  readonly writer: LogWriter
  readonly state: PartitionState
  readonly fold: PartitionFold
  /** Hash of the previous decision batch, base64. */
  readonly chainHash: string
  readonly blocks: PartitionBlocks
  readonly decodeMs: number
  /** Called with the progress that was read, before anything is decided from it. */
  readonly onRead: (progress: readonly (PartitionProgress | null)[]) => void
}

export interface Processed {
  /** Hash of the committed decision batch, base64. */
  readonly chainHash: string
  /** Number of entries decided. These are the first ones of the batch, nearly always all. */
  readonly entryCount: number
  readonly nextOffset: number
}

/** Decides and publishes as many entries as the state can be read for at once. Resolves when they are committed. */
export async function processBatch(
  deps: BatchDeps,
  place: BatchPlace,
  taken: Taken,
  span: BatchSpan | null,
): Promise<Processed> {
  const held = deps.takeOutput()
  try {
    return await processWith(held, deps, place, taken, span)
  } finally {
    held.release()
  }
}

async function processWith(
  { options: output, committed }: HeldOutput,
  { clock, telemetry }: BatchDeps,
  { writer, state, fold, chainHash, blocks, decodeMs, onRead }: BatchPlace,
  all: Taken,
  span: BatchSpan | null,
): Promise<Processed> {
  const startMs = clock.monotonicMs()
  const { snapshot, entryCount } = await state.read(all)
  const [taken, left] = frontierTakenAfter(all, entryCount)
  const readEndMs = clock.monotonicMs()
  const nowMs = clock.nowMs()
  const progress = state.beginFold(snapshot)
  if (snapshot !== null) onRead(progress)
  const onFolded = (): void => {
    state.endFold(snapshot, taken, fold)
  }
  const place = { fold, state: snapshot, progress, blocks, onFolded }
  fold.useRates(output.rates)
  const decided = await decideBatch(taken, place, nowMs, output.decide)
  const scoredAtMs = clock.nowMs()
  const decidedMs = clock.monotonicMs()
  const sinceDecidedMs = (): number => clock.monotonicMs() - decidedMs
  const encoded = encodeOutput(
    {
      taken,
      decided,
      progress,
      position: fold.position,
      previousHash: chainHash,
      decidedAtMs: nowMs,
    },
    output,
    span,
  )
  // Alerts, revisions and releases are sent at once; decisions alone may linger.
  const isUrgent = encoded.messages.length > 1
  const [writeMs, commitMs] = await bothEnded(
    (snapshot === null ? Promise.resolve() : state.write(snapshot, taken, fold)).then(
      sinceDecidedMs,
    ),
    writer.commit(encoded.messages, encoded.offsets, isUrgent).then(sinceDecidedMs),
  )
  state.committed(taken, fold.position, () => outcomesOf(decided))
  const endMs = clock.monotonicMs()
  const report = reportOf(
    taken,
    decided,
    {
      decode: decodeMs,
      read: readEndMs - startMs,
      features: decided.featuresMs,
      score: decided.scoreMs,
      write: writeMs,
      commit: commitMs,
      total: decodeMs + endMs - startMs,
    },
    scoredAtMs,
    clock.nowMs(),
  )
  telemetry.batchDecided(report)
  if (left !== null) telemetry.batchFrontier()
  telemetry.blocksCommitted(output.decide.partition, decided.blocks.counts)
  telemetry.policyFailed(decided.policyFailures)
  span?.end(report)
  committed(decided)
  return { chainHash: encoded.chainHash, entryCount, nextOffset: taken.nextOffset }
}

/** Waits for both even when one fails: no commit may be under way when the partition starts over. */
async function bothEnded<A, B>(a: Promise<A>, b: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([a, b])
  return Promise.all([a, b])
}

function outcomesOf({ decisions }: DecidedBatch): readonly DecidedOutcome[] {
  return decisions.filter(
    ({ duplicateOfOffset, revision }) => duplicateOfOffset === null && revision === 0,
  )
}
