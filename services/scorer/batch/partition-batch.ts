// One micro-batch of a partition from what was taken to the commit: read the state, decide, and then write the state and publish at
// the same time.

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
  /** The model of the batch that begins, and all that goes with it. */
  readonly takeOutput: () => HeldOutput
}

/** What decides one batch, from its beginning to its end. */
export interface HeldOutput {
  readonly options: OutputOptions
  /** Told once the batch is committed; never waits. */
  readonly committed: (decided: DecidedBatch) => void
  /** To be called once, at the end of the batch, however it ends. */
  readonly release: () => void
}

/** What a batch goes on from. */
export interface BatchPlace {
  readonly writer: LogWriter
  readonly state: PartitionState
  readonly fold: PartitionFold
  /** Of the block before, base64. */
  readonly chainHash: string
  readonly blocks: PartitionBlocks
  readonly decodeMs: number
  /** Called with what was read, before anything is decided from it. */
  readonly onRead: (progress: readonly (PartitionProgress | null)[]) => void
}

export interface Processed {
  /** Of the block that is committed. */
  readonly chainHash: string
  /** How many entries it decides, the first ones, nearly always all; and where it ends. */
  readonly entryCount: number
  readonly nextOffset: number
}

/** Decides and publishes, as far as the state can be read at once; resolves once that is committed. */
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
  const progress = snapshot?.progress ?? []
  if (snapshot !== null) onRead(progress)
  const readEndMs = clock.monotonicMs()
  const nowMs = clock.nowMs()
  const decided = await decideBatch(
    taken,
    { fold, state: snapshot, progress, blocks },
    nowMs,
    output.decide,
  )
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
  // An alert, a revision or a release never waits for others; decisions alone may.
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

/** Waits for both also when one fails: a commit must not be under way when the partition starts over. */
async function bothEnded<A, B>(a: Promise<A>, b: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([a, b])
  return Promise.all([a, b])
}

function outcomesOf({ decisions }: DecidedBatch): readonly DecidedOutcome[] {
  return decisions.filter(
    ({ duplicateOfOffset, revision }) => duplicateOfOffset === null && revision === 0,
  )
}
