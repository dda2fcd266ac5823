// Streams of transactions and labels for property tests of the features. Plain random gaps almost never land on
// the edge of a window, and edges are where windows go wrong: gaps, lateness and label delays favour them.

import fc from 'fast-check'
import type { Label, Transaction } from '../../services/core/transaction.ts'

export const HOUR_MS = 3_600_000
export const DAY_MS = 24 * HOUR_MS

/** Sunday 2026-03-01T00:00:00Z: an hour edge, a day edge and a weekend. */
export const STREAM_START_MS = 1_772_323_200_000

/** One step of a stream, as numbers that shrink well. */
export interface Step {
  readonly gapMs: number
  /** How far behind the newest time it comes. */
  readonly lateMs: number
  readonly card: number
  /** 0 is none. */
  readonly terminal: number
  readonly amountMinor: number
  readonly currency: string
  /** 0 is none. */
  readonly device: number
  readonly place: readonly [number, number] | null
  readonly utcOffsetMinutes: number | null
  /** How many transactions back is the one that this repeats, by id or by intent; 0 is none. */
  readonly repeatsId: number
  readonly repeatsIntent: number
  /** Delays from the event time after which labels are known: fraud, then genuine, then fraud ... */
  readonly labelDelaysMs: readonly number[]
  /** A label is handed over this long before it is known. */
  readonly labelEarlyMs: number
}

export type StreamItem =
  | { readonly kind: 'transaction'; readonly transaction: Transaction }
  | { readonly kind: 'label'; readonly label: Label }

/** What a stream may hold; everything on unless said otherwise. */
export interface StreamShape {
  readonly stepsMax: number
  readonly stepsMin?: number
  readonly cards: number
  readonly terminals: number
  readonly gapsMs?: fc.Arbitrary<number>
  readonly latesMs?: fc.Arbitrary<number>
  readonly labelShare?: number
  /** How long before they are known labels are handed over; below 0 is after. */
  readonly labelEarliesMs?: fc.Arbitrary<number>
}

const edgeGapsMs = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 2 * HOUR_MS }) },
  { weight: 2, arbitrary: fc.constantFrom(0, 0, 1, HOUR_MS - 1, HOUR_MS, HOUR_MS + 1) },
  { weight: 2, arbitrary: fc.constantFrom(DAY_MS - 1, DAY_MS, DAY_MS + 1, 6 * DAY_MS) },
  { weight: 1, arbitrary: fc.constantFrom(7 * DAY_MS - 1, 7 * DAY_MS, 7 * DAY_MS + 1) },
  { weight: 1, arbitrary: fc.constantFrom(30 * DAY_MS - 1, 30 * DAY_MS, 37 * DAY_MS) },
)

const edgeLatesMs = fc.oneof(
  { weight: 8, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.constantFrom(1, HOUR_MS - 1, HOUR_MS, DAY_MS, 7 * DAY_MS) },
  { weight: 1, arbitrary: fc.constantFrom(8 * DAY_MS, 8 * DAY_MS + 1, 30 * DAY_MS) },
  { weight: 1, arbitrary: fc.constantFrom(37 * DAY_MS, 37 * DAY_MS + 1, 50 * DAY_MS) },
)

const edgeDelaysMs = fc.constantFrom(
  0,
  1,
  DAY_MS,
  7 * DAY_MS - 1,
  7 * DAY_MS,
  7 * DAY_MS + 1,
  20 * DAY_MS,
)

/** Gaps at which hours fill up. */
export const crowdedGapsMs: fc.Arbitrary<number> = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0, max: 240_000 }) },
  { weight: 1, arbitrary: fc.constantFrom(0, HOUR_MS, DAY_MS) },
)

/** For streams in order. */
export const neverLate: fc.Arbitrary<number> = fc.constant(0)

const PLACES: readonly (readonly [number, number])[] = [
  [52.5, 13.4],
  [52.5, 13.4],
  [48.1, 11.6],
  [-33.9, 151.2],
]

