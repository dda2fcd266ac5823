// Goal: the messages of a card, kept as they are stored, are those that were put in. Method: the same steps on a plain list.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ByteReader, ByteWriter } from '../../../../../services/core/features/state/bytes.ts'
import {
  CardRecords,
  type KeptRecord,
} from '../../../../../services/core/features/state/card-records.ts'
import { holds } from '../../../../support/property.ts'

const step = fc.oneof(
  { weight: 6, arbitrary: fc.uint8Array({ maxLength: 300 }) },
  { weight: 3, arbitrary: fc.constant('dropFirst' as const) },
  { weight: 1, arbitrary: fc.constant('shift' as const) },
)

const plain = (records: readonly KeptRecord[]): unknown =>
  records.map(({ place, record }) => [place, [...record]])

test('messages are listed and stored as they were added, whatever was dropped before', () => {
  holds(
    100,
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const records = new CardRecords()
      let expected: KeptRecord[] = []
      let place = 0
      for (const each of steps) {
        if (each === 'dropFirst') {
          if (expected.length > 0) records.dropFirst()
          expected.shift()
        } else if (each === 'shift') {
          expected = expected.map((one) => ({ ...one, place: one.place + 1 }))
          place += 1
          records.replace(records.list().map((one) => ({ ...one, place: one.place + 1 })))
        } else {
          records.append(place, each)
          expected.push({ place, record: each })
          place += 1
        }
        assert.equal(records.count, expected.length)
        assert.equal(records.firstPlace, expected[0]?.place ?? -1)
        assert.deepEqual(plain(records.list()), plain(expected))
      }
      const writer = new ByteWriter()
      records.writeTo(writer)
      const reader = new ByteReader(writer.take())
      for (const { place: at, record } of expected) {
        assert.equal(reader.varint(), at)
        assert.deepEqual([...reader.view(reader.varint())], [...record])
      }
      assert.equal(reader.isAtEnd, true)
    }),
  )
})
