// A sequence is what a list of the card's payments says, and nothing that came later in the log is in it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FEATURE_PLAN } from '../../../../../services/core/features/engine/partition-fold.ts'
import { CardHistory } from '../../../../../services/core/features/state/card-history.ts'
import {
  CARD_RAW_MAX,
  CARD_RETAIN_MS,
} from '../../../../../services/core/features/state/card-limits.ts'
import {
  SEQUENCE_EVENTS,
  SEQUENCE_LENGTH,
  SEQUENCE_WIDTH,
  writeSequence,
} from '../../../../../services/core/features/engine/card-sequence.ts'
import { CARD_REACH_MS, HOUR_MS } from '../../../../../services/core/features/catalogue/time.ts'
import { STREAM_START_MS } from '../../../../support/feature-streams.ts'
import { PLAIN_EVENT } from '../plain-event.ts'

interface Payment {
  readonly timeMs: number
  readonly idHash: number
  readonly amountMinor: number
  readonly offset: number
  readonly categoryHash: number
  readonly utcOffsetMinutes: number
}

/** What each payment has besides, by its number: some have no category. */
function kindOf(number: number): Pick<Payment, 'categoryHash' | 'utcOffsetMinutes'> {
  return { categoryHash: [0, 700, 701][number % 3] ?? 0, utcOffsetMinutes: (number % 5) * 90 - 180 }
}

function historyOf(payments: readonly Payment[]): CardHistory {
  const history = new CardHistory()
  for (const payment of payments) history.insert({ ...PLAIN_EVENT, ...payment }, false)
  return history
}

function sequenceOf(
  history: CardHistory,
  own: Pick<Payment, 'timeMs' | 'idHash'>,
  nextOffset: number,
): readonly number[] {
  const out = new Float64Array(SEQUENCE_LENGTH + 2).fill(-5)
  writeSequence(history, own.timeMs, own.idHash, nextOffset, { values: out, position: 1 })
  assert.deepEqual([out.at(0), out.at(-1)], [-5, -5])
  return [...out.subarray(1, -1)]
}

function naive(
  payments: readonly Payment[],
  own: Pick<Payment, 'timeMs' | 'idHash'>,
  nextOffset: number,
): readonly number[] {
  const newestFirst = payments
    .filter(({ offset }) => offset < nextOffset)
    .toSorted((a, b) => b.timeMs - a.timeMs || b.idHash - a.idHash)
  const before = newestFirst
    .filter(({ timeMs, idHash }) =>
      timeMs === own.timeMs ? idHash < own.idHash : timeMs < own.timeMs,
    )
    .filter(({ timeMs }) => own.timeMs - timeMs < CARD_REACH_MS)
    .filter(({ timeMs }) => timeMs >= (newestFirst[0]?.timeMs ?? 0) - CARD_RETAIN_MS)
    .slice(0, SEQUENCE_EVENTS)
    .flatMap(({ amountMinor, timeMs, categoryHash, utcOffsetMinutes }) => {
      const local = new Date(timeMs + utcOffsetMinutes * 60_000)
      const midnight = Date.UTC(local.getUTCFullYear(), local.getUTCMonth(), local.getUTCDate())
      return [amountMinor, own.timeMs - timeMs, local.getTime() - midnight, categoryHash]
    })
  return Array.from({ length: SEQUENCE_LENGTH }, (_, at) => before[at] ?? NaN)
}

/** Few moments, so that many are equal; payments come in an order of their own. */
const anyPayments = fc
  .array(fc.record({ minute: fc.nat(30), amountMinor: fc.nat(9_999) }), { maxLength: 60 })
  .map((drawn) =>
    drawn.map(({ minute, amountMinor }, offset): Payment => {
      const idHash = 1 + ((offset * 37) % 61)
      const timeMs = STREAM_START_MS + minute * 60_000
      return { timeMs, idHash, amountMinor, offset, ...kindOf(offset) }
    }),
  )

const anyOwn = fc.record({
  timeMs: fc.nat(31).map((minute) => STREAM_START_MS + minute * 60_000),
  idHash: fc.nat(62),
})

