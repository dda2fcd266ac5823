// Expected decisions of a live run: the log, folded in memory with nothing lost, each batch at the frontier that it
// records. Degraded decisions are not predicted; the state contains their transactions all the same.

import { join } from 'node:path'
import { DEFAULT_RATES } from '../../services/core/currency.ts'
import { CardHistory } from '../../services/core/features/state/card-history.ts'
import { EntityPart } from '../../services/core/features/state/entity-part.ts'
import {
  entityKeyOf,
  type EntityKind,
} from '../../services/core/features/catalogue/feature-definition.ts'
import type {
  CardLookup,
  PartitionState,
  ReadablePart,
} from '../../services/core/features/engine/fold-state.ts'
import {
  PARTITION_START,
  PartitionFold,
} from '../../services/core/features/engine/partition-fold.ts'
import { LATENESS_MS } from '../../services/core/features/catalogue/time.ts'
import { partitionOf } from '../../services/core/murmur2.ts'
import type { PartitionProgress } from '../../services/core/stream/partition-progress.ts'
import type { Alignment, DecisionBatch } from '../../services/core/wire/records.ts'
import { openScoringModel } from '../../services/platform/tensorflow/scoring-model.ts'
import type { ProducedEvent } from '../../services/producer/index.ts'
import {
  foldBatch,
  type PartitionEntry,
  type PartitionLabel,
} from '../../services/scorer/batch/fold-batch.ts'
import { builtInPolicy } from '../../services/core/policy/score-ruling.ts'
import type { DecideOptions } from '../../services/scorer/decide/decide-options.ts'
import { decideBatch } from '../../services/scorer/batch/micro-batch.ts'
import type { Outputs } from './outputs.ts'
import { PARTITION_COUNT, type TestStream } from './streams.ts'

export const DEGRADED = 'degraded'

/** The two logs of one partition. */
interface PartitionLog {
  readonly entries: readonly PartitionEntry[]
  readonly labels: readonly PartitionLabel[]
}

/** State of one partition in maps; parts of other partitions as far as a frontier allows. */
export class OracleState implements PartitionState, CardLookup {
  readonly cards = new Map<string, CardHistory>()
  /** By `entityKeyOf`. */
  readonly entities = new Map<number, EntityPart>()
  entityHorizonMs = -Infinity
  #others: readonly { readonly state: OracleState; readonly frontier: PartitionProgress }[] = []

  seeOthers(
    others: readonly { readonly state: OracleState; readonly frontier: PartitionProgress }[],
  ): void {
    this.#others = others
  }

  card(card: string): CardHistory {
    const history = this.cards.get(card) ?? new CardHistory()
    this.cards.set(card, history)
    return history
  }

  peekCard(card: string): CardHistory | null {
    return this.cards.get(card) ?? null
  }

  ownEntity(kind: EntityKind, ref: number): EntityPart {
    const key = entityKeyOf(kind, ref)
    const part = this.entities.get(key) ?? new EntityPart()
    this.entities.set(key, part)
    return part
  }

  otherEntities(kind: EntityKind, ref: number): readonly ReadablePart[] {
    return this.#others.flatMap(({ state, frontier }) => {
      const part = state.entities.get(entityKeyOf(kind, ref))
      return part === undefined ? [] : [{ part, frontier }]
    })
  }
}

/** The logs of all partitions, from what was sent, in that order. */
export function logsOfSent(events: readonly ProducedEvent[]): readonly PartitionLog[] {
  const logs = Array.from({ length: PARTITION_COUNT }, () => ({
    entries: [] as PartitionLog['entries'][number][],
    labels: [] as PartitionLog['labels'][number][],
  }))
  for (const event of events) {
    for (const [partition, { entries, labels }] of logs.entries()) {
      if (event.kind === 'watermark') {
        const { timeMs, topic } = event
        if (topic === 'labels') labels.push({ kind: 'watermark', offset: labels.length, timeMs })
        else entries.push({ kind: 'watermark', offset: entries.length, timeMs })
        continue
      }
      const { card } = event.kind === 'label' ? event.label : event.transaction
      if (partitionOf(Buffer.from(card), PARTITION_COUNT) !== partition) continue
      if (event.kind === 'label') {
        labels.push({ kind: 'label', offset: labels.length, label: event.label })
      } else {
        const { transaction } = event
        const offset = entries.length
        entries.push({ kind: 'transaction', offset, timestampMs: 0, transaction })
      }
    }
  }
  return logs
}

/** The state of every partition after its whole log. */
export function foldWhole(
  logs: readonly PartitionLog[],
  alignment: Alignment = 'live',
): readonly OracleState[] {
  return logs.map(({ entries, labels }) => {
    const state = new OracleState()
    foldBatch(
      { labels, entries, labelNextOffset: Infinity },
      new PartitionFold({ rates: DEFAULT_RATES }, PARTITION_START),
      state,
      alignment,
    )
    return state
  })
}

