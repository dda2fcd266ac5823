// Explains one decision. While a replay reads the log, it collects everything that the decision's transaction could
// see. For every feature it reports the recorded value, the recomputed one, and the transactions that it counted.

import assert from 'node:assert/strict'
import type { RateTable } from '../../rates/rate-table.ts'
import { hashOf } from '../../id-hash.ts'
import type { Label, Transaction } from '../../transaction.ts'
import type { DecisionRecord } from '../../wire/records.ts'
import { cardEventOf } from '../state/card-event.ts'
import {
  contributorsOf,
  type Contributors,
  type KnownEvent,
  type KnownLabel,
  type Visible,
} from './contributors.ts'
import { ENTITY_RETAIN_MS } from '../state/entity-part.ts'
import {
  ENTITY_KINDS,
  type EntityKind,
  type FeatureDefinition,
} from '../catalogue/feature-definition.ts'
import { FEATURES } from '../catalogue/feature-list.ts'
import { FEATURE_STATES, type FeatureState } from '../engine/feature-states.ts'
import { entityRefsOf } from './replay-parts.ts'
import type { RecordedBatch, ReplayEntry, ReplayLabel } from './replay-records.ts'
import type { ReplayedRow } from './replay-rows.ts'
import { PickedSample } from './replay-sample.ts'
import { reasonOf, VERDICT, type NotCompared } from './row-comparison.ts'
import { bucketStartMs, LATENESS_MS, REACH_MS } from '../catalogue/time.ts'

/** Most transactions and labels held for one explanation; beyond that the lists are incomplete, which is reported. */
export const EXPLAINED_MAX = 200_000

/** The decision to explain, with its transaction. */
export interface ExplainedDecision {
  readonly partition: number
  readonly decision: DecisionRecord
  readonly transaction: Transaction
}

export interface ExplainedFeature {
  readonly definition: FeatureDefinition
  readonly recorded: number
  readonly state: FeatureState
  /** NaN when the log alone gives no value. */
  readonly recomputed: number
  /** Null when recorded and recomputed were compared; else the reason. */
  readonly notCompared: NotCompared | null
  readonly differs: boolean
  readonly contributors: Contributors
}

interface Placed<Value> {
  readonly partition: number
  readonly offset: number
  readonly value: Value
}

interface GatheredLabel {
  readonly label: Label
  /** Newest watermark of the partition's labels before it. */
  readonly watermarkMs: number
}

interface Found {
  readonly block: RecordedBatch
  readonly recorded: Float64Array
  readonly recordedStates: Uint8Array
  readonly values: Float64Array
  readonly verdicts: Uint8Array
}

export class Explanation {
  readonly sample: PickedSample
  readonly #of: ExplainedDecision
  readonly #rates: RateTable
  readonly #refs: Readonly<Record<EntityKind, number>>
  readonly #entries: Placed<Transaction>[] = []
  readonly #labels: Placed<GatheredLabel>[] = []
  readonly #labelWatermarks = new Map<number, number>()
  /** Transactions that do not count, and those that count for their card only. */
  readonly #excluded = new Set<string>()
  readonly #cardOnly = new Set<string>()
  #found: Found | null = null
  #isComplete = true

