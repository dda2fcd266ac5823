// The list of features compiled: every choice is made once, so that the loop per transaction only computes.

import type { CardEvent } from './card-event.ts'
import { fromE4, PRESENCE } from './card-event.ts'
import { COLUMN, type CardHistory } from './card-history.ts'
import { cardPlanOf, type CardPlan } from './card-plan.ts'
import { CardReading } from './card-reading.ts'
import { entityPlanOf, type EntityPlan } from './entity-plan.ts'
import { EntityReading } from './entity-reading.ts'
import {
  ENTITY_KINDS,
  isAmountAggregate,
  type CardAmountAggregate,
  type CardHabitAggregate,
  type EntityKind,
  type FeatureDefinition,
  type Reference,
} from './feature-definition.ts'
import { distanceKm } from './geo.ts'
import { deviationOf } from './squares.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from './time.ts'

/** Longest speed reported: two places at the same moment give this, not infinity. */
const SPEED_KMH_MAX = 100_000
const NIGHT_LAST_HOUR = 6
const MINOR_PER_UNIT = 100

/** What the features of one transaction are computed from. Reused from one to the next. */
export interface Readings {
  readonly card: CardReading
  readonly entities: Readonly<Record<EntityKind, EntityReading | null>>
}

type Read = (event: CardEvent, history: CardHistory, readings: Readings, own: 0 | 1) => number

export interface FeaturePlan {
  readonly definitions: readonly FeatureDefinition[]
  readonly card: CardPlan
  readonly entities: Readonly<Record<EntityKind, EntityPlan | null>>
  /** Makes what `write` reads from. */
  openReadings(): Readings
  /**
   * Writes one value per definition at `position`; NaN is absent. `history` and the readings are those of the
   * transaction; `isRetry` is true when it is a retry. Hot path.
   */
  write(
    event: CardEvent,
    isRetry: boolean,
    history: CardHistory,
    readings: Readings,
    row: Float64Array,
    position: number,
  ): void
}

/** @throws RangeError when a definition asks for what no reading gathers. */
export function compileFeaturePlan(definitions: readonly FeatureDefinition[]): FeaturePlan {
  const card = cardPlanOf(definitions)
  const entities = perKind((kind) => entityPlanOf(kind, definitions))
  const openReadings = (): Readings => ({
    card: new CardReading(card),
    entities: perKind((kind) => {
      const plan = entities[kind]
      return plan === null ? null : new EntityReading(plan)
    }),
  })
  const steps = definitions.map((definition) => compile(definition, card, entities))
  return {
    definitions,
    card,
    entities,
    openReadings,
    write(event, isRetry, history, readings, row, position) {
      const own = isRetry ? 0 : 1
      for (let index = 0; index < steps.length; index += 1) {
        row[position + index] = steps[index]?.(event, history, readings, own) ?? NaN
      }
    },
  }
}

function perKind<Value>(make: (kind: EntityKind) => Value): Record<EntityKind, Value> {
  const [terminal, merchant, device, network] = ENTITY_KINDS
  return {
    terminal: make(terminal),
    merchant: make(merchant),
    device: make(device),
    network: make(network),
  }
}

/** Reference of an entity that the transaction names; 0 for none. */
export function entityRefOf(event: CardEvent, kind: EntityKind): number {
  switch (kind) {
    case 'terminal':
      return event.terminalRef
    case 'merchant':
      return event.merchantRef
    case 'device':
      return event.deviceRef
    case 'network':
      return event.networkRef
  }
}

function compile(
  definition: FeatureDefinition,
  card: CardPlan,
  entities: Readonly<Record<EntityKind, EntityPlan | null>>,
): Read {
  switch (definition.entity) {
    case 'transaction':
      return transactionReader(definition.aggregate)
    case 'card':
      return cardReader(definition, card)
    case 'terminal':
    case 'merchant':
    case 'device':
    case 'network':
      return entityReader(definition, entities[definition.entity])
  }
}

type Of<Entity> = Extract<FeatureDefinition, { readonly entity: Entity }>

function transactionReader(aggregate: Of<'transaction'>['aggregate']): Read {
  switch (aggregate) {
    case 'amount':
      return ({ amountMinor }) => amountMinor / MINOR_PER_UNIT
    case 'weekend':
      // 1970-01-01 was a Thursday, three days after a Monday.
      return (event) => ((Math.floor(localMsOf(event) / DAY_MS) + 3) % 7 >= 5 ? 1 : 0)
    case 'night':
      return (event) => (Math.floor(hourOf(event)) <= NIGHT_LAST_HOUR ? 1 : 0)
    case 'hour':
      return hourOf
    case 'card_not_present':
      return ({ presence }) =>
        presence === PRESENCE.unknown ? NaN : presence === PRESENCE.notPresent ? 1 : 0
  }
}

