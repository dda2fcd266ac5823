// Goal: a list matches exactly its entries, each until it expires.

import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  entryProblem,
  kindOfValue,
  LIST_LIMITS,
  type ListEntry,
  ListIndex,
  listProblem,
  listText,
  networkOf,
  rangeOf,
  readList,
  withEntry,
  withoutValue,
} from '../../../../services/core/policy/policy-lists.ts'
import { holds } from '../../../support/property.ts'

function entryOf(value: string, fields: Partial<ListEntry> = {}): ListEntry {
  return { kind: kindOfValue(value), value, reason: 'r', author: 'a', endMs: null, ...fields }
}

function finds(entries: readonly ListEntry[], value: string, atMs = 0): string | null {
  return new ListIndex({ name: 'l', entries }).find(value, atMs)?.value ?? null
}

/** 32 bits, by the simplest algorithm. */
function bitsOf(address: readonly number[]): string {
  return address.map((byte) => byte.toString(2).padStart(8, '0')).join('')
}

test('an address is in a network when its first bits are those of the network', () => {
  const byte = fc.integer({ min: 0, max: 255 })
  const address = fc.tuple(byte, byte, byte, byte)
  holds(
    1_000,
    fc.property(
      address,
      address,
      fc.integer({ min: 0, max: 32 }),
      fc.integer({ min: 0, max: 32 }),
      (one, other, bits, near) => {
        // Half of the time the first bits agree, or nothing would ever be found.
        const mixed = bitsOf(one).slice(0, near) + bitsOf(other).slice(near)
        const asked = [0, 8, 16, 24].map((at) => parseInt(mixed.slice(at, at + 8), 2)).join('.')
        const isInside = mixed.startsWith(bitsOf(one).slice(0, bits))
        const network = `${one.join('.')}/${bits}`
        strictEqual(finds([entryOf(network)], asked), isInside ? network : null)
      },
    ),
  )
})

test('a network contains its subnets, in both families, and no other family', () => {
  const entries = [entryOf('10.0.0.0/8'), entryOf('2001:db8::/32')]
  strictEqual(finds(entries, '10.1.2.0/24'), '10.0.0.0/8')
  strictEqual(finds(entries, '0.0.0.0/0'), null)
  strictEqual(finds(entries, '2001:db8:1::5'), '2001:db8::/32')
  strictEqual(finds(entries, '2001:db9::5'), null)
  strictEqual(finds(entries, 'no address'), null)
  strictEqual(finds([entryOf('10.0.0.0/8'), entryOf('10.1.0.0/16')], '10.1.2.3'), '10.1.0.0/16')
})

test('a range contains texts of its length between its ends, and addresses between addresses', () => {
  const entries = [entryOf('4800..4899'), entryOf('192.0.2.5..192.0.2.9')]
  deepStrictEqual(
    ['4800', '4850', '4899', '4900', '48', '48500', '192.0.2.7', '192.0.2.10'].map(
      (value) => finds(entries, value) !== null,
    ),
    [true, true, true, false, false, false, true, false],
  )
})

test('an entry counts until it expires; then a wider one applies', () => {
  const entries = [entryOf('10.0.0.0/8'), entryOf('10.1.0.0/16', { endMs: 100 })]
  strictEqual(finds(entries, '10.1.2.3', 99), '10.1.0.0/16')
  strictEqual(finds(entries, '10.1.2.3', 100), '10.0.0.0/8')
  strictEqual(finds([entryOf('card', { endMs: 100 })], 'card', 100), null)
})

test('malformed networks and ranges are refused; other texts are plain values', () => {
  strictEqual(networkOf('10.0.0.0/33'), null)
  strictEqual(networkOf('1'), null)
  strictEqual(networkOf('10.0.0.0/8/8'), null)
  strictEqual(rangeOf('b..a'), null)
  strictEqual(rangeOf('192.0.2.9..192.0.2.1'), null)
  strictEqual(rangeOf('a..'), null)
  deepStrictEqual(['a/b', '10.0.0.0/8', 'a..b'].map(kindOfValue), ['value', 'network', 'range'])
  // A malformed network or range is refused, unless it is declared a value.
  for (const mistyped of ['10.0.0.0/99', '2001:db8::/200', 'ab..c', 'b..a']) {
    ok(entryProblem(entryOf(mistyped)) !== null, mistyped)
    strictEqual(entryProblem(entryOf(mistyped, { kind: 'value' })), null)
  }
  ok(entryProblem(entryOf('x', { kind: 'network' }))?.includes('is not a network'))
  ok(entryProblem(entryOf('x', { kind: 'range' }))?.includes('is not a range'))
  strictEqual(entryProblem(entryOf('card-1')), null)
})

test('a card number is never put on a list, nor repeated in the error', () => {
  const problem = entryProblem(entryOf('4111111111111111')) ?? ''
  ok(problem.includes('card number'))
  ok(!problem.includes('4111'))
})

test('the same entries give the same text in any order, and are read back', () => {
  const entries = [entryOf('b'), entryOf('a', { endMs: 5 }), entryOf('10.0.0.0/8')]
  const text = listText({ name: 'l', entries })
  strictEqual(text, listText({ name: 'l', entries: entries.toReversed() }))
  strictEqual(listText(readList(text)), text)
})

test('an entry replaces an older one of its value, and can be removed', () => {
  const list = withEntry({ name: 'l', entries: [entryOf('a')] }, entryOf('a', { reason: 'new' }))
  deepStrictEqual(
    list.entries.map(({ reason }) => reason),
    ['new'],
  )
  deepStrictEqual(withoutValue(list, 'a')?.entries, [])
  strictEqual(withoutValue(list, 'b'), null)
})

test('a damaged or oversized list is refused', () => {
  for (const text of ['', '{}', '{"format":2,"name":"l","entries":[]}', 'null']) {
    throws(() => readList(text), { code: 'SLUICE_POLICY_CORRUPT' })
  }
  const twice = JSON.stringify({ format: 1, name: 'l', entries: [entryOf('a'), entryOf('a')] })
  throws(() => readList(twice), /has a twice/)
  const ranges = Array.from({ length: LIST_LIMITS.rangesMax + 1 }, (_, index) => {
    const end = String(index).padStart(5, '0')
    return entryOf(`00000..${end}`)
  })
  ok(listProblem({ name: 'l', entries: ranges })?.includes('ranges'))
})
