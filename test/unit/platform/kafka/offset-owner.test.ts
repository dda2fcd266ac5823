// Goal: owner and metadata of an offset survive a round trip, whatever they contain, and text of other clients is never
// mistaken for an owner. Method: properties, and forms that are nearly right.

import { deepStrictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { splitOwner, withOwner } from '../../../../services/platform/kafka/offset-owner.ts'

test('owner and metadata come back', () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 100 })
  fc.assert(
    fc.property(text, fc.option(text), (owner, metadata) => {
      deepStrictEqual(splitOwner(withOwner(owner, metadata)), { owner, metadata })
    }),
  )
})

test('no metadata and empty metadata are two things', () => {
  deepStrictEqual(withOwner('g-a', null), '@3:g-a')
  deepStrictEqual(withOwner('g-a', ''), '@3:g-a;')
  deepStrictEqual(splitOwner('@3:g-a'), { owner: 'g-a', metadata: null })
  deepStrictEqual(splitOwner('@3:g-a;'), { owner: 'g-a', metadata: '' })
})

test('an owner may look like a prefix itself', () => {
  const owner = '@3:a;b'
  deepStrictEqual(splitOwner(withOwner(owner, '@1:x')), { owner, metadata: '@1:x' })
})

test('text without an owner is metadata', () => {
  for (const text of [null, '', '[1,2,3,"x"]', '@', '@3', '@3:ab', '@3:abcd', '@03:abc', '@-1:a']) {
    deepStrictEqual(splitOwner(text), { owner: null, metadata: text })
  }
})

test('more than a broker stores is refused, counted in bytes', () => {
  const room = 4_096 - '@1:g;'.length
  deepStrictEqual(splitOwner(withOwner('g', 'x'.repeat(room))).metadata?.length, room)
  throws(() => withOwner('g', 'x'.repeat(room + 1)), /4097 bytes/)
  throws(() => withOwner('g', 'é'.repeat(room / 2 + 1)), /bytes/)
})
