// Goal: each receipt counts once and each block is judged once, in whatever order alerts and receipts are read and
// wherever the service stops. Method: by hand, and by a property over orders and restarts.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  ReceiptJoin,
  type JoinEvent,
  type PlacedReceipt,
  type ReceiptJoinOptions,
} from '../../../services/core/receipt-join.ts'
import type { Alert, Receipt } from '../../../services/core/wire/records.ts'
import { holds } from '../../support/property.ts'
import { minimalAlert } from './wire/samples.ts'

const OPTIONS: ReceiptJoinOptions = {
  waitMs: 100,
  horizonMs: 10_000,
  objectiveMs: 50,
  resendsMax: 0,
  subscribers: null,
  clockSkewMsMax: 20,
  entriesMax: 100,
  heldMax: 2,
}

function open(more: Partial<ReceiptJoinOptions> = {}, judgedToMs = 0): ReceiptJoin {
  return new ReceiptJoin({ ...OPTIONS, ...more }, judgedToMs)
}

function block(alertId: string, decidedAtMs: number, endMs = 100_000): Alert {
  return {
    ...minimalAlert,
    alertId,
    action: 'block',
    lease: { grade: 'suspected', startMs: 0, endMs },
    source: { ...minimalAlert.source, timestampMs: decidedAtMs - 5 },
    decidedAtMs,
  }
}

function placed(
  alertId: string,
  atMs: number,
  more: Partial<PlacedReceipt> = {},
  word: Partial<Receipt> = {},
): PlacedReceipt {
  const receipt: Receipt = {
    alertId,
    revision: 0,
    subscriber: 's',
    status: 'applied',
    reason: null,
    atMs,
    ...word,
  }
  return {
    receipt,
    key: alertId,
    partition: 0,
    offset: 0,
    timestampMs: atMs,
    value: Buffer.alloc(0),
    isAnswered: false,
    isGenuine: true,
    ...more,
  }
}

/** Events in short: their kind, and the field that distinguishes them. */
function short(events: readonly JoinEvent[]): readonly string[] {
  return events.map((event) => {
    switch (event.kind) {
      case 'result':
        return event.result
      case 'fault':
        return event.fault
      case 'receipt':
        return `${event.action} ${event.receipt.status}`
      case 'resend':
        return `resend ${event.attempt}`
      case 'repeated':
      case 'lapse':
      case 'forgotten':
        return event.kind
    }
  })
}

test('a block that is applied is judged by the time from its record', () => {
  const join = open()
  join.takeAlert(block('a', 1_000), false)
  join.takeAlert(block('b', 1_000), false)
  const [receipt, result] = join.takeReceipt(placed('a', 1_045), 1_045)
  assert.deepEqual(result, { kind: 'result', result: 'in_time' })
  assert.ok(receipt?.kind === 'receipt')
  assert.deepEqual([receipt.sinceRecordMs, receipt.sinceDecisionMs], [50, 45])
  assert.deepEqual(short(join.takeReceipt(placed('b', 1_046), 1_046)), ['block applied', 'late'])
  assert.deepEqual(short(join.takeReceipt(placed('b', 1_046), 1_047)), ['repeated'])
  assert.deepEqual(join.tick(9_000), [])
})

test('a receipt that comes before its alert waits for it, and for no longer than a block may', () => {
  const join = open()
  assert.deepEqual(join.takeReceipt(placed('a', 1_010), 1_010), [])
  assert.deepEqual(short(join.takeAlert(block('a', 1_000), false)), ['block applied', 'in_time'])
  join.takeReceipt(placed('b', 1_010), 1_010)
  assert.deepEqual(short(join.tick(1_109)), [])
  assert.deepEqual(short(join.tick(1_110)), ['unknown_alert'])
  assert.equal(join.heldCount, 0)
})

test('what cannot be is a fault, and of too many that wait the newest', () => {
  const join = open({ subscribers: new Set(['s']) })
  join.takeAlert(block('a', 1_000), false)
  const fault = (receipt: PlacedReceipt): readonly string[] =>
    short(join.takeReceipt(receipt, 1_010))
  assert.deepEqual(fault(placed('a', 1_010, { key: 'b' })), ['wrong_key'])
  assert.deepEqual(fault(placed('a', 1_010, {}, { subscriber: 'x' })), ['unknown_subscriber'])
  assert.deepEqual(fault(placed('a', 1_010, { isGenuine: false })), ['forged'])
  assert.deepEqual(fault(placed('a', 1_031)), ['from_the_future'])
  assert.deepEqual(fault(placed('a', 979)), ['before_its_alert'])
  assert.deepEqual(fault(placed('a', 1_010, {}, { status: 'unknown' })), ['unreadable'])
  assert.deepEqual(fault(placed('a', 1_030)), ['block applied', 'in_time'])
  assert.deepEqual([fault(placed('x', 1_010)), fault(placed('y', 1_010))], [[], []])
  assert.deepEqual(fault(placed('z', 1_010)), ['unknown_alert'])
})

