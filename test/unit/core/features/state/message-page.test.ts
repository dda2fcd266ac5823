// Goal: a page gives back the messages that it was given, and nothing else. Method: random pages written and read again;
// every byte damaged in turn.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isSluiceError } from '../../../../../services/core/errors.ts'
import { ByteWriter } from '../../../../../services/core/features/state/bytes.ts'
import {
  decodePage,
  MessagePage,
  PAGE_OFFSETS,
} from '../../../../../services/core/features/state/message-page.ts'
import {
  beginAddition,
  beginValue,
  finishPart,
} from '../../../../../services/core/features/state/sealed.ts'
import { holds } from '../../../../support/property.ts'

const INDEX = 7
const FIRST = INDEX * PAGE_OFFSETS
const isCorrupt = (error: unknown): boolean => isSluiceError(error, 'SLUICE_STATE_CORRUPT')

interface Kept {
  readonly offset: number
  readonly message: Uint8Array
}

const contents: fc.Arbitrary<readonly Kept[]> = fc
  .uniqueArray(fc.nat(PAGE_OFFSETS - 1), { maxLength: PAGE_OFFSETS })
  .chain((places) =>
    fc.tuple(
      ...places
        .toSorted((a, b) => a - b)
        .map((place) =>
          fc.record({
            offset: fc.constant(FIRST + place),
            message: fc.uint8Array({ maxLength: 300 }),
          }),
        ),
    ),
  )

function pageOf(kept: readonly Kept[]): MessagePage {
  const page = new MessagePage(INDEX)
  for (const { offset, message } of kept) page.keep(offset, offset, message)
  return page
}

function stored(page: MessagePage): Buffer {
  return Buffer.from(page.seal())
}

test('a page is read back as it was written, without what is still to be decided', () => {
  holds(
    100,
    fc.property(contents, fc.integer({ min: FIRST, max: FIRST + PAGE_OFFSETS }), (kept, next) => {
      const page = decodePage(INDEX, stored(pageOf(kept)), next, 99)
      for (let offset = FIRST; offset < FIRST + PAGE_OFFSETS; offset += 1) {
        const expected = kept.find((each) => each.offset === offset && offset < next)
        const found = page.find(offset)
        if (expected === undefined) assert.equal(found, null)
        else assert.deepEqual(found, Buffer.from(expected.message))
      }
      assert.equal(page.newestMs, kept.some(({ offset }) => offset < next) ? 99 : -Infinity)
    }),
  )
})

test('a message that is kept twice is there once', () => {
  const message = Buffer.from('message')
  const page = pageOf([{ offset: FIRST, message }])
  const before = stored(page)
  page.keep(FIRST, 1, message)
  assert.deepEqual(stored(page), before)
})

test('a damaged byte is found, wherever it is, and a page that is cut off', () => {
  const value = stored(
    pageOf([
      { offset: FIRST, message: Buffer.from('one') },
      { offset: FIRST + 63, message: Buffer.from('another') },
    ]),
  )
  for (let at = 0; at < value.length; at += 1) {
    const damaged = Buffer.from(value)
    damaged[at] = (damaged[at] ?? 0) ^ 0x10
    assert.throws(() => decodePage(INDEX, damaged, Infinity, 0), isCorrupt)
    assert.throws(() => decodePage(INDEX, value.subarray(0, at), Infinity, 0), isCorrupt)
  }
})

test('numbers that no page has are corruption, whatever the checksum says', () => {
  const sealed = (...numbers: readonly number[]): Buffer => {
    const writer = new ByteWriter()
    beginValue(writer, 1)
    for (const number of numbers) writer.varint(number)
    finishPart(writer, 1, 1)
    return Buffer.from(writer.take())
  }
  assert.equal(decodePage(INDEX, sealed(1, 63, 0), Infinity, 0).find(FIRST + 63)?.length, 0)
  for (const numbers of [
    [PAGE_OFFSETS + 1],
    [1, PAGE_OFFSETS, 0],
    [1, 0, 2 ** 40],
    [1, 0, 5],
    [0, 1],
  ]) {
    assert.throws(() => decodePage(INDEX, sealed(...numbers), Infinity, 0), isCorrupt)
  }
  const addition = new ByteWriter()
  beginAddition(addition)
  addition.varint(0)
  finishPart(addition, 0, sealed(0).readUInt32LE(1))
  const appended = Buffer.concat([sealed(0), addition.take()])
  assert.throws(
    () => decodePage(INDEX, appended, Infinity, 0),
    isCorrupt,
    'pages are written whole',
  )
})
