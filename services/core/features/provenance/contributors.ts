// Finds the transactions that a feature counted, in the slow obvious way: one filter per aggregate over plain lists,
// written from docs/feature-contract.md and not from the aggregates. For explanations; never on the hot path. The
// hourly buckets that the aggregates use for old events are not reproduced here: such decisions are annotated
// windows_approximate.

import type { CardEvent } from '../state/card-event.ts'
import type { EntityKind, FeatureDefinition, Reference } from '../catalogue/feature-definition.ts'
import { CARD_REACH_MS, DAY_MS, MINUTE_MS, RETRY_MS } from '../catalogue/time.ts'

const RETRY_AFTER_DECLINE_MS = 10 * MINUTE_MS

/** A transaction as shown to people: its event, and its identifiers. */
export interface KnownEvent {
  readonly event: CardEvent
  readonly transactionId: string
  readonly partition: number
}

/** A label of a transaction. */
export interface KnownLabel {
  readonly transactionId: string
  readonly idHash: number
  readonly timeMs: number
  readonly knownAtMs: number
  readonly isFraud: boolean
}

/** Everything that the transaction could see. */
export interface Visible {
  readonly current: KnownEvent
  /** Earlier attempts of its card, in order, without duplicates and late ones beyond the reach. */
  readonly card: readonly KnownEvent[]
  /** Attempts at each of its entities, in order. */
  readonly entities: Readonly<Record<EntityKind, readonly KnownEvent[]>>
  /** Labels of each of its entities, as in the log. */
  readonly labels: Readonly<Record<EntityKind, readonly KnownLabel[]>>
}

export interface Contributors {
  readonly events: readonly KnownEvent[]
  readonly labels: readonly KnownLabel[]
  /** True when the transaction itself counts too. */
  readonly includesCurrent: boolean
}

const NONE: Contributors = { events: [], labels: [], includesCurrent: false }

/** The events that contribute to the value of this feature. */
export function contributorsOf(definition: FeatureDefinition, visible: Visible): Contributors {
  switch (definition.entity) {
    case 'transaction':
      return { ...NONE, includesCurrent: true }
    case 'card':
      return ofCard(definition, visible)
    case 'terminal':
    case 'merchant':
    case 'device':
    case 'network':
      return ofEntity(definition, definition.entity, visible)
  }
}

type Of<Entity> = Extract<FeatureDefinition, { readonly entity: Entity }>

function ofCard(definition: Of<'card'>, { current, card }: Visible): Contributors {
  const { aggregate, windowMs, longWindowMs = windowMs, of } = definition
  const { event } = current
  const within = (spanMs: number): readonly KnownEvent[] =>
    card.filter((each) => each.event.timeMs > event.timeMs - spanMs)
  const attempts = within(windowMs)
  const payments = (among: readonly KnownEvent[]): readonly KnownEvent[] =>
    among.filter((each) => !isRetry(each, card))
  const isPayment = !isRetry(current, card)
  const earlier = (events: readonly KnownEvent[]): Contributors => ({ ...NONE, events })
  const own = (events: readonly KnownEvent[], counts = isPayment): Contributors => ({
    ...NONE,
    events,
    includesCurrent: counts,
  })
  const last = (among: readonly KnownEvent[]): Contributors => earlier(among.slice(-1))
  const same = attempts.filter((each) => isSame(each.event, event, of))
  switch (aggregate) {
    case 'count':
    case 'sum':
    case 'mean':
      return own(payments(attempts))
    case 'count_ratio':
    case 'sum_ratio':
      return own(payments(within(Math.max(windowMs, longWindowMs))))
    case 'attempts':
      return own(attempts, true)
    case 'deviation':
    case 'ratio_to_mean':
    case 'z_score':
      return earlier(payments(attempts))
    case 'minimum':
      return earlier(extreme(payments(attempts), (a, b) => a < b))
    case 'maximum':
      return earlier(extreme(payments(attempts), (a, b) => a > b))
    case 'quantile':
      return earlier(
        payments(attempts).filter((each) => each.event.amountMinor <= event.amountMinor),
      )
    case 'seconds_since_last':
      return last(attempts)
    case 'distinct':
      return own(
        attempts.filter((each) => hashOf(each.event, of) !== 0),
        hashOf(event, of) !== 0,
      )
    case 'is_new':
      return own(same, hashOf(event, of) !== 0)
    case 'pair_count':
      return own(payments(attempts).filter((each) => isSame(each.event, event, of)))
    case 'pair_seconds_since_last':
      return last(same)
    case 'hour_share':
      return earlier(payments(attempts).filter((each) => isSameHour(each.event, event)))
    case 'weekday_share':
      return earlier(
        payments(attempts).filter((each) => weekdayOf(each.event) === weekdayOf(event)),
      )
    case 'speed':
    case 'distance':
      return event.hasPlace ? last(attempts.filter((each) => each.event.hasPlace)) : NONE
    case 'declines':
      return earlier(attempts.filter((each) => each.event.isDeclined))
    case 'declined_then_retried':
      return earlier(attempts.filter((each) => wasRetriedAfterDecline(each, card, event)))
    case 'just_under_limit':
      return underLimit(payments(attempts), within(CARD_REACH_MS), current, isPayment)
  }
}