function localMsOf({ timeMs, utcOffsetMinutes }: CardEvent): number {
  return timeMs + utcOffsetMinutes * MINUTE_MS
}

function hourOf(event: CardEvent): number {
  const localMs = localMsOf(event)
  return (localMs - Math.floor(localMs / DAY_MS) * DAY_MS) / HOUR_MS
}

/** A reader of what comes before the transaction in the card's history. */
type CardRead = (card: CardReading, own: 0 | 1, event: CardEvent, history: CardHistory) => number

/** Where a definition's windows and reference stand in a reading. */
interface Places {
  readonly window: number
  readonly long: number
  readonly slot: number
  /** How many times the window goes into the long one. */
  readonly times: number
}

/** All of them look at earlier events, and add the transaction where the definition says so. */
function cardReader(definition: Of<'card'>, plan: CardPlan): Read {
  const { windowMs, of, longWindowMs = windowMs } = definition
  const places = {
    window: plan.windowsMs.indexOf(windowMs),
    long: plan.windowsMs.indexOf(longWindowMs),
    slot: of === undefined ? -1 : plan.references.indexOf(of),
    times: longWindowMs / windowMs,
  }
  const { aggregate } = definition
  const read = isAmountAggregate(aggregate)
    ? amountReader(aggregate, places)
    : habitReader(aggregate, of, places)
  const last = Math.max(places.window, places.long)
  return (event, history, { card }, own) =>
    last >= card.expiredFrom ? NaN : read(card, own, event, history)
}

/** Counts and amounts. */
function amountReader(aggregate: CardAmountAggregate, { window, long, times }: Places): CardRead {
  const countOf = (card: CardReading, at: number, own: number): number =>
    (card.counts[at] ?? 0) + own
  const sumOf = (card: CardReading, at: number, own: number, event: CardEvent): number =>
    (card.sumsMinor[at] ?? 0) + own * event.amountMinor
  const ifAny = (values: Float64Array, card: CardReading): number =>
    (card.counts[window] ?? 0) === 0 ? NaN : (values[window] ?? NaN) / MINOR_PER_UNIT
  switch (aggregate) {
    case 'count':
      return (card, own) => countOf(card, window, own)
    case 'attempts':
      return (card) => (card.attempts[window] ?? 0) + 1
    case 'sum':
      return (card, own, event) => sumOf(card, window, own, event) / MINOR_PER_UNIT
    case 'mean':
      return (card, own, event) => {
        const count = countOf(card, window, own)
        return count === 0 ? NaN : sumOf(card, window, own, event) / count / MINOR_PER_UNIT
      }
    case 'deviation':
      return (card) => deviationAt(card, window) / MINOR_PER_UNIT
    case 'minimum':
      return (card) => ifAny(card.minimaMinor, card)
    case 'maximum':
      return (card) => ifAny(card.maximaMinor, card)
    case 'ratio_to_mean':
      return (card, _, event) => {
        const sumMinor = card.sumsMinor[window] ?? 0
        return sumMinor === 0 ? NaN : event.amountMinor / (sumMinor / (card.counts[window] ?? 0))
      }
    case 'z_score':
      return (card, _, event) => {
        const deviation = deviationAt(card, window)
        const mean = (card.sumsMinor[window] ?? 0) / (card.counts[window] ?? 0)
        return deviation > 0 ? (event.amountMinor - mean) / deviation : NaN
      }
    case 'quantile':
      return (card) => {
        const below = (card.smaller[window] ?? 0) + 0.5 * (card.equal[window] ?? 0)
        return shareOf(below, card.singles[window])
      }
    case 'count_ratio':
      return (card, own) => rateRatio(countOf(card, window, own), countOf(card, long, own), times)
    case 'sum_ratio':
      return (card, own, event) =>
        rateRatio(sumOf(card, window, own, event), sumOf(card, long, own, event), times)
    case 'just_under_limit':
      return (card, own, event) => {
        if (card.limitMinor === Infinity) return NaN
        const counts = own === 1 && !event.isDeclined && card.isUnderLimit(event.amountMinor)
        return (card.underLimit[window] ?? 0) + (counts ? 1 : 0)
      }
  }
}

