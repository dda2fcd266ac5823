// The features of one transaction from the plain list of all that came before it: the slow and obvious way,
// written from the definitions and not from the code. Tests only.
//
// Everything is kept and filtered again for every transaction. Where the real thing may be coarser by its
// documented limits (more than CARD_RAW_MAX events of a card, crowded hours at a terminal), the oracle says by
// how much: a lowest and a highest value beside the exact one.

import { CARD_RAW_MAX, CARD_RETAIN_MS } from '../../services/core/features/card-history.ts'
import { ENTITY_RETAIN_MS, HOUR_RAW_MAX } from '../../services/core/features/entity-part.ts'
import type { RateTable } from '../../services/core/currency.ts'
import type { Label, Transaction } from '../../services/core/transaction.ts'
import { arcKm, calendarOf } from './naive-place-and-time.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const ENTITY_DELAY_MS = 7 * DAY_MS
const LATENESS_MS = 8 * DAY_MS
const REACH_MS = 37 * DAY_MS
const SPANS = [
  ['1h', HOUR_MS],
  ['1d', DAY_MS],
  ['7d', 7 * DAY_MS],
  ['30d', 30 * DAY_MS],
] as const

/** A number, and how far a coarser reading may be from it. */
export interface Bounds {
  readonly exact: number
  readonly low: number
  readonly high: number
}

/** What the oracle says of one transaction. */
export interface NaiveReading {
  /** By feature name; NaN is absent. */
  readonly features: ReadonlyMap<string, number>
  /** Counts by feature name, with how far they may be off when the windows are marked as approximate. */
  readonly counts: ReadonlyMap<string, Bounds>
  /** Per card window (1d, 7d, 30d): the sum of amounts behind the mean, minor units. */
  readonly sums: ReadonlyMap<string, Bounds>
  readonly frauds: ReadonlyMap<string, number>
  readonly isRetry: boolean
  readonly isLate: boolean
  readonly isBehindReach: boolean
  readonly isAfterWatermark: boolean
  /** Position in the lane of the first transaction with the same id, or null. */
  readonly duplicateOf: number | null
}

interface Past {
  readonly lane: number
  readonly position: number
  readonly transaction: Transaction
  readonly amountMinor: number
  readonly isRetry: boolean
  readonly countsAtTerminal: boolean
}

/** Remembers everything. Transactions of one lane come in the order of their positions. */
export class NaiveFeatures {
  readonly #rates: RateTable
  readonly #past: Past[] = []
  readonly #labels: { readonly lane: number; readonly label: Label }[] = []
  readonly #newestMs = new Map<number, number>()
  readonly #watermarksMs = new Map<number, number>()

  constructor(rates: RateTable) {
    this.#rates = rates
  }

  label(lane: number, label: Label): void {
    this.#labels.push({ lane, label })
  }

  watermark(lane: number, timeMs: number): void {
    this.#watermarksMs.set(lane, Math.max(timeMs, this.#watermarksMs.get(lane) ?? -1))
  }

