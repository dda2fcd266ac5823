// Partial aggregates of entities in one partition, built from its own log alone, in offset order, as far as any
// frontier needs. Rows are recomputed elsewhere, and read these aggregates through frontiers.
//
// The card's own history decides which transactions count. For a card outside the sample there is none, so the recorded
// decision is used instead (duplicate, behind_reach, after_watermark).

import { createRateTable, type RateTable } from '../../rates/rate-table.ts'
import { lowBitsOf, hashOf } from '../../id-hash.ts'
import type { Transaction } from '../../transaction.ts'
import { cardEventOf } from '../state/card-event.ts'
import { CardHistory } from '../state/card-history.ts'
import { ENTITY_COLUMN } from '../state/entity-event.ts'
import { EntityPart, type Frontier } from '../state/entity-part.ts'
import { ENTITY_KINDS, entityKeyOf, type EntityKind } from '../catalogue/feature-definition.ts'
import { FEATURES } from '../catalogue/feature-list.ts'
import { entityRefOf } from '../state/card-event.ts'
import { compileFeaturePlan } from '../engine/feature-plan.ts'
import type { PartitionState } from '../engine/fold-state.ts'
import { PARTITION_START, PartitionFold } from '../engine/partition-fold.ts'
import type { ReplayEntry, ReplayLabel } from './replay-records.ts'
import type { ReplaySample } from './replay-sample.ts'
import { ReplayValues } from './replay-values.ts'
import { CARD_REACH_MS, DAY_MS, LATENESS_MS, REACH_MS } from '../catalogue/time.ts'

/** The smallest plan with which the fold keeps every kind of entity; its rows are discarded. */
const PARTS_PLAN = compileFeaturePlan(
  ENTITY_KINDS.flatMap((kind) => FEATURES.filter(({ entity }) => entity === kind).slice(0, 1)),
)

/** A late transaction of a card may be as old as the reach, and read as far back again. */
export const FORGET_CARDS_MS = REACH_MS + CARD_REACH_MS + DAY_MS
export const FORGET_PARTS_MS = REACH_MS + LATENESS_MS + DAY_MS

/**
 * Verdict of the decision batch on a transaction, where it is known. `refused`: it became a dead letter.
 * `no_rate`: it was decided without its amount, and not remembered. The others are used only for cards outside the sample.
 */
export type Verdict = 'counted' | 'refused' | 'left_out' | 'no_rate' | 'undecided'

/** References of the entities that a transaction names, 0 for none. */
export function entityRefsOf(transaction: Transaction): Readonly<Record<EntityKind, number>> {
  const { terminal, merchant, device, ipNetwork } = transaction
  const refOf = (name: string | null): number => (name === null ? 0 : hashOf(name))
  return {
    terminal: refOf(terminal),
    merchant: refOf(merchant),
    device: refOf(device),
    network: refOf(ipNetwork),
  }
}

/** True when any of these entities is in the sample. */
export function hasAnyEntity(
  sample: ReplaySample,
  refs: Readonly<Record<EntityKind, number>>,
): boolean {
  if (sample.isAll) return true
  return ENTITY_KINDS.some((kind) => refs[kind] !== 0 && sample.hasEntity(kind, refs[kind]))
}

/** Partial aggregates of entities hold no amounts. */
const NO_AMOUNTS: RateTable = { ...createRateTable('EUR', []), toReferenceMinor: () => 0 }