test('a block without receipt is judged once and lapses, or is sent again while its lease runs', () => {
  const lapsing = open()
  lapsing.takeAlert(block('a', 1_000), false)
  assert.deepEqual(short(lapsing.tick(1_099)), [])
  assert.deepEqual(short(lapsing.tick(1_100)), ['unanswered', 'lapse'])
  assert.deepEqual(short(lapsing.tick(2_000)), [])
  assert.deepEqual(lapsing.waiting(2_000), { all: 1, overdue: 1 })
  assert.deepEqual(short(lapsing.takeReceipt(placed('a', 2_001), 2_001)), ['block applied'])
  assert.deepEqual(lapsing.waiting(2_001), { all: 0, overdue: 0 })

  const resending = open({ resendsMax: 3 })
  resending.takeAlert(block('a', 1_000, 1_250), false)
  assert.deepEqual(short(resending.tick(1_100)), ['unanswered', 'resend 1'])
  assert.deepEqual(short(resending.tick(1_199)), [])
  assert.deepEqual(short(resending.tick(1_200)), ['resend 2'])
  assert.deepEqual(short(resending.tick(1_300)), ['lapse'])
})

test('all who must answer have to; a refusal decides at once', () => {
  const join = open({ subscribers: new Set(['s', 't']) })
  join.takeAlert(block('a', 1_000), false)
  join.takeAlert(block('b', 1_000), false)
  assert.deepEqual(short(join.takeReceipt(placed('a', 1_010), 1_010)), ['block applied'])
  const other = placed('a', 1_020, {}, { subscriber: 't' })
  assert.deepEqual(short(join.takeReceipt(other, 1_020)), ['block applied', 'in_time'])
  const refusal = placed('b', 1_020, {}, { status: 'refused' })
  assert.deepEqual(short(join.takeReceipt(refusal, 1_020)), ['block refused', 'refused'])
  assert.deepEqual(short(join.tick(1_100)), ['lapse'])
})

test('too many alerts push out the oldest, and old ones are forgotten', () => {
  const join = open({ entriesMax: 2 })
  join.takeAlert(block('a', 1_000), false)
  join.takeAlert(block('b', 1_001), false)
  assert.deepEqual(short(join.takeAlert(block('c', 1_002), false)), ['forgotten'])
  assert.equal(join.size, 2)
  join.tick(1_001 + OPTIONS.horizonMs)
  assert.equal(join.size, 1)
})

type Step =
  | { readonly kind: 'alert'; readonly alert: Alert }
  | { readonly kind: 'receipt'; readonly placed: PlacedReceipt }
  | { readonly kind: 'tick'; readonly nowMs: number }

/** One block in time, one answered after it was judged, one never, and a receipt without an alert. */
const STORY: readonly Step[] = [
  { kind: 'alert', alert: block('a', 1_000) },
  { kind: 'receipt', placed: placed('a', 1_020) },
  { kind: 'receipt', placed: placed('a', 1_020) },
  { kind: 'alert', alert: block('b', 1_010) },
  { kind: 'alert', alert: block('c', 1_020) },
  { kind: 'receipt', placed: placed('none', 1_030) },
  { kind: 'tick', nowMs: 1_100 },
  { kind: 'tick', nowMs: 1_150 },
  { kind: 'receipt', placed: placed('b', 1_160) },
  { kind: 'tick', nowMs: 1_400 },
]

const WHOLE = [
  'block applied',
  'block applied',
  'in_time',
  'lapse',
  'lapse',
  'repeated',
  'unanswered',
  'unanswered',
  'unknown_alert',
]

function play(
  join: ReceiptJoin,
  steps: readonly Step[],
  isAnswered: boolean,
): readonly JoinEvent[] {
  return steps.flatMap((step) => {
    switch (step.kind) {
      case 'alert':
        return join.takeAlert(step.alert, isAnswered)
      case 'receipt':
        return join.takeReceipt({ ...step.placed, isAnswered }, step.placed.receipt.atMs)
      case 'tick':
        // Records that are read again are not judged until all of them are read.
        return isAnswered ? [] : join.tick(step.nowMs)
    }
  })
}

test('wherever the watch stops and starts again, everything is told once', () => {
  assert.deepEqual(short(play(open(), STORY, false)).toSorted(), WHOLE)
  const stops = fc.uniqueArray(fc.integer({ min: 0, max: STORY.length }), { maxLength: 3 })
  holds(
    200,
    fc.property(stops, (places) => {
      const events: JoinEvent[] = []
      let join = open()
      let done = 0
      for (const stop of [...places.toSorted((a, b) => a - b), STORY.length]) {
        events.push(...play(join, STORY.slice(done, stop), false))
        done = stop
        // Restarted: answered records are read again, and the time up to which blocks were judged is known.
        const next = open({}, join.judgedToMs)
        assert.deepEqual(play(next, STORY.slice(0, done), true), [])
        join = next
      }
      assert.deepEqual(short(events).toSorted(), WHOLE)
    }),
  )
})