  constructor(of: ExplainedDecision, rates: RateTable) {
    this.#of = of
    this.#rates = rates
    this.#refs = entityRefsOf(of.transaction)
    this.sample = new PickedSample(of.transaction.card, this.#refs)
  }

  /** True once the decision has been recomputed. */
  get isDone(): boolean {
    return this.#found !== null
  }

  /** False when there were more transactions than may be held. */
  get isComplete(): boolean {
    return this.#isComplete
  }

  takeEntries(partition: number, entries: readonly ReplayEntry[]): void {
    for (const entry of entries) {
      if (entry.kind !== 'transaction' || !this.#concerns(entry.transaction)) continue
      if (!this.#hasRoom(this.#entries)) continue
      this.#entries.push({ partition, offset: entry.offset, value: entry.transaction })
    }
  }

  takeLabels(partition: number, labels: readonly ReplayLabel[]): void {
    for (const entry of labels) {
      const watermarkMs = this.#labelWatermarks.get(partition) ?? -Infinity
      if (entry.kind === 'watermark') {
        this.#labelWatermarks.set(partition, Math.max(watermarkMs, entry.timeMs))
      }
      if (entry.kind !== 'label' || !this.#concernsLabel(entry.label)) continue
      if (!this.#hasRoom(this.#labels)) continue
      const { offset, label } = entry
      this.#labels.push({ partition, offset, value: { label, watermarkMs } })
    }
  }

  takeBatches(partition: number, blocks: readonly RecordedBatch[]): void {
    for (const { decisions } of blocks) {
      for (const { offset, revision, annotations, duplicateOfOffset } of decisions) {
        if (revision > 0) continue
        const place = `${partition}/${offset}`
        if (duplicateOfOffset !== null || annotations.includes('behind_reach'))
          this.#excluded.add(place)
        else if (annotations.includes('after_watermark')) this.#cardOnly.add(place)
      }
    }
  }

  replayed({ block, recorded, values, verdicts }: ReplayedRow): void {
    const { partition, decision } = this.#of
    const { offset, revision } = recorded.decision
    if (block.partition !== partition) return
    if (offset !== decision.offset || revision !== decision.revision) return
    this.#found = {
      block,
      recorded: recorded.values,
      recordedStates: recorded.states,
      values: Float64Array.from(values),
      verdicts: Uint8Array.from(verdicts),
    }
  }

  /** Every feature in the order of the list; null before the decision has been recomputed. */
  features(): readonly ExplainedFeature[] | null {
    const found = this.#found
    if (found === null) return null
    const visible = this.#visible(found.block)
    return FEATURES.map((definition, index) => {
      const verdict = found.verdicts[index]
      const recorded = found.recorded[index]
      const state = FEATURE_STATES[found.recordedStates[index] as number]
      const recomputed = found.values[index]
      assert(verdict !== undefined && recorded !== undefined, 'The block has every feature.')
      assert(state !== undefined && recomputed !== undefined, 'The fold computed every feature.')
      const notCompared = reasonOf(verdict)
      return {
        definition,
        recorded,
        state,
        recomputed,
        notCompared,
        differs: verdict === VERDICT.differs,
        contributors: contributorsOf(definition, visible),
      }
    })
  }

  #concerns(transaction: Transaction): boolean {
    const { card, eventTimeMs } = this.#of.transaction
    if (!isInReach(transaction.eventTimeMs, eventTimeMs)) return false
    if (transaction.card === card) return true
    const refs = entityRefsOf(transaction)
    return ENTITY_KINDS.some((kind) => this.sample.hasEntity(kind, refs[kind]))
  }

  #concernsLabel(label: Label): boolean {
    // A label also applies to a later transaction with the same id, so it is kept for twice the reach.
    const { eventTimeMs } = this.#of.transaction
    if (label.eventTimeMs > eventTimeMs) return false
    if (label.eventTimeMs < eventTimeMs - 2 * (REACH_MS + LATENESS_MS)) return false
    return ENTITY_KINDS.some((kind) => this.sample.hasEntity(kind, refOfLabel(label, kind)))
  }

  #hasRoom(list: readonly unknown[]): boolean {
    if (list.length < EXPLAINED_MAX) return true
    this.#isComplete = false
    return false
  }

  #visible(block: RecordedBatch): Visible {
    const { partition, decision, transaction } = this.#of
    // A revision sees its card up to the cause, and entities as the cause sees them.
    const cause = decision.causeOffset
    const current = this.#knownOf({ partition, offset: decision.offset, value: transaction })
    const isEarlier = ({ event }: KnownEvent): boolean =>
      event.timeMs < current.event.timeMs ||
      (event.timeMs === current.event.timeMs && event.idHash < current.event.idHash)
    const card = this.#entries
      .filter((entry) => entry.partition === partition && entry.value.card === transaction.card)
      .filter(({ offset }) => (cause === null ? offset < decision.offset : offset <= cause))
      .filter(({ offset }) => offset !== decision.offset)
      .filter((entry) => !this.#excluded.has(placeOf(entry)))
      .map((entry) => this.#knownOf(entry))
      .filter(isEarlier)
    const endOf = (of: number): number =>
      of === partition
        ? (cause ?? decision.offset)
        : (block.frontier.find((each) => each.partition === of)?.nextOffset ?? 0)
    const shared = this.#entries
      .filter((entry) => entry.offset < endOf(entry.partition))
      .filter((entry) => !this.#excluded.has(placeOf(entry)))
      .filter((entry) => !this.#cardOnly.has(placeOf(entry)))
    const labels = this.#visibleLabels(block)
    return {
      current,
      card: inOrder(card),
      entities: this.#byKind((kind) => {
        const ref = this.#refs[kind]
        const own = shared.filter(({ value }) => ref !== 0 && entityRefsOf(value)[kind] === ref)
        // Events of an entity are distinguished by 32 bits of the id.
        return inOrder(
          own.map((entry) => this.#knownOf(entry)),
          2 ** 32,
        )
      }),
      labels: this.#byKind((kind) => {
        const ref = this.#refs[kind]
        const own = shared.filter(({ value }) => ref !== 0 && entityRefsOf(value)[kind] === ref)
        return labels
          .filter((label) => this.sample.hasEntity(kind, refOfLabel(label.label, kind)))
          .filter((label) => label.label.eventTimeMs >= horizonMs(own, label.partition))
          .map(({ label, knownAtMs }) => knownLabelOf(label, knownAtMs))
      }),
    }
  }

  #visibleLabels({
    partition: own,
    labelNextOffset,
    frontier,
    alignment,
  }: RecordedBatch): readonly {
    readonly partition: number
    readonly label: Label
    readonly knownAtMs: number
  }[] {
    const endOf = (partition: number): number =>
      partition === own
        ? labelNextOffset
        : (frontier.find((each) => each.partition === partition)?.labelNextOffset ?? 0)
    return this.#labels
      .filter(({ partition, offset }) => offset < endOf(partition))
      .toSorted((a, b) => a.partition - b.partition || a.offset - b.offset)
      .map(({ partition, value: { label, watermarkMs } }) => ({
        partition,
        label,
        knownAtMs:
          alignment === 'aligned' ? Math.max(label.knownAtMs, watermarkMs + 1) : label.knownAtMs,
      }))
  }

  #knownOf({ partition, offset, value }: Placed<Transaction>): KnownEvent {
    const event = cardEventOf(value, offset, this.#rates)
    return { event, transactionId: value.id, partition }
  }

  #byKind<Value>(make: (kind: EntityKind) => Value): Record<EntityKind, Value> {
    return {
      terminal: make('terminal'),
      merchant: make('merchant'),
      device: make('device'),
      network: make('network'),
    }
  }
}