  /** Reads, then remembers. */
  transaction(lane: number, position: number, transaction: Transaction): NaiveReading {
    const reading = this.#read(lane, transaction)
    if (reading.duplicateOf !== null) return reading
    if (!reading.isBehindReach) {
      const { amountMinor, currency, eventTimeMs } = transaction
      this.#past.push({
        lane,
        position,
        transaction,
        amountMinor: this.#rates.toReferenceMinor(amountMinor, currency, eventTimeMs) ?? NaN,
        isRetry: reading.isRetry,
        countsAtTerminal: !reading.isAfterWatermark,
      })
    }
    this.#newestMs.set(lane, Math.max(this.#newestMs.get(lane) ?? -1, transaction.eventTimeMs))
    return reading
  }

  #read(lane: number, transaction: Transaction): NaiveReading {
    const { eventTimeMs } = transaction
    const own = this.#past.filter((past) => past.transaction.card === transaction.card)
    const newestOwnMs = Math.max(...own.map((past) => past.transaction.eventTimeMs))
    const kept = own.filter((past) => past.transaction.eventTimeMs >= newestOwnMs - CARD_RETAIN_MS)
    const newestFirst = kept.toSorted(
      (a, b) => b.transaction.eventTimeMs - a.transaction.eventTimeMs || b.position - a.position,
    )
    // Single events, as opposed to counts, are known of the newest only.
    const singles = newestFirst.slice(0, CARD_RAW_MAX)
    const merged = newestFirst.slice(CARD_RAW_MAX)
    const isRetry =
      transaction.intentId !== null &&
      singles.some((past) => past.transaction.intentId === transaction.intentId)
    const features = new Map<string, number>()
    const counts = new Map<string, Bounds>()
    const sums = new Map<string, Bounds>()
    const frauds = new Map<string, number>()
    const { amountMinor, currency, utcOffsetMinutes } = transaction
    const reference = this.#rates.toReferenceMinor(amountMinor, currency, eventTimeMs) ?? NaN
    features.set('amount', reference / 100)
    for (const [name, value] of calendarOf(eventTimeMs, utcOffsetMinutes)) features.set(name, value)
    this.#card(transaction, kept, merged, isRetry, features, counts, sums)
    last(transaction, singles, features)
    this.#terminal(transaction, features, counts, frauds)
    const newestMs = this.#newestMs.get(lane) ?? -1
    const first = singles.findLast((past) => past.transaction.id === transaction.id)
    return {
      features,
      counts,
      sums,
      frauds,
      isRetry,
      isLate: newestMs - eventTimeMs > LATENESS_MS,
      isBehindReach: newestMs - eventTimeMs > REACH_MS,
      isAfterWatermark: eventTimeMs <= (this.#watermarksMs.get(lane) ?? -1),
      duplicateOf: first?.position ?? null,
    }
  }

  #card(
    transaction: Transaction,
    kept: readonly Past[],
    merged: readonly Past[],
    isRetry: boolean,
    features: Map<string, number>,
    counts: Map<string, Bounds>,
    sums: Map<string, Bounds>,
  ): void {
    const { amountMinor, currency, eventTimeMs } = transaction
    const ownAmount = this.#rates.toReferenceMinor(amountMinor, currency, eventTimeMs) ?? NaN
    const own = isRetry ? 0 : 1
    for (const [short, windowMs] of SPANS) {
      const fromMs = eventTimeMs - windowMs
      const inside = kept.filter((past) => isWithin(past, fromMs, eventTimeMs))
      const purchases = inside.filter((past) => !past.isRetry)
      const sum = purchases.reduce((total, past) => total + past.amountMinor, 0)
      // A merged hour counts as if all of it happened at its start: all in, or all out.
      const lost = merged.filter((past) => sharesHour(past, fromMs) && inside.includes(past))
      const extra = merged.filter((past) => sharesHour(past, eventTimeMs) && !inside.includes(past))
      const bound = (exact: number, of: (past: Past) => number): Bounds => ({
        exact,
        low: exact - lost.reduce((total, past) => total + of(past), 0),
        high: exact + extra.reduce((total, past) => total + of(past), 0),
      })
      const isPurchase = (past: Past): number => (past.isRetry ? 0 : 1)
      const count = purchases.length + own
      features.set(`card_count_${short}`, count)
      counts.set(`card_count_${short}`, bound(count, isPurchase))
      if (short === '1h') {
        features.set('card_attempts_1h', inside.length + 1)
        counts.set(
          'card_attempts_1h',
          bound(inside.length + 1, () => 1),
        )
        continue
      }
      const withOwn = sum + own * ownAmount
      features.set(`card_mean_amount_${short}`, count === 0 ? NaN : withOwn / count / 100)
      sums.set(
        `card_mean_amount_${short}`,
        bound(withOwn, (past) => isPurchase(past) * past.amountMinor),
      )
      if (short === '30d') {
        const ratio = sum === 0 ? NaN : ownAmount / (sum / purchases.length)
        features.set('card_amount_ratio_30d', ratio)
      }
    }
  }

  #terminal(
    { terminal, eventTimeMs }: Transaction,
    features: Map<string, number>,
    counts: Map<string, Bounds>,
    frauds: Map<string, number>,
  ): void {
    const past = terminal === null ? [] : this.#atTerminal(terminal)
    const toMs = eventTimeMs - ENTITY_DELAY_MS
    for (const [short, windowMs] of SPANS.slice(1)) {
      const name = `terminal_count_${short}`
      const shareName = `terminal_fraud_share_${short}`
      if (terminal === null) {
        features.set(name, NaN)
        features.set(shareName, NaN)
        continue
      }
      const fromMs = toMs - windowMs
      const inside = past.filter((each) => isWithin(each, fromMs, toMs))
      const isCrowded = (each: Past): boolean =>
        past.filter((other) => other.lane === each.lane && sameHour(other, each)).length >
        HOUR_RAW_MAX
      const lost = inside.filter((each) => sharesHour(each, fromMs) && isCrowded(each))
      const extra = past.filter(
        (each) => sharesHour(each, toMs) && !inside.includes(each) && isCrowded(each),
      )
      const fraudCount = this.#frauds(terminal, fromMs, toMs, eventTimeMs)
      const count = inside.length
      features.set(name, count)
      counts.set(name, { exact: count, low: count - lost.length, high: count + extra.length })
      frauds.set(shareName, fraudCount)
      features.set(shareName, count === 0 ? 0 : Math.min(1, fraudCount / count))
    }
  }

  #atTerminal(terminal: string): readonly Past[] {
    return this.#past.filter(
      (past) =>
        past.countsAtTerminal &&
        past.transaction.terminal === terminal &&
        past.transaction.eventTimeMs >= this.#horizonMs(past.lane, terminal),
    )
  }

  /** A lane remembers ENTITY_RETAIN_MS of a terminal, before the hour of its newest transaction there. */
  #horizonMs(lane: number, terminal: string): number {
    const timesMs = this.#past
      .filter((past) => past.countsAtTerminal && past.lane === lane)
      .filter((past) => past.transaction.terminal === terminal)
      .map((past) => past.transaction.eventTimeMs)
    return Math.floor(Math.max(...timesMs) / HOUR_MS) * HOUR_MS - ENTITY_RETAIN_MS
  }

  /** Transactions whose last word by `asOfMs` is fraud. A genuine word without a fraud before it is no word. */
  #frauds(terminal: string, fromMs: number, toMs: number, asOfMs: number): number {
    const here = this.#labels
      .filter(({ label }) => label.terminal === terminal)
      .filter(({ lane, label }) => label.eventTimeMs >= this.#horizonMs(lane, terminal))
      .map(({ label }) => label)
    let count = 0
    for (const id of new Set(here.map((label) => label.transactionId))) {
      const words = here.filter((label) => label.transactionId === id)
      const firstFraud = words.findIndex((label) => label.verdict === 'fraud')
      const known = words
        .filter((_, index) => firstFraud >= 0 && index >= firstFraud)
        .filter((label) => label.knownAtMs <= asOfMs)
      // Stable: of two words known at the same time the one that came later in the log is the last.
      const word = known.toSorted((a, b) => a.knownAtMs - b.knownAtMs).at(-1)
      if (word?.verdict !== 'fraud') continue
      if (word.eventTimeMs > fromMs && word.eventTimeMs <= toMs) count += 1
    }
    return count
  }
}

