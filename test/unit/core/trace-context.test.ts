import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  formatTraceparent,
  isInRatio,
  isTracestate,
  parseTraceparent,
  traceHeadersOf,
  traceParentOf,
} from '../../../services/core/trace-context.ts'
import { holds } from '../../support/property.ts'

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN_ID = '00f067aa0ba902b7'
const VALID = `00-${TRACE_ID}-${SPAN_ID}-01`

function hex(length: number): fc.Arbitrary<string> {
  const digit = fc.integer({ min: 0, max: 15 }).map((value) => value.toString(16))
  return fc
    .array(digit, { minLength: length, maxLength: length })
    .map((digits) => digits.join(''))
    .filter((text) => !/^0+$/.test(text))
}

test('what is written is read back, and what is read is written back', () => {
  holds(
    1_000,
    fc.property(hex(32), hex(16), fc.boolean(), (traceId, spanId, isSampled) => {
      const parent = { traceId, spanId, isSampled }
      const text = formatTraceparent(parent)
      deepStrictEqual(parseTraceparent(text), parent)
      strictEqual(formatTraceparent(parseTraceparent(text) ?? parent), text)
    }),
  )
})

test('flags other than sampled are read over, and a later version is read as far as it is known', () => {
  const parent = { traceId: TRACE_ID, spanId: SPAN_ID }
  deepStrictEqual(parseTraceparent(VALID), { ...parent, isSampled: true })
  deepStrictEqual(parseTraceparent(VALID.replace(/01$/, 'fe')), { ...parent, isSampled: false })
  deepStrictEqual(parseTraceparent(VALID.replace(/01$/, 'ff')), { ...parent, isSampled: true })
  for (const later of [`01${VALID.slice(2)}`, `cc${VALID.slice(2)}-what the future holds`])
    deepStrictEqual(parseTraceparent(later), { ...parent, isSampled: true })
})

test('a traceparent that the Recommendation does not allow is none', () => {
  for (const text of [
    '',
    '00',
    VALID.slice(0, -1),
    `${VALID}-`,
    `${VALID}-more`,
    ` ${VALID}`,
    `${VALID} `,
    `ff${VALID.slice(2)}`,
    `01${VALID.slice(2)}more`,
    `0${VALID.slice(2)}`,
    `0G${VALID.slice(2)}`,
    VALID.toUpperCase(),
    VALID.replace(TRACE_ID, '0'.repeat(32)),
    VALID.replace(SPAN_ID, '0'.repeat(16)),
    VALID.replace('4bf9', '4bfg'),
    VALID.replace(/-01$/, '-0x'),
    VALID.replaceAll('-', '_'),
    `00-${TRACE_ID}-${SPAN_ID}`,
    `01${VALID.slice(2)}-${'x'.repeat(100)}`,
    `${VALID}\n`,
  ])
    strictEqual(parseTraceparent(text), null, JSON.stringify(text))
})

test('reading headers never throws, and a valid result is what was in them', () => {
  const value = fc.oneof(
    fc.string().map((text) => Buffer.from(text)),
    fc.string(),
    fc.constantFrom(VALID, Buffer.from(VALID), [Buffer.from(VALID)], undefined),
    fc.array(fc.constantFrom('a=1', 'b=2', VALID), { maxLength: 40 }),
  )
  holds(
    1_000,
    fc.property(value, value, (traceparent, tracestate) => {
      const found = traceHeadersOf({ traceparent, tracestate })
      strictEqual(found === null, traceParentOf({ traceparent }) === null)
      if (found !== null) strictEqual(found.traceparent, String(traceparent))
      if (found?.tracestate !== undefined) ok(isTracestate(found.tracestate))
    }),
  )
})

test('two headers of one name make no traceparent, and one list of a tracestate', () => {
  const bytes = Buffer.from(VALID)
  strictEqual(traceHeadersOf({ traceparent: [bytes, bytes] }), null)
  strictEqual(traceHeadersOf(undefined), null)
  deepStrictEqual(traceHeadersOf({ traceparent: bytes, tracestate: [Buffer.from('a=1'), 'b=2'] }), {
    traceparent: VALID,
    tracestate: 'a=1,b=2',
  })
})

test('a tracestate is passed on whole or not at all, and never decides about the traceparent', () => {
  const many = (count: number) => Array.from({ length: count }, (_, index) => `k${index}=v`).join()
  const valid = [
    'a=1',
    'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE',
    'fw529a3039@dt=FfAuBAABBA',
    '0a@b=x',
  ]
  const alsoValid = ['a=1, b=2', 'a=1,,b=2', `a=${'x'.repeat(256)}`, many(32), 'a=b c', 'a*/_-=!~']
  for (const text of [...valid, ...alsoValid]) {
    deepStrictEqual(
      traceHeadersOf({ traceparent: VALID, tracestate: Buffer.from(text) }),
      { traceparent: VALID, tracestate: text },
      text,
    )
  }
  const invalid = [
    '',
    ',',
    'a',
    'a=',
    '=1',
    'A=1',
    '1a=1',
    'a=1,a=2',
    'a=b=c',
    'a=é',
    'a@=1',
    '@b=1',
  ]
  const tooMuch = [
    many(33),
    `a=${'x'.repeat(257)}`,
    `${'k'.repeat(257)}=1`,
    many(32).padEnd(513, 'x'),
  ]
  for (const text of [...invalid, ...tooMuch, 'a=1\n', 'ab@c@d=1', `a@${'b'.repeat(15)}=1`])
    deepStrictEqual(
      traceHeadersOf({ traceparent: VALID, tracestate: text }),
      { traceparent: VALID },
      text,
    )
})

test('a share of traces is about that share, the same ones each time, and more of them for a larger share', () => {
  const ids = Array.from({ length: 20_000 }, (_, index) =>
    (BigInt(index + 1) * 0x9e3779b97f4a7c15f39cc0605cedc835n)
      .toString(16)
      .padStart(32, '0')
      .slice(-32),
  )
  const chosen = (ratio: number) => ids.filter((id) => isInRatio(id, ratio))
  strictEqual(chosen(0).length, 0)
  strictEqual(chosen(1).length, ids.length)
  const small = chosen(0.01)
  ok(small.length > 120 && small.length < 280, String(small.length))
  const large = new Set(chosen(0.1))
  ok(small.every((id) => large.has(id)))
})