/** How far a partition's state is at a frontier. */
function progressAt(
  log: PartitionLog,
  nextOffset: number,
  labelNextOffset: number,
): PartitionProgress {
  let newestEventMs = -1
  for (const entry of log.entries) {
    if (entry.kind !== 'transaction' || entry.offset >= nextOffset) continue
    newestEventMs = Math.max(newestEventMs, entry.transaction.eventTimeMs)
  }
  const watermarks = { watermarkMs: -1, labelWatermarkMs: -1 }
  return { generation: 1, nextOffset, labelNextOffset, newestEventMs, ...watermarks }
}

/** Places at which a decision that is not degraded is another one than it had to be, with both as text. */
export async function wrongDecisions(
  { streamId }: TestStream,
  outputs: Outputs,
  events: readonly ProducedEvent[],
): Promise<readonly string[]> {
  const logs = logsOfSent(events)
  const whole = foldWhole(logs)
  const model = await openScoringModel({
    folder: join(import.meta.dirname, '../../models/simulator'),
    backend: 'wasm',
    ratesDigest: DEFAULT_RATES.digest,
  })
  const wrong: string[] = []
  for (const [partition, log] of logs.entries()) {
    const state = new OracleState()
    const fold = new PartitionFold({ rates: DEFAULT_RATES }, PARTITION_START)
    let labelCount = 0
    for (const { block, partition: of } of outputs.blocks) {
      if (of !== partition) continue
      const labels = log.labels.slice(labelCount, block.labelNextOffset)
      const entries = log.entries.slice(block.firstOffset, block.nextOffset)
      labelCount = block.labelNextOffset
      const progress = frontierOf(block, logs)
      const newestMs = progress.map((frontier, index) =>
        frontier === null || index === partition ? -Infinity : frontier.newestEventMs,
      )
      state.entityHorizonMs = Math.max(...newestMs) - LATENESS_MS
      state.seeOthers(
        progress.flatMap((frontier, partition) => {
          const other = whole[partition]
          return frontier === null || other === undefined ? [] : [{ state: other, frontier }]
        }),
      )
      const decided = await decideBatch(
        { labels, entries, labelNextOffset: block.labelNextOffset },
        { fold, state, progress },
        0,
        optionsOf(block, model, streamId),
      )
      for (const [index, decision] of decided.decisions.entries()) {
        const found = block.decisions[index]
        if (found?.annotations.includes(DEGRADED) === true) continue
        const row = rowText(decided.features, index, block.featureCount)
        const expected = JSON.stringify([decision, row])
        const actual = JSON.stringify([found, rowText(floatsOf(block), index, block.featureCount)])
        if (expected !== actual)
          wrong.push(`${partition}/${decision.offset}: ${expected} <> ${actual}`)
      }
    }
  }
  model.close()
  return wrong
}

function frontierOf(
  block: DecisionBatch,
  logs: readonly PartitionLog[],
): readonly (PartitionProgress | null)[] {
  return logs.map((log, partition) => {
    const frontier = block.frontier.find((one) => one.partition === partition)
    return frontier === undefined
      ? null
      : progressAt(log, frontier.nextOffset, frontier.labelNextOffset)
  })
}

function optionsOf(
  block: DecisionBatch,
  model: Awaited<ReturnType<typeof openScoringModel>>,
  streamId: string,
): DecideOptions {
  const { flagThreshold, blockThreshold, baseline, version, digest } = model.info
  return {
    streamId,
    topic: 'transactions',
    partition: block.partition,
    partitionCount: 1,
    mode: block.mode,
    alignment: block.alignment,
    thresholds: { flag: flagThreshold, block: blockThreshold },
    unscoredOutcome: 'flag',
    policy: builtInPolicy({ mode: block.mode, leaseMs: 1, unscoredOutcome: 'flag' }),
    breakers: [],
    controlGroup: null,
    breakerResets: 0,
    alertsPerDayMax: null,
    modelVersion: version,
    modelDigest: digest,
    policyDigest: block.policyDigest,
    policyVersion: 0,
    baseline,
    verify: model.verifier === null ? null : { verifier: model.verifier, timeoutMs: Infinity },
    keepsSequences: false,
    score: (rows, rowCount) => model.score(rows, rowCount),
  }
}

function floatsOf({ features }: DecisionBatch): Float64Array {
  const bytes = new Uint8Array(features)
  return new Float64Array(bytes.buffer, 0, Math.floor(bytes.length / 8))
}

/** Bit for bit. */
function rowText(features: Float64Array, index: number, featureCount: number): string {
  const row = features.slice(index * featureCount, (index + 1) * featureCount)
  return Buffer.from(row.buffer).toString('base64')
}