export class PartitionParts implements PartitionState {
  readonly entityHorizonMs = -Infinity
  readonly #sample: ReplaySample
  readonly #fold: PartitionFold
  readonly #cards = new ReplayValues<string, CardHistory>(() => new CardHistory())
  readonly #parts = new ReplayValues<number, EntityPart>(() => new EntityPart())
  readonly #changed: number[] = []
  readonly #out = {
    row: new Float64Array(PARTS_PLAN.definitions.length),
    states: new Uint8Array(PARTS_PLAN.definitions.length),
    position: 0,
  }
  /** Partial aggregates may have been merged up to here: no frontier below it can be read any more. */
  #compactedTo: Frontier = { nextOffset: 0, labelNextOffset: 0 }

  constructor(sample: ReplaySample) {
    this.#sample = sample
    this.#fold = new PartitionFold({ rates: NO_AMOUNTS, plan: PARTS_PLAN }, PARTITION_START)
  }

  get size(): number {
    return this.#cards.size + this.#parts.size
  }

  get newestEventMs(): number {
    return this.#fold.position.newestEventMs
  }

  /** The partial aggregate as far as it is built; null when the partition has none for the entity. */
  peek(kind: EntityKind, ref: number): EntityPart | null {
    return this.#parts.peek(entityKeyOf(kind, ref))
  }

  /** False when aggregates were merged beyond this frontier. */
  canRead(frontier: Frontier): boolean {
    const { nextOffset, labelNextOffset } = this.#compactedTo
    return frontier.nextOffset >= nextOffset && frontier.labelNextOffset >= labelNextOffset
  }

  /** Applies a message; every later frontier includes `floor`. */
  take(entry: ReplayEntry, verdict: Verdict, isAligned: boolean, floor: Frontier): void {
    if (!isAligned) this.#fold.forgetWatermarks()
    else if (entry.kind === 'watermark') this.#fold.applyWatermark(entry.timeMs)
    if (entry.kind !== 'transaction' || verdict === 'refused') return
    if (verdict === 'no_rate') {
      this.#fold.passOver(entry.transaction.eventTimeMs)
      return
    }
    const { transaction, offset } = entry
    const { card } = transaction
    if (this.#sample.hasCard(card)) {
      // A repeat of a transaction that was forgotten here, but not by the scorer's longer-lived state.
      if (verdict === 'left_out' && (this.#cards.peek(card)?.count ?? 0) === 0) {
        this.#fold.passOver(transaction.eventTimeMs)
        return
      }
      this.#fold.applyTransaction({ transaction, offset }, 0, this, this.#out)
      this.#cards.touch(card, transaction.eventTimeMs, sizeOfCard, (history) => {
        history.compact(offset + 1)
      })
    } else this.#takeUnsampled(transaction, offset, verdict)
    this.#compactChanged(transaction.eventTimeMs, floor)
  }

  takeLabel(entry: ReplayLabel, isAligned: boolean, floor: Frontier): void {
    if (!isAligned) this.#fold.forgetWatermarks()
    else if (entry.kind === 'watermark') this.#fold.applyLabelWatermark(entry.timeMs)
    if (entry.kind !== 'label') return
    this.#fold.applyLabel(entry.label, entry.offset, this)
    this.#compactChanged(entry.label.eventTimeMs, floor)
  }

  card(card: string): CardHistory {
    return this.#cards.get(card)
  }

  ownEntity(kind: EntityKind, ref: number): EntityPart {
    // Outside the sample nothing is kept: the update goes to an object that nobody reads.
    if (!this.#sample.hasEntity(kind, ref)) return new EntityPart()
    const key = entityKeyOf(kind, ref)
    this.#changed.push(key)
    return this.#parts.get(key)
  }

  /** Null: rows are not computed here, so nothing is read. */
  otherEntities(): null {
    return null
  }

  /** `slowestMs` is the newest event time of the slowest partition. */
  forget(slowestMs: number): void {
    this.#cards.forgetBefore(this.newestEventMs - FORGET_CARDS_MS)
    this.#parts.forgetBefore(slowestMs - FORGET_PARTS_MS)
  }

  /** Drops everything outside the sample. */
  shrink(): void {
    this.#cards.keepOnly((card) => this.#sample.hasCard(card))
    this.#parts.keepOnly((key) => {
      const kind = ENTITY_KINDS[key % ENTITY_KINDS.length]
      const ref = Math.floor(key / ENTITY_KINDS.length)
      return kind !== undefined && this.#sample.hasEntity(kind, ref)
    })
  }

  #takeUnsampled(transaction: Transaction, offset: number, verdict: Verdict): void {
    const { eventTimeMs } = transaction
    const { newestEventMs, watermarkMs } = this.#fold.position
    this.#fold.passOver(eventTimeMs)
    if (verdict === 'left_out') return
    if (newestEventMs - eventTimeMs > REACH_MS || eventTimeMs <= watermarkMs) return
    if (!hasAnyEntity(this.#sample, entityRefsOf(transaction))) return
    const event = cardEventOf(transaction, offset, NO_AMOUNTS)
    for (const kind of ENTITY_KINDS) {
      const ref = entityRefOf(event, kind)
      if (ref === 0 || !this.#sample.hasEntity(kind, ref)) continue
      const part = this.ownEntity(kind, ref)
      if (verdict === 'undecided' && holdsSame(part, eventTimeMs, event.idHash, event.cardHash)) {
        continue
      }
      part.insert(eventTimeMs, offset, event.idHash, event.cardHash)
    }
  }

  #compactChanged(timeMs: number, floor: Frontier): void {
    for (const key of this.#changed) {
      this.#parts.touch(key, timeMs, sizeOfPart, (part) => {
        part.compact(floor)
        this.#compactedTo = floor
      })
    }
    this.#changed.length = 0
  }
}

function sizeOfCard({ count }: CardHistory): number {
  return count
}

function sizeOfPart({ count, labels }: EntityPart): number {
  return count + labels.length
}

/** A decision without state does not flag duplicates, so they are found here by their entity. */
function holdsSame(part: EntityPart, timeMs: number, idHash: number, cardHash: number): boolean {
  for (let index = part.count - 1; index >= 0; index -= 1) {
    if (part.at(index, ENTITY_COLUMN.time) < timeMs - LATENESS_MS) return false
    if (part.at(index, ENTITY_COLUMN.id) !== lowBitsOf(idHash)) continue
    if (part.at(index, ENTITY_COLUMN.card) === cardHash) return true
  }
  return false
}