/** Times, places and references. */
function habitReader(
  aggregate: CardHabitAggregate,
  of: Reference | undefined,
  { window, slot }: Places,
): CardRead {
  switch (aggregate) {
    case 'seconds_since_last':
      return (card, _, event, history) => secondsSince(event, history, card.lastIndex)
    case 'distinct':
      return (card, _, event) =>
        refersTo(event, of) ? (card.distinct[slot]?.[window] ?? 0) + 1 : NaN
    case 'is_new':
      return (card, _, event) => {
        if (!refersTo(event, of) || card.hasAny[slot] === 0) return NaN
        return (card.pairAttempts[slot]?.[window] ?? 0) > 0 ? 0 : 1
      }
    case 'hour_share':
      return (card) => shareOf(card.sameHour[window], card.singles[window])
    case 'weekday_share':
      return (card) => shareOf(card.sameWeekday[window], card.singles[window])
    case 'speed':
      return (card, _, event, history) => speedKmh(event, history, card.lastPlaceIndex)
    case 'distance':
      return (card, _, event, history) => awayKm(event, history, card.lastPlaceIndex)
    case 'declines':
      return (card) => card.declines[window] ?? 0
    case 'declined_then_retried':
      return (card) => card.triedAgain[window] ?? 0
    case 'pair_count':
      return (card, own, event) =>
        refersTo(event, of) ? (card.pairCounts[slot]?.[window] ?? 0) + own : NaN
    case 'pair_seconds_since_last':
      return (card, _, event, history) => secondsSince(event, history, card.pairLast[slot] ?? -1)
  }
}

function shareOf(part: number | undefined, all: number | undefined): number {
  return all === undefined || all === 0 ? NaN : (part ?? 0) / all
}

function deviationAt(card: CardReading, window: number): number {
  const count = card.counts[window] ?? 0
  const squares = card.squares[window]
  if (count < 2 || squares === undefined) return NaN
  return deviationOf(count, card.sumsMinor[window] ?? 0, squares)
}

function rateRatio(short: number, long: number, windows: number): number {
  return long === 0 ? NaN : (short * windows) / long
}

function secondsSince(event: CardEvent, history: CardHistory, index: number): number {
  return index < 0 ? NaN : (event.timeMs - history.at(index, COLUMN.time)) / SECOND_MS
}

function refersTo(event: CardEvent, of: Of<'card'>['of']): boolean {
  switch (of) {
    case undefined:
      return false
    case 'country':
      return event.countryRef !== 0
    case 'category':
      return event.categoryRef !== 0
    case 'terminal':
    case 'merchant':
    case 'device':
    case 'network':
      return entityRefOf(event, of) !== 0
  }
}

function awayKm(event: CardEvent, history: CardHistory, index: number): number {
  if (!event.hasPlace || index < 0) return NaN
  return distanceKm(
    fromE4(history.at(index, COLUMN.latitude)),
    fromE4(history.at(index, COLUMN.longitude)),
    fromE4(event.latitudeE4),
    fromE4(event.longitudeE4),
  )
}

function speedKmh(event: CardEvent, history: CardHistory, index: number): number {
  const distance = awayKm(event, history, index)
  if (Number.isNaN(distance) || distance === 0) return distance
  const hours = (event.timeMs - history.at(index, COLUMN.time)) / HOUR_MS
  return hours <= 0 ? SPEED_KMH_MAX : Math.min(SPEED_KMH_MAX, distance / hours)
}

/** NaN when the transaction names no such entity. */
function entityReader(
  { aggregate, entity, windowMs, delayMs }: Of<EntityKind>,
  plan: EntityPlan | null,
): Read {
  const group = plan?.groups.findIndex((each) => each.delayMs === delayMs) ?? -1
  const window = plan?.groups[group]?.windowsMs.indexOf(windowMs) ?? -1
  if (window < 0) throw new RangeError(`No reading of ${entity} has this window.`)
  const read = (value: (event: CardEvent, reading: EntityReading) => number): Read => {
    return (event, _, { entities }) => {
      const reading = entities[entity]
      return reading === null || entityRefOf(event, entity) === 0 ? NaN : value(event, reading)
    }
  }
  switch (aggregate) {
    case 'count':
      return read((_, { groups }) => groups[group]?.counts[window] ?? NaN)
    case 'frauds':
      return read((_, { groups }) => groups[group]?.frauds[window] ?? NaN)
    case 'fraud_share':
      return read((_, { groups }) => {
        const count = groups[group]?.counts[window] ?? 0
        return count === 0 ? 0 : Math.min(1, (groups[group]?.frauds[window] ?? 0) / count)
      })
    case 'distinct_cards':
      return read((_, { distinctCards }) => distinctCards)
    case 'fraud_run':
      return read((_, { runLength }) => runLength)
    case 'fraud_run_age':
      return read((event, { runStartMs }) => (event.timeMs - runStartMs) / SECOND_MS)
  }
}
