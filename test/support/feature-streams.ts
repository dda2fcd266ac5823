// Streams of transactions and labels for property tests of the features. Plain random gaps almost never reach the edge
// of a window, where errors occur, so distances between events favour the edges.

import fc from 'fast-check'
import type { Label, Transaction } from '../../services/core/transaction.ts'

export const MINUTE_MS = 60_000
export const HOUR_MS = 60 * MINUTE_MS
export const DAY_MS = 24 * HOUR_MS

/** Sunday 2026-03-01T00:00:00Z: an hour edge, a day edge and a weekend. */
export const STREAM_START_MS = 1_772_323_200_000

/** One step of a stream, as numbers that shrink well. */
export interface Step {
  /** Distance from the transaction `back` positions earlier in the stream, or from the newest time for 0. */
  readonly gapMs: number
  readonly back: number
  /** Difference by which the event time is earlier. */
  readonly lateMs: number
  readonly card: number
  /** 0 is none, here and below. */
  readonly terminal: number
  readonly merchant: number
  readonly device: number
  readonly network: number
  readonly category: number
  readonly country: number
  readonly amountMinor: number
  readonly currency: string
  readonly place: readonly [number, number] | null
  readonly utcOffsetMinutes: number | null
  readonly channel: Transaction['channel']
  readonly authorisation: Transaction['authorisation']
  /** Distance back to the repeated transaction, by id or by intent; 0 for none. */
  readonly repeatsId: number
  readonly repeatsIntent: number
  /** Delays from the event time after which labels are known: fraud, then genuine, then fraud ... */
  readonly labelDelaysMs: readonly number[]
  /** A label is delivered this long before it is known; below 0 is after. */
  readonly labelEarlyMs: number
}

export type StreamItem =
  | { readonly kind: 'transaction'; readonly transaction: Transaction }
  | { readonly kind: 'label'; readonly label: Label }

/** Kinds of content of a stream; all are on by default. */
export interface StreamShape {
  readonly stepsMax: number
  readonly stepsMin?: number
  readonly cards: number
  readonly terminals: number
  readonly gapsMs?: fc.Arbitrary<number>
  readonly latesMs?: fc.Arbitrary<number>
  /** The earlier transaction from which a gap is measured. */
  readonly backs?: fc.Arbitrary<number>
  readonly labelShare?: number
  readonly labelEarliesMs?: fc.Arbitrary<number>
  readonly repeatsId?: fc.Arbitrary<number>
  readonly repeatsIntent?: fc.Arbitrary<number>
}

/** Every length at which something changes: windows, delays with windows, lateness, retries, hours, retention. */
const EDGES_MS = [
  MINUTE_MS,
  10 * MINUTE_MS,
  HOUR_MS,
  2 * HOUR_MS,
  3 * HOUR_MS,
  DAY_MS,
  DAY_MS + 2 * HOUR_MS,
  3 * DAY_MS,
  4 * DAY_MS,
  7 * DAY_MS,
  8 * DAY_MS,
  14 * DAY_MS,
  30 * DAY_MS,
  33 * DAY_MS + HOUR_MS,
  37 * DAY_MS,
] as const

/** Every edge, a millisecond less, and one more. */
export const edgesMs: fc.Arbitrary<number> = fc
  .tuple(fc.constantFrom(...EDGES_MS), fc.constantFrom(-1, 0, 1))
  .map(([edgeMs, besidesMs]) => edgeMs + besidesMs)

const edgeGapsMs = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 2 * HOUR_MS }) },
  { weight: 2, arbitrary: fc.constantFrom(0, 0, 1) },
  { weight: 5, arbitrary: edgesMs },
)

const edgeLatesMs = fc.oneof(
  { weight: 8, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 2 * DAY_MS }) },
  { weight: 3, arbitrary: edgesMs },
)

const edgeDelaysMs = fc.oneof(
  fc.constantFrom(0, 1, DAY_MS, 20 * DAY_MS),
  fc.constantFrom(7 * DAY_MS - 1, 7 * DAY_MS, 7 * DAY_MS + 1),
)

/** Gaps at which hours fill up. */
export const crowdedGapsMs: fc.Arbitrary<number> = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0, max: 240_000 }) },
  { weight: 1, arbitrary: fc.constantFrom(0, HOUR_MS, DAY_MS) },
)

/** Occasionally close to the number of events that a busy card stores singly. */
export const backsToMerged: fc.Arbitrary<number> = fc.oneof(
  { weight: 15, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 600 }) },
  { weight: 1, arbitrary: fc.integer({ min: 480, max: 600 }) },
)

