// Goal: logged values are plain, bounded and without card numbers, whatever the input.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SluiceError } from '../../../services/core/errors.ts'
import { redact, redactLine } from '../../../services/platform/redact.ts'
import { cardNumbers, groupings, showsNumber } from '../../support/card-numbers.ts'
import { holds } from '../../support/property.ts'

/** Puts a text somewhere into a value: as itself, a key, a part of an error, a map, and so on. */
const nestings: fc.Arbitrary<(text: string) => unknown> = fc.constantFrom<
  ((text: string) => unknown)[]
>(
  (text) => text,
  (text) => ({ field: text }),
  (text) => ({ [text]: 1 }),
  (text) => ({ [`key ${text}`]: { deep: text } }),
  (text) => [1, text, null],
  (text) => new Error(`failed for ${text}`),
  (text) => new Error('outer', { cause: new Error(text) }),
  (text) => new AggregateError([new Error(text), text], text),
  (text) => new SluiceError('SLUICE_USAGE', 'no', { details: { value: text } }),
  (text) => Object.assign(new Error('e'), { code: text, name: text }),
  (text) =>
    new Map<unknown, unknown>([
      [text, { value: text }],
      [{ key: text }, 1],
    ]),
  (text) => new Set([text]),
  (text) => Buffer.from(text),
  (text) => new TextEncoder().encode(text),
  (text) => ({ toJSON: () => ({ text }) }),
  (text) => Object(text) as unknown,
  (text) => Symbol(text),
  (text) => ({
    get field() {
      return text
    },
  }),
  (text) => ({
    number: Number(text.replace(/\D/g, '').slice(0, 15)),
    big: BigInt(text.replace(/\D/g, '')),
  }),
)

test('no card number comes out, in any nesting and any grouping', () => {
  const pairs = fc.array(nestings, { minLength: 1, maxLength: 4 })
  holds(
    2_000,
    fc.property(cardNumbers, groupings, pairs, (number, grouping, path) => {
      let value: unknown = grouping(number)
      for (const nest of path) {
        value =
          typeof value === 'string' ? nest(value) : { nested: value, plain: nest(grouping(number)) }
      }
      const line = JSON.stringify(redact(value))
      ok(!showsNumber(line, number), line)
      // As a reader of the JSON sees it, with escapes removed.
      ok(!showsNumber(line.replace(/\\[a-z]/g, ' ').replace(/\\u[0-9a-f]{4}/g, ' '), number), line)
    }),
  )
})

test('numbers of 13 to 16 digits that pass the check are masked as numbers, too, but not times', () => {
  deepStrictEqual(redact({ a: 4111111111111111, b: 4222222222222n, c: 4111111111111111.5 }), {
    a: '[redacted]',
    b: '[redacted]',
    c: '[redacted]',
  })
  // This number passes the check; the name of the field shows that it is a time.
  const timeMs = 1_784_280_000_003 + luhnGap(1_784_280_000_003)
  deepStrictEqual(redact({ timeMs }), { timeMs })
  deepStrictEqual(redact({ time: timeMs }), { time: '[redacted]' })
  deepStrictEqual(redact({ offset: 123_456_789, share: 0.7342918273645, none: NaN }), {
    offset: 123_456_789,
    share: 0.7342918273645,
    none: 'NaN',
  })
})

/** Distance to the next number that passes the check. */
function luhnGap(from: number): number {
  for (let gap = 0; ; gap += 1) {
    if (redact({ x: from + gap }) instanceof Object) {
      const { x } = redact({ x: from + gap }) as { x: unknown }
      if (x !== from + gap) return gap
    }
  }
}

test('secrets are masked by the names of their fields', () => {
  deepStrictEqual(redact({ user: 'a', password: 'b', saslToken: 'c', apiKey: { d: 1 } }), {
    user: 'a',
    password: '[redacted]',
    saslToken: '[redacted]',
    apiKey: '[redacted]',
  })
})

test('cycles, depth, width and length have limits', () => {
  const cyclic: Record<string, unknown> = { name: 'a' }
  cyclic['self'] = cyclic
  deepStrictEqual(redact(cyclic), { name: 'a', self: '[cyclic]' })
  let deep: unknown = '4111111111111111'
  for (let depth = 0; depth < 10_000; depth += 1) deep = { deep }
  ok(JSON.stringify(redact(deep)).includes('[too deep]'))
  const wide = Object.fromEntries(
    Array.from({ length: 10_000 }, (_, index) => [`f${index}`, index]),
  )
  ok(JSON.stringify(redact(wide)).length < 2_000)
  const bushy = Array.from({ length: 64 }, () =>
    Array.from({ length: 64 }, () => Array<number>(64).fill(1)),
  )
  ok(JSON.stringify(redact(bushy)).length < 100_000)
  const line = redactLine('x'.repeat(1_000_000))
  ok(line.length < 9_000 && line.endsWith('more characters]'), line.slice(-40))
})

test('a card number that the limit of a text would cut in two shows no part of it', () => {
  for (let shift = 0; shift < 24; shift += 1) {
    const line = redactLine(`${'x'.repeat(8_192 - shift)}4111 1111 1111 1111 ${'x'.repeat(100)}`)
    ok(!/\d{4}/.test(line.slice(0, 8_192)), line.slice(8_150))
  }
})

test('what cannot be read does not throw', () => {
  const hostile = new Proxy(
    {},
    {
      ownKeys() {
        throw new Error('no')
      },
    },
  )
  const fields = {
    hostile,
    get field(): string {
      throw new Error('no')
    },
    json: {
      toJSON() {
        throw new Error('no')
      },
    },
    call: () => 1,
  }
  deepStrictEqual(redact(fields), {
    hostile: '[unreadable]',
    field: '[unreadable]',
    json: '[unreadable]',
    call: '[function]',
  })
  strictEqual(redact(null), null)
})

test('of an error its name, text, place, code, causes and parts are kept, and not what it drags along', () => {
  const error = Object.assign(new Error('no answer', { cause: new Error('closed') }), {
    code: 'ECONNREFUSED',
    command: { name: 'set', args: ['card-token', 'value'] },
  })
  const copy = redact(error) as Record<string, unknown>
  strictEqual(copy['code'], 'ECONNREFUSED')
  strictEqual((copy['cause'] as Record<string, unknown>)['message'], 'closed')
  strictEqual('command' in copy, false)
})
