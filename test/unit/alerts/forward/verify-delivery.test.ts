import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '../../../../services/platform/config/secrets.ts'
import {
  type DeliveryHeaders,
  signatureHeader,
  TOLERANCE_MS,
} from '../../../../services/alerts/forward/signature.ts'
import {
  DELIVERY_REFUSALS,
  REFUSAL_STATUS,
  SeenDeliveries,
  verifyDelivery,
  type DeliveryVerdict,
} from '../../../../services/alerts/forward/index.ts'

const KEY = new Secret('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')
const NOW_MS = 1_700_000_000_000
const BODY = Buffer.from('{"id":"a.0"}')

function headersOf(id = 'a.0', atMs = NOW_MS, body: Uint8Array = BODY): Record<string, string> {
  const timestampS = Math.floor(atMs / 1_000)
  return {
    'webhook-id': id,
    'webhook-timestamp': String(timestampS),
    'webhook-signature': signatureHeader([KEY], id, timestampS, body),
  }
}

/** Refusal of a delivery, or `accepted`. */
function outcomeOf(
  headers: DeliveryHeaders,
  more: { body?: Uint8Array; seen?: SeenDeliveries; nowMs?: number } = {},
) {
  const { body = BODY, seen = new SeenDeliveries(), nowMs = NOW_MS } = more
  const verdict = verifyDelivery({ headers, body, keys: [KEY], seen, nowMs, bodyBytesMax: 100 })
  return verdict.isAccepted ? 'accepted' : verdict.refusal
}

test('a delivery that is signed, of now and new is accepted, with its id and time', () => {
  const verdict: DeliveryVerdict = verifyDelivery({
    headers: headersOf(),
    body: BODY,
    keys: [KEY],
    seen: new SeenDeliveries(),
    nowMs: NOW_MS,
  })
  deepStrictEqual(verdict, { isAccepted: true, id: 'a.0', sentAtMs: NOW_MS })
})

test('each refusal has its case, and an answer', () => {
  const good = headersOf()
  const seen = new SeenDeliveries()
  strictEqual(outcomeOf(good, { seen }), 'accepted')
  const long = Buffer.alloc(101)
  const cases = {
    body_too_large: outcomeOf(headersOf('a.0', NOW_MS, long), { body: long }),
    headers_missing: outcomeOf({ ...good, 'webhook-signature': undefined }),
    headers_invalid: outcomeOf({ ...good, 'webhook-timestamp': '17e8' }),
    too_old: outcomeOf(headersOf('a.0', NOW_MS - TOLERANCE_MS - 1_000)),
    too_new: outcomeOf(headersOf('a.0', NOW_MS + TOLERANCE_MS + 1_000)),
    signature_wrong: outcomeOf(good, { body: Buffer.from('{"id":"b.0"}') }),
    replayed: outcomeOf(good, { seen }),
  }
  deepStrictEqual(
    Object.entries(cases).filter(([expected, found]) => expected !== found),
    [],
  )
  deepStrictEqual(Object.keys(cases), [...DELIVERY_REFUSALS])
  deepStrictEqual(Object.keys(REFUSAL_STATUS), [...DELIVERY_REFUSALS])
})

test('times at the edge of the tolerance are accepted', () => {
  for (const atMs of [NOW_MS - TOLERANCE_MS, NOW_MS + TOLERANCE_MS]) {
    strictEqual(outcomeOf(headersOf('a.0', atMs)), 'accepted')
  }
})

test('a header that came twice, and an id that could hold a part of a body, are invalid', () => {
  strictEqual(outcomeOf({ ...headersOf(), 'webhook-id': ['a.0', 'b.0'] }), 'headers_invalid')
  for (const id of ['', 'a{', 'a b', 'a'.repeat(129)]) {
    strictEqual(outcomeOf(headersOf(id)), 'headers_invalid', id)
  }
})

test('an id of a delivery that is refused is not remembered', () => {
  const seen = new SeenDeliveries()
  strictEqual(outcomeOf(headersOf(), { seen, body: Buffer.from('forged') }), 'signature_wrong')
  strictEqual(outcomeOf(headersOf(), { seen }), 'accepted')
})

test('a delivery that was forgotten is accepted again', () => {
  const seen = new SeenDeliveries()
  strictEqual(outcomeOf(headersOf(), { seen }), 'accepted')
  seen.forget('a.0')
  strictEqual(outcomeOf(headersOf(), { seen }), 'accepted')
})

test('for as long as a copy passes the test of its time, it is a replay', () => {
  const seen = new SeenDeliveries()
  const early = headersOf('a.0', NOW_MS + TOLERANCE_MS)
  strictEqual(outcomeOf(early, { seen }), 'accepted')
  const lastMs = NOW_MS + 2 * TOLERANCE_MS
  // Another delivery in between triggers the removal of old ids.
  strictEqual(outcomeOf(headersOf('b.0', lastMs), { seen, nowMs: lastMs }), 'accepted')
  strictEqual(outcomeOf(early, { seen, nowMs: lastMs }), 'replayed')
  strictEqual(outcomeOf(early, { seen, nowMs: lastMs + 1_000 }), 'too_old')
})

test('memory of ids is bounded, the oldest go first, and those out of time go at once', () => {
  const seen = new SeenDeliveries(3)
  for (const id of ['a', 'b', 'c', 'd']) ok(seen.remember(id, NOW_MS))
  strictEqual(seen.size, 3)
  ok(!seen.remember('b', NOW_MS))
  ok(seen.remember('a', NOW_MS))
  ok(seen.remember('e', NOW_MS + 2 * TOLERANCE_MS + 1))
  strictEqual(seen.size, 1)
})