test('a sequence holds the newest payments before (time, id), newest first, below the offset alone', () => {
  fc.assert(
    fc.property(anyPayments, anyOwn, fc.nat(61), (payments, own, nextOffset) => {
      assert.deepEqual(
        sequenceOf(historyOf(payments), own, nextOffset),
        naive(payments, own, nextOffset),
      )
    }),
  )
})

test('what comes at or after the offset changes nothing, so a decision that is made again sees the same', () => {
  fc.assert(
    fc.property(anyPayments, anyOwn, fc.nat(61), (payments, own, nextOffset) => {
      const earlier = payments.filter(({ offset }) => offset < nextOffset)
      assert.deepEqual(
        sequenceOf(historyOf(payments), own, nextOffset),
        sequenceOf(historyOf(earlier), own, Infinity),
      )
    }),
  )
})

/** Weeks of payments, some of them late, and after which of them the history is made small. */
const anyWeeks = fc.array(
  fc.record({
    gapHours: fc.oneof(fc.nat(2), fc.nat(120)),
    lateHours: fc.oneof(fc.constant(0), fc.nat(60), fc.nat(1_000)),
    isCompacted: fc.boolean(),
  }),
  { minLength: 20, maxLength: 60 },
)

test('a sequence does not tell whether what is too old was already forgotten, or an old payment settled', () => {
  let forgotten = 0
  fc.assert(
    fc.property(anyWeeks, (drawn) => {
      const history = new CardHistory()
      const payments: Payment[] = []
      let nowMs = STREAM_START_MS
      for (const [offset, { gapHours, lateHours, isCompacted }] of drawn.entries()) {
        nowMs += gapHours * HOUR_MS
        const payment: Payment = {
          timeMs: Math.max(STREAM_START_MS, nowMs - lateHours * HOUR_MS),
          idHash: 1 + ((offset * 37) % 61),
          amountMinor: 100 + offset,
          offset,
          ...kindOf(offset),
        }
        assert.deepEqual(sequenceOf(history, payment, offset), naive(payments, payment, offset))
        // A partition does not remember what is later than that: it may have settled what came after.
        if (lateHours <= 60) {
          history.insert({ ...PLAIN_EVENT, ...payment }, false)
          payments.push(payment)
        }
        if (isCompacted) history.compact(offset + 1)
      }
      forgotten += payments.length - history.count
    }),
  )
  assert.ok(forgotten > 100, `only ${forgotten} payments were forgotten`)
})

test('only payments that count singly are seen: a very late one finds none before it', () => {
  const payments = Array.from({ length: CARD_RAW_MAX + 2 }, (_, offset) => ({
    timeMs: STREAM_START_MS + offset * 1_000,
    idHash: offset + 1,
    amountMinor: 100 + offset,
    offset,
    ...kindOf(0),
  }))
  const history = historyOf(payments)
  const at = (second: number) =>
    sequenceOf(history, { timeMs: STREAM_START_MS + second * 1_000, idHash: 0 }, Infinity).filter(
      (value) => !Number.isNaN(value),
    )
  assert.deepEqual(at(2), [])
  assert.deepEqual(
    at(4).filter((_, index) => index % SEQUENCE_WIDTH < 2),
    [103, 1_000, 102, 2_000],
  )
})

test('where no feature has the card keep them, time of day is that of UTC and there is no category', () => {
  const history = new CardHistory()
  const payment = { ...PLAIN_EVENT, timeMs: STREAM_START_MS + 5_000, ...kindOf(4) }
  history.insert(payment, false, { references: new Set(), places: false, localTime: false })
  const own = { timeMs: STREAM_START_MS + 9_000, idHash: 1 }
  assert.deepEqual(sequenceOf(history, own, Infinity).slice(0, SEQUENCE_WIDTH), [
    ...[payment.amountMinor, 4_000, 5_000, 0],
  ])
})

test('the features of the product have cards keep what sequences hold', () => {
  const { references, localTime } = FEATURE_PLAN.card.kept
  assert.deepEqual([references.has('category'), localTime], [true, true])
})
