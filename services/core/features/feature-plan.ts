// The list of features compiled: every choice is made once, so that the loop per transaction only computes.

import type { CardEvent } from './card-event.ts'
import { fromE4, PRESENCE } from './card-event.ts'
import { COLUMN, type CardHistory } from './card-history.ts'
import { cardPlanOf, type CardPlan } from './card-plan.ts'
import { CardReading } from './card-reading.ts'
import { entityPlanOf, type EntityPlan } from './entity-plan.ts'
import { EntityReading } from './entity-reading.ts'
import { ENTITY_KINDS, type EntityKind, type FeatureDefinition } from './feature-definition.ts'
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
    default:
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

/** All of them look at earlier events in `reading`, and add the transaction where the definition says so. */
function cardReader(definition: Of<'card'>, plan: CardPlan): Read {
  const { aggregate, windowMs, of, longWindowMs } = definition
  const window = plan.windowsMs.indexOf(windowMs)
  const long = longWindowMs === undefined ? window : plan.windowsMs.indexOf(longWindowMs)
  const slot = of === undefined ? -1 : plan.references.indexOf(of)
  const shareOf = (values: Float64Array, all: Float64Array): number => {
    const count = all[window] ?? 0
    return count === 0 ? NaN : (values[window] ?? 0) / count
  }
  const expirable = (read: Read): Read => {
    const last = Math.max(window, long)
    return (event, history, readings, own) =>
      last >= readings.card.expiredFrom ? NaN : read(event, history, readings, own)
  }
  switch (aggregate) {
    case 'count':
      return expirable((_, __, { card }, own) => (card.counts[window] ?? 0) + own)
    case 'attempts':
      return expirable((_, __, { card }) => (card.attempts[window] ?? 0) + 1)
    case 'sum':
      return expirable(
        (event, _, { card }, own) =>
          ((card.sumsMinor[window] ?? 0) + own * event.amountMinor) / MINOR_PER_UNIT,
      )
    case 'mean':
      return expirable((event, _, { card }, own) => {
        const count = (card.counts[window] ?? 0) + own
        const sumMinor = (card.sumsMinor[window] ?? 0) + own * event.amountMinor
        return count === 0 ? NaN : sumMinor / count / MINOR_PER_UNIT
      })
    case 'deviation':
      return expirable((_, __, { card }) => deviationAt(card, window) / MINOR_PER_UNIT)
    case 'minimum':
      return expirable((_, __, { card }) =>
        (card.counts[window] ?? 0) === 0 ? NaN : (card.minimaMinor[window] ?? NaN) / MINOR_PER_UNIT,
      )
    case 'maximum':
      return expirable((_, __, { card }) =>
        (card.counts[window] ?? 0) === 0 ? NaN : (card.maximaMinor[window] ?? NaN) / MINOR_PER_UNIT,
      )
    case 'ratio_to_mean':
      return expirable((event, _, { card }) => {
        const sumMinor = card.sumsMinor[window] ?? 0
        return sumMinor === 0 ? NaN : event.amountMinor / (sumMinor / (card.counts[window] ?? 0))
      })
    case 'z_score':
      return expirable((event, _, { card }) => {
        const deviation = deviationAt(card, window)
        if (!(deviation > 0)) return NaN
        return (
          (event.amountMinor - (card.sumsMinor[window] ?? 0) / (card.counts[window] ?? 0)) /
          deviation
        )
      })
    case 'quantile':
      return expirable((_, __, { card }) => {
        const count = card.singles[window] ?? 0
        return count === 0
          ? NaN
          : ((card.smaller[window] ?? 0) + 0.5 * (card.equal[window] ?? 0)) / count
      })
    case 'count_ratio':
      return expirable((_, __, { card }, own) =>
        rateRatio(
          (card.counts[window] ?? 0) + own,
          (card.counts[long] ?? 0) + own,
          (longWindowMs ?? windowMs) / windowMs,
        ),
      )
    case 'sum_ratio':
      return expirable((event, _, { card }, own) =>
        rateRatio(
          (card.sumsMinor[window] ?? 0) + own * event.amountMinor,
          (card.sumsMinor[long] ?? 0) + own * event.amountMinor,
          (longWindowMs ?? windowMs) / windowMs,
        ),
      )
    case 'seconds_since_last':
      return expirable((event, history, { card }) => secondsSince(event, history, card.lastIndex))
    case 'distinct':
      return expirable((event, _, { card }) =>
        refersTo(event, of) ? (card.distinct[slot]?.[window] ?? 0) + 1 : NaN,
      )
    case 'is_new':
      return expirable((event, _, { card }) => {
        if (!refersTo(event, of) || card.hasAny[slot] === 0) return NaN
        return (card.pairAttempts[slot]?.[window] ?? 0) > 0 ? 0 : 1
      })
    case 'hour_share':
      return expirable((_, __, { card }) => shareOf(card.sameHour, card.singles))
    case 'weekday_share':
      return expirable((_, __, { card }) => shareOf(card.sameWeekday, card.singles))
    case 'speed':
      return expirable((event, history, { card }) => speedKmh(event, history, card.lastPlaceIndex))
    case 'distance':
      return expirable((event, history, { card }) => awayKm(event, history, card.lastPlaceIndex))
    case 'declines':
      return expirable((_, __, { card }) => card.declines[window] ?? 0)
    case 'declined_then_retried':
      return expirable((_, __, { card }) => card.triedAgain[window] ?? 0)
    case 'just_under_limit':
      return expirable((event, _, { card }, own) => {
        if (card.limitMinor === Infinity) return NaN
        const counts = own === 1 && !event.isDeclined && card.isUnderLimit(event.amountMinor)
        return (card.underLimit[window] ?? 0) + (counts ? 1 : 0)
      })
    case 'pair_count':
      return expirable((event, _, { card }, own) =>
        refersTo(event, of) ? (card.pairCounts[slot]?.[window] ?? 0) + own : NaN,
      )
    case 'pair_seconds_since_last':
      return expirable((event, history, { card }) =>
        secondsSince(event, history, card.pairLast[slot] ?? -1),
      )
  }
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
    default:
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
