// Features of an entity shared by several cards, from the list of all its events. Tests only.

import type {
  EntityKind,
  FeatureDefinition,
} from '../../services/core/features/catalogue/feature-definition.ts'
import type { Label } from '../../services/core/transaction.ts'
import {
  compareEvents,
  HOUR_CARDS_MAX,
  HOUR_SINGLES_MAX,
  hourStartMs,
  isWithin,
  type Past,
} from './naive-past.ts'

type OfEntity = Extract<FeatureDefinition, { readonly entity: EntityKind }>

/** A label with its position in the log of a partition. */
export interface Word {
  readonly partition: number
  readonly offset: number
  readonly label: Label
  /** Time from which it counts: later than its own when a watermark had promised that no such label would follow. */
  readonly knownAtMs: number
}

/** Aggregates of one entity. */
export interface NaiveEntity {
  readonly events: readonly Past[]
  readonly words: readonly Word[]
}

interface Placed {
  readonly past: Past
  readonly timeMs: number
  /** Below every hash for an event of an hourly bucket. */
  readonly idHash: number
  readonly isCrowded: boolean
}

/** A value, and whether cards are estimated. */
export interface EntityValue {
  readonly value: number
  readonly isEstimate: boolean
}

/**
 * `isCoarse` moves events of hourly buckets to the start of the hour, as documented; without it all times are exact.
 */
export function entityValue(
  { aggregate, windowMs, delayMs }: OfEntity,
  timeMs: number,
  entity: NaiveEntity,
  isCoarse: boolean,
): EntityValue {
  const toMs = timeMs - delayMs
  const inside = entity.events
    .map((past) => placed(past, entity.events, isCoarse))
    .filter((each) => isWithin(each.timeMs, toMs, windowMs))
    .toSorted(compareEvents)
  const frauds = knownFrauds(entity.words, timeMs)
  const inWindow = frauds.filter((each) => isWithin(each.eventTimeMs, toMs, windowMs)).length
  const run = runOf(inside, new Set(frauds.map((each) => subjectOf(each))))
  const exact = (value: number): EntityValue => ({ value, isEstimate: false })
  switch (aggregate) {
    case 'count':
      return exact(inside.length)
    case 'frauds':
      return exact(inWindow)
    case 'fraud_share':
      return exact(inside.length === 0 ? 0 : Math.min(1, inWindow / inside.length))
    case 'distinct_cards': {
      const cards = new Set(inside.map(({ past }) => past.transaction.card)).size
      return { value: cards, isEstimate: isCoarse && hasTooManyCards(inside) }
    }
    case 'fraud_run':
      return exact(run.length)
    case 'fraud_run_age': {
      const first = run.at(-1)
      return exact(first === undefined ? NaN : (timeMs - first.timeMs) / 1_000)
    }
  }
}

/** True when the hour of an event has more events of its partition than are stored singly. */
export function isCrowded(past: Past, events: readonly Past[]): boolean {
  return events.filter((other) => sharesHour(other, past)).length > HOUR_SINGLES_MAX
}

function placed(past: Past, events: readonly Past[], isCoarse: boolean): Placed {
  if (!isCoarse || !isCrowded(past, events)) {
    // Events of an entity store 32 bits of the hash.
    return { past, timeMs: past.timeMs, idHash: past.idHash % 2 ** 32, isCrowded: false }
  }
  return { past, timeMs: hourStartMs(past.timeMs), idHash: 0, isCrowded: true }
}

function sharesHour(a: Past, b: Past): boolean {
  return a.partition === b.partition && hourStartMs(a.timeMs) === hourStartMs(b.timeMs)
}

function hasTooManyCards(inside: readonly Placed[]): boolean {
  return inside.some((each) => {
    const hour = inside.filter(({ past }) => sharesHour(past, each.past))
    return (
      each.isCrowded && new Set(hour.map(({ past }) => past.transaction.card)).size > HOUR_CARDS_MAX
    )
  })
}

/** Newest first, up to the first that is not a known fraud. Hourly buckets contain no single events. */
function runOf(inside: readonly Placed[], subjects: ReadonlySet<string>): readonly Placed[] {
  const newestFirst = inside.toReversed()
  const end = newestFirst.findIndex(
    ({ isCrowded, past }) => isCrowded || !subjects.has(`${past.transaction.id} at ${past.timeMs}`),
  )
  return end < 0 ? newestFirst : newestFirst.slice(0, end)
}

/** Latest known labels of the transactions, where the label is fraud. */
export function knownFrauds(words: readonly Word[], asOfMs: number): readonly Label[] {
  const inLog = words.toSorted((a, b) => a.offset - b.offset)
  const known = inLog
    .filter((word, index) => saysSomething(word, inLog.slice(0, index)))
    .filter((word) => word.knownAtMs <= asOfMs)
    // Stable: of two labels known at the same time the later one of the log comes last.
    .toSorted((a, b) => a.knownAtMs - b.knownAtMs)
  const last = new Map(known.map(({ label }) => [subjectOf(label), label]))
  return [...last.values()].filter(({ verdict }) => verdict === 'fraud')
}

/** The transaction of a label: a reused id is another transaction. */
function subjectOf({ transactionId, eventTimeMs }: Label): string {
  return `${transactionId} at ${eventTimeMs}`
}

/** A genuine label with no fraud label before it in the log has no effect. */
function saysSomething({ label }: Word, before: readonly Word[]): boolean {
  if (label.verdict === 'fraud') return true
  return before.some(
    ({ label: other }) => other.verdict === 'fraud' && subjectOf(other) === subjectOf(label),
  )
}