/** Oldest time that a partition's aggregates of an entity cover, counted back from its newest event. */
function horizonMs(events: readonly Placed<Transaction>[], partition: number): number {
  let newestMs = -Infinity
  for (const each of events) {
    if (each.partition === partition) newestMs = Math.max(newestMs, each.value.eventTimeMs)
  }
  return bucketStartMs(newestMs) - ENTITY_RETAIN_MS
}

function isInReach(timeMs: number, ofMs: number): boolean {
  return timeMs <= ofMs && timeMs >= ofMs - REACH_MS - LATENESS_MS
}

function placeOf({ partition, offset }: Placed<unknown>): string {
  return `${partition}/${offset}`
}

/** By time, then by as many bits of the id as distinguish events. */
function inOrder(events: readonly KnownEvent[], ids = 2 ** 48): readonly KnownEvent[] {
  return events.toSorted(
    (a, b) => a.event.timeMs - b.event.timeMs || (a.event.idHash % ids) - (b.event.idHash % ids),
  )
}

function refOfLabel(label: Label, kind: EntityKind): number {
  const name = kind === 'network' ? label.ipNetwork : label[kind]
  return name === null ? 0 : hashOf(name)
}

function knownLabelOf(label: Label, knownAtMs: number): KnownLabel {
  const { transactionId, eventTimeMs, verdict } = label
  return {
    transactionId,
    idHash: hashOf(transactionId),
    timeMs: eventTimeMs,
    knownAtMs,
    isFraud: verdict === 'fraud',
  }
}