/** Steps for `itemsOf`. */
export function stepsOf(shape: StreamShape): fc.Arbitrary<readonly Step[]> {
  const labelShare = shape.labelShare ?? 0.5
  const step: fc.Arbitrary<Step> = fc.record({
    gapMs: shape.gapsMs ?? edgeGapsMs,
    lateMs: shape.latesMs ?? edgeLatesMs,
    card: fc.integer({ min: 0, max: shape.cards - 1 }),
    terminal: fc.integer({ min: 0, max: shape.terminals }),
    amountMinor: fc.oneof(fc.integer({ min: 0, max: 100_000 }), fc.constantFrom(0, 1, 10 ** 12)),
    currency: fc.constantFrom('EUR', 'EUR', 'USD', 'JPY', 'HUF'),
    device: fc.integer({ min: 0, max: 3 }),
    place: fc.option(fc.constantFrom(...PLACES), {
      freq: 2,
    }),
    utcOffsetMinutes: fc.option(fc.constantFrom(0, 60, -600, 840)),
    repeatsId: fc.oneof({ weight: 8, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 30 })),
    repeatsIntent: fc.oneof(
      { weight: 4, arbitrary: fc.constant(0) },
      fc.integer({ min: 1, max: 8 }),
    ),
    labelDelaysMs: fc.oneof(
      { weight: Math.round(100 * (1 - labelShare)), arbitrary: fc.constant([]) },
      { weight: Math.round(100 * labelShare), arbitrary: fc.array(edgeDelaysMs, { maxLength: 3 }) },
    ),
    labelEarlyMs: shape.labelEarliesMs ?? fc.constantFrom(0, 0, HOUR_MS, 8 * DAY_MS),
  })
  const limits = { minLength: shape.stepsMin ?? 1, maxLength: shape.stepsMax, size: 'max' as const }
  return fc.array(step, limits)
}

/** The stream that the steps stand for, in the order of arrival. */
export function itemsOf(steps: readonly Step[]): readonly StreamItem[] {
  const transactions: Transaction[] = []
  const placed: { readonly atMs: number; readonly item: StreamItem }[] = []
  let newestMs = STREAM_START_MS
  for (const [index, step] of steps.entries()) {
    newestMs += step.gapMs
    const eventTimeMs = newestMs - step.lateMs
    const transaction = transactionOf(step, index, eventTimeMs, transactions)
    transactions.push(transaction)
    placed.push({ atMs: newestMs, item: { kind: 'transaction', transaction } })
    for (const [word, delayMs] of step.labelDelaysMs.entries()) {
      const knownAtMs = eventTimeMs + delayMs
      const label = labelOf(transaction, knownAtMs, word % 2 === 0 ? 'fraud' : 'genuine')
      placed.push({ atMs: knownAtMs - step.labelEarlyMs, item: { kind: 'label', label } })
    }
  }
  return placed.toSorted((a, b) => a.atMs - b.atMs).map(({ item }) => item)
}

function transactionOf(
  step: Step,
  index: number,
  eventTimeMs: number,
  earlier: readonly Transaction[],
): Transaction {
  const repeated = step.repeatsId === 0 ? undefined : earlier[index - step.repeatsId]
  const retried = step.repeatsIntent === 0 ? undefined : earlier[index - step.repeatsIntent]
  return {
    id: repeated?.id ?? `tx-${index}`,
    card: repeated?.card ?? retried?.card ?? `card-${step.card}`,
    eventTimeMs,
    amountMinor: step.amountMinor,
    currency: step.currency,
    merchant: null,
    merchantCategory: null,
    terminal: step.terminal === 0 ? null : `terminal-${step.terminal}`,
    country: null,
    latitude: step.place?.[0] ?? null,
    longitude: step.place?.[1] ?? null,
    utcOffsetMinutes: step.utcOffsetMinutes,
    device: step.device === 0 ? null : `device-${step.device}`,
    ipNetwork: null,
    channel: null,
    entryMode: null,
    authorisation: null,
    intentId: retried?.intentId ?? (step.repeatsIntent === 0 ? `intent-${index}` : null),
  }
}

/** A label for a transaction. */
export function labelOf(
  { id, card, eventTimeMs, merchant, terminal, device, ipNetwork }: Transaction,
  knownAtMs: number,
  verdict: 'fraud' | 'genuine',
): Label {
  const entities = { merchant, terminal, device, ipNetwork }
  return {
    transactionId: id,
    card,
    eventTimeMs,
    knownAtMs,
    verdict,
    source: 'analyst',
    ...entities,
  }
}
