// Computes the values of card features from the card's aggregates. Each definition has one reader, created once.

import { fromE4, type CardEvent } from '../state/card-event.ts'
import { COLUMN } from '../state/card-columns.ts'
import { type CardHistory } from '../state/card-history.ts'
import type { CardPlan } from './card-plan.ts'
import type { CardAggregates } from './card-aggregates.ts'
import {
  isAmountAggregate,
  type CardAmountAggregate,
  type CardBehaviourAggregate,
  type FeatureDefinition,
} from '../catalogue/feature-definition.ts'
import { distanceKm } from './geo.ts'
import type { ReferenceAggregates } from './reference-aggregates.ts'
import { deviationOf } from '../state/squares.ts'
import { HOUR_MS, SECOND_MS } from '../catalogue/time.ts'

/** Speed limit: two places at the same time give this, not infinity. */
const SPEED_KMH_MAX = 100_000
const MINOR_PER_UNIT = 100

type CardDefinition = Extract<FeatureDefinition, { readonly entity: 'card' }>

/**
 * Value of a card feature; `own` is 1 if the transaction counts as a payment. The value of an expired window is
 * meaningless: its state says so, and the value is replaced by NaN.
 */
type CardValue = (
  card: CardAggregates,
  own: 0 | 1,
  event: CardEvent,
  history: CardHistory,
) => number

/** Indexes of a definition's windows and reference in the aggregates. */
interface Places {
  readonly window: number
  readonly long: number
  readonly slot: number
  /** Ratio of the long window to the short one. */
  readonly times: number
}

/** Compiles a reader. Readers use earlier events, and include the transaction if the definition says so. */
export function cardReader(definition: CardDefinition, plan: CardPlan): CardValue {
  const { windowMs, of, longWindowMs = windowMs } = definition
  const places = {
    window: plan.windowsMs.indexOf(windowMs),
    long: plan.windowsMs.indexOf(longWindowMs),
    slot: of === undefined ? -1 : plan.references.findIndex(({ reference }) => reference === of),
    times: longWindowMs / windowMs,
  }
  const { aggregate } = definition
  return isAmountAggregate(aggregate)
    ? amountReader(aggregate, places)
    : behaviourReader(aggregate, places)
}

/** Readers of counts and amounts. */
function amountReader(aggregate: CardAmountAggregate, { window, long, times }: Places): CardValue {
  const countOf = (card: CardAggregates, at: number, own: number): number =>
    (card.counts[at] ?? 0) + own
  const sumOf = (card: CardAggregates, at: number, own: number, event: CardEvent): number =>
    (card.sumsMinor[at] ?? 0) + own * event.amountMinor
  const ifAny = (values: Float64Array, card: CardAggregates): number =>
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

/** Readers of times, places and references. */
function behaviourReader(aggregate: CardBehaviourAggregate, { window, slot }: Places): CardValue {
  const namedOf = (card: CardAggregates): ReferenceAggregates | null => {
    const reference = card.references[slot]
    return reference?.isNamed === true ? reference : null
  }
  switch (aggregate) {
    case 'seconds_since_last':
      return (card, _, event, history) => secondsSince(event, history, card.lastIndex)
    case 'distinct':
      return (card) => {
        const named = namedOf(card)
        return named === null ? NaN : (named.distinct[window] ?? 0) + 1
      }
    case 'is_new':
      return (card) => {
        const named = namedOf(card)
        if (named?.isAnyNamed !== true) return NaN
        return named.last >= (card.firsts[window] ?? 0) ? 0 : 1
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
      return (card, own) => {
        const named = namedOf(card)
        return named === null ? NaN : (named.pairCounts[window] ?? 0) + own
      }
    case 'pair_seconds_since_last':
      return (card, _, event, history) => secondsSince(event, history, namedOf(card)?.last ?? -1)
  }
}

function shareOf(part: number | undefined, all: number | undefined): number {
  return all === undefined || all === 0 ? NaN : (part ?? 0) / all
}

function deviationAt(card: CardAggregates, window: number): number {
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
