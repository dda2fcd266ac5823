import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type ForwardLetter, parseLetter } from '../../../../services/alerts/forward/redeliver.ts'
import { FORWARD_DEAD_REASONS } from '../../../../services/platform/metrics/alerts-telemetry.ts'

const letters: fc.Arbitrary<ForwardLetter> = fc.record(
  {
    kind: fc.constantFrom('dead' as const, 'redelivered' as const),
    target: fc.string({ maxLength: 40 }),
    partition: fc.nat(),
    offset: fc.nat(),
    eventId: fc.option(fc.string({ maxLength: 64 })),
    reason: fc.option(fc.constantFrom(...FORWARD_DEAD_REASONS)),
    status: fc.option(fc.nat(599)),
    attempts: fc.nat(),
    atMs: fc.nat(),
  },
  { noNullPrototype: true },
)

test('every letter is read as it was written, and without any of its fields it is none', () => {
  fc.assert(
    fc.property(letters, (letter) => {
      deepStrictEqual(parseLetter(Buffer.from(JSON.stringify(letter))), letter)
      for (const field of Object.keys(letter)) {
        const rest = Object.fromEntries(Object.entries(letter).filter(([name]) => name !== field))
        strictEqual(parseLetter(Buffer.from(JSON.stringify(rest))), null, field)
      }
    }),
  )
})

test('what is no letter is none, and nothing throws', () => {
  for (const text of ['', 'null', '[]', '1', '{', '{"kind":"other"}', ' '.repeat(5_000)]) {
    strictEqual(parseLetter(Buffer.from(text)), null, text)
  }
  strictEqual(parseLetter(null), null)
})