function last(
  transaction: Transaction,
  singles: readonly Past[],
  features: Map<string, number>,
): void {
  const { device, eventTimeMs, latitude, longitude } = transaction
  const inReach = singles
    .filter((past) => isWithin(past, eventTimeMs - 30 * DAY_MS, eventTimeMs))
    .map((past) => past.transaction)
  const newest = inReach[0]
  features.set(
    'card_seconds_since_last',
    newest === undefined ? NaN : (eventTimeMs - newest.eventTimeMs) / 1_000,
  )
  const devices = new Set(inReach.map((each) => each.device).filter((each) => each !== null))
  const isUndecided = device === null || devices.size === 0
  features.set('card_device_is_new', isUndecided ? NaN : devices.has(device) ? 0 : 1)
  const from = inReach.find((each) => each.latitude !== null && each.longitude !== null)
  let speedKmh = NaN
  if (from !== undefined && latitude !== null && longitude !== null) {
    const km = arcKm(from.latitude ?? 0, from.longitude ?? 0, latitude, longitude)
    const hours = (eventTimeMs - from.eventTimeMs) / HOUR_MS
    speedKmh = km === 0 ? 0 : Math.min(100_000, km / hours)
  }
  features.set('card_speed_kmh', speedKmh)
}

function isWithin(past: Past, fromMs: number, toMs: number): boolean {
  const { eventTimeMs } = past.transaction
  return eventTimeMs > fromMs && eventTimeMs <= toMs
}

function sharesHour(past: Past, timeMs: number): boolean {
  return Math.floor(past.transaction.eventTimeMs / HOUR_MS) === Math.floor(timeMs / HOUR_MS)
}

function sameHour(a: Past, b: Past): boolean {
  return sharesHour(a, b.transaction.eventTimeMs)
}