function ofEntity(
  { aggregate, windowMs, delayMs }: Of<EntityKind>,
  kind: EntityKind,
  { current, entities, labels }: Visible,
): Contributors {
  const endMs = current.event.timeMs - delayMs
  const isInside = (timeMs: number): boolean => timeMs > endMs - windowMs && timeMs <= endMs
  const events = entities[kind].filter((each) => isInside(each.event.timeMs))
  const known = lastLabels(labels[kind], current.event.timeMs).filter(({ isFraud }) => isFraud)
  const frauds = known.filter(({ timeMs }) => isInside(timeMs))
  switch (aggregate) {
    case 'count':
    case 'distinct_cards':
      return { ...NONE, events }
    case 'frauds':
      return { ...NONE, labels: frauds }
    case 'fraud_share':
      return { ...NONE, events, labels: frauds }
    case 'fraud_run':
    case 'fraud_run_age': {
      const fraudKeys = new Set(known.map(keyOf))
      const end = events.findLastIndex(({ event }) => !fraudKeys.has(keyOf(event)))
      const run = events.slice(end + 1)
      const counted = new Set(run.map(({ event }) => keyOf(event)))
      return { ...NONE, events: run, labels: known.filter((each) => counted.has(keyOf(each))) }
    }
  }
}

/**
 * The last label of each transaction among those known by then. Of two known at the same time, the later one of the log
 * counts.
 */
function lastLabels(labels: readonly KnownLabel[], nowMs: number): readonly KnownLabel[] {
  const last = new Map<string, KnownLabel>()
  for (const label of labels) {
    if (label.knownAtMs > nowMs) continue
    const before = last.get(keyOf(label))
    if (before === undefined || label.knownAtMs >= before.knownAtMs) last.set(keyOf(label), label)
  }
  return [...last.values()]
}

/** Key of a transaction for its labels: an id may be used again later. */
function keyOf({ timeMs, idHash }: Pick<KnownLabel, 'timeMs' | 'idHash'>): string {
  return `${timeMs}/${idHash}`
}

function isBefore(a: CardEvent, b: CardEvent): boolean {
  return a.timeMs < b.timeMs || (a.timeMs === b.timeMs && a.idHash < b.idHash)
}

function isRetry({ event }: KnownEvent, card: readonly KnownEvent[]): boolean {
  if (event.intentHash === 0) return false
  return card.some(
    (each) =>
      each.event.intentHash === event.intentHash &&
      isBefore(each.event, event) &&
      each.event.timeMs >= event.timeMs - RETRY_MS,
  )
}

function wasRetriedAfterDecline(
  { event }: KnownEvent,
  card: readonly KnownEvent[],
  current: CardEvent,
): boolean {
  if (!event.isDeclined) return false
  const next = card.find((each) => isBefore(event, each.event))?.event ?? current
  return next.timeMs - event.timeMs <= RETRY_AFTER_DECLINE_MS
}

/** Payments just below the limit, and the attempts that determine it. */
function underLimit(
  payments: readonly KnownEvent[],
  reach: readonly KnownEvent[],
  current: KnownEvent,
  isPayment: boolean,
): Contributors {
  const declined = reach.filter(({ event }) => event.isDeclined)
  const limitMinor = Math.min(...declined.map(({ event }) => event.amountMinor))
  const isUnder = ({ event }: KnownEvent): boolean =>
    !event.isDeclined && event.amountMinor < limitMinor && 10 * event.amountMinor >= 9 * limitMinor
  const limits = declined.filter(({ event }) => event.amountMinor === limitMinor).slice(-1)
  return {
    ...NONE,
    events: [...payments.filter(isUnder), ...limits],
    includesCurrent: declined.length > 0 && isPayment && isUnder(current),
  }
}

function extreme(
  among: readonly KnownEvent[],
  isBetter: (a: number, b: number) => boolean,
): readonly KnownEvent[] {
  const [first, ...rest] = among
  if (first === undefined) return []
  const isMore = (a: KnownEvent, b: KnownEvent): boolean =>
    isBetter(a.event.amountMinor, b.event.amountMinor)
  return [rest.reduce((best, each) => (isMore(each, best) ? each : best), first)]
}

/** The reference of an event, 0 for none. */
function hashOf(event: CardEvent, of: Reference | undefined): number {
  switch (of) {
    case undefined:
      return 0
    case 'merchant':
      return event.merchantHash
    case 'terminal':
      return event.terminalHash
    case 'device':
      return event.deviceHash
    case 'network':
      return event.networkHash
    case 'category':
      return event.categoryHash
    case 'country':
      return event.countryHash
  }
}

function isSame(a: CardEvent, b: CardEvent, of: Reference | undefined): boolean {
  return hashOf(a, of) !== 0 && hashOf(a, of) === hashOf(b, of)
}

function localMinutesOf({ timeMs, utcOffsetMinutes }: CardEvent): number {
  return Math.floor(timeMs / MINUTE_MS) + utcOffsetMinutes
}

function isSameHour(a: CardEvent, b: CardEvent): boolean {
  const dayMinutes = DAY_MS / MINUTE_MS
  const apart = Math.abs((localMinutesOf(a) % dayMinutes) - (localMinutesOf(b) % dayMinutes))
  return Math.min(apart, dayMinutes - apart) <= 60
}

function weekdayOf(event: CardEvent): number {
  return Math.floor((localMinutesOf(event) * MINUTE_MS) / DAY_MS) % 7
}