/** For one card: hundreds of events within its windows, few of them far apart. */
export const crowdedCardGapsMs: fc.Arbitrary<number> = fc.oneof(
  { weight: 300, arbitrary: fc.integer({ min: 0, max: 60_000 }) },
  fc.constantFrom(HOUR_MS, DAY_MS, 3 * DAY_MS, 7 * DAY_MS),
)
export const crowdedCardLatesMs: fc.Arbitrary<number> = fc.oneof(
  { weight: 20, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 6 * HOUR_MS }) },
  { weight: 1, arbitrary: edgesMs },
)

/** For streams in order. */
export const neverLate: fc.Arbitrary<number> = fc.constant(0)

/** For streams without duplicates or without retries. */
export const neverRepeated: fc.Arbitrary<number> = fc.constant(0)

/** For long streams of one card. */
export const rarelyRepeated: fc.Arbitrary<number> = fc.oneof(
  { weight: 30, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 5 }) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 600 }) },
)

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
    back: shape.backs ?? fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 4 })),
    lateMs: shape.latesMs ?? edgeLatesMs,
    card: fc.integer({ min: 0, max: shape.cards - 1 }),
    terminal: fc.integer({ min: 0, max: shape.terminals }),
    merchant: fc.integer({ min: 0, max: 2 }),
    device: fc.integer({ min: 0, max: 3 }),
    network: fc.integer({ min: 0, max: 2 }),
    category: fc.integer({ min: 0, max: 2 }),
    country: fc.integer({ min: 0, max: 2 }),
    amountMinor: fc.oneof(
      fc.integer({ min: 0, max: 100_000 }),
      fc.constantFrom(0, 1, 899, 900, 999, 1_000, 10 ** 12),
    ),
    currency: fc.constantFrom('EUR', 'EUR', 'USD', 'JPY', 'HUF'),
    place: fc.option(fc.constantFrom(...PLACES), { freq: 2 }),
    utcOffsetMinutes: fc.option(fc.constantFrom(0, 60, -600, 840)),
    channel: fc.constantFrom(null, 'unknown', 'pos', 'atm', 'ecommerce', 'moto'),
    authorisation: fc.constantFrom(null, 'approved', 'declined', 'pending'),
    repeatsId:
      shape.repeatsId ??
      fc.oneof({ weight: 8, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 30 })),
    repeatsIntent:
      shape.repeatsIntent ??
      fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 8 })),
    labelDelaysMs: fc.oneof(
      { weight: Math.round(100 * (1 - labelShare)), arbitrary: fc.constant([]) },
      { weight: Math.round(100 * labelShare), arbitrary: fc.array(edgeDelaysMs, { maxLength: 3 }) },
    ),
    labelEarlyMs: shape.labelEarliesMs ?? fc.constantFrom(0, 0, HOUR_MS, 8 * DAY_MS),
  })
  const limits = { minLength: shape.stepsMin ?? 1, maxLength: shape.stepsMax, size: 'max' as const }
  return fc.array(step, limits)
}

/** The stream that the steps describe, in order of arrival. */
export function itemsOf(steps: readonly Step[], behindMsMax = Infinity): readonly StreamItem[] {
  const transactions: Transaction[] = []
  const placed: { readonly atMs: number; readonly item: StreamItem }[] = []
  let newestMs = STREAM_START_MS
  for (const [index, step] of steps.entries()) {
    const from = step.back === 0 ? undefined : transactions[index - step.back]
    const wantedMs = (from?.eventTimeMs ?? newestMs) + step.gapMs - step.lateMs
    const eventTimeMs = Math.max(wantedMs, newestMs - behindMsMax)
    newestMs = Math.max(newestMs, eventTimeMs)
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
    merchant: named('merchant', step.merchant),
    merchantCategory: named('category', step.category),
    terminal: named('terminal', step.terminal),
    country: ['DE', 'FR'][step.country - 1] ?? null,
    latitude: step.place?.[0] ?? null,
    longitude: step.place?.[1] ?? null,
    utcOffsetMinutes: step.utcOffsetMinutes,
    device: named('device', step.device),
    ipNetwork: named('network', step.network),
    channel: step.channel,
    entryMode: null,
    authorisation: step.authorisation,
    intentId: retried?.intentId ?? (step.repeatsIntent === 0 ? `intent-${index}` : null),
    attributes: null,
  }
}

function named(what: string, number: number): string | null {
  return number === 0 ? null : `${what}-${number}`
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
