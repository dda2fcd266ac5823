import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { randomBytes } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { isSluiceError } from '../../../../../services/core/errors.ts'
import { encodeRecordBatch } from '../../../../support/plain-batch.ts'
import {
  compressRecords,
  encodeRecords,
  sealBatch,
  type OutgoingRecord,
} from '../../../../../services/platform/kafka/native/record-batch.ts'
import type { LogRecord } from '../../../../../services/platform/kafka/log-client.ts'
import {
  RECORD_HEADER_BYTES_MAX,
  RECORD_HEADERS_MAX,
  type RecordCursor,
} from '../../../../../services/platform/kafka/native/record-cursor.ts'
import {
  type BatchParts,
  HEADER_BYTES,
  NOW_MS,
  at,
  batchAt,
  batchOf,
  bodyOf,
  cursorOver,
  marker,
  offsetsOf,
  seal,
  takeAll,
  transactional,
  valuesOf,
} from './batch-fixture.ts'

async function isCorrupt(cursor: RecordCursor, message: RegExp): Promise<void> {
  await assert.rejects(takeAll(cursor), (error: unknown) => {
    assert.ok(isSluiceError(error, 'SLUICE_LOG_CORRUPT'), String(error))
    assert.match(error.message, message)
    return true
  })
}

describe('a record set', () => {
  test('is read in pieces of any size from any offset', async () => {
    const set = Buffer.concat([
      batchAt(10, ['a', 'b', 'c']),
      marker(13, 1, 'commit'),
      batchAt(14, ['d']),
      batchAt(20, ['e', 'f', 'g', 'h']),
    ])
    const offsets = [10, 11, 12, 14, 20, 21, 22, 23]
    for (let recordsMax = 1; recordsMax < 10; recordsMax += 1) {
      for (let fromOffset = 0; fromOffset < 26; fromOffset += 1) {
        const cursor = cursorOver(set, { fromOffset })
        const read = offsetsOf(await takeAll(cursor, recordsMax))
        assert.deepEqual(
          read,
          offsets.filter((offset) => offset >= fromOffset),
        )
        assert.equal(cursor.nextOffset, Math.max(24, fromOffset))
      }
    }
  })

  test('may be cut off anywhere in its last batch, which the next Fetch answers', async () => {
    const whole = batchAt(10, ['a', 'b'])
    const set = Buffer.concat([whole, batchAt(12, ['c'])])
    for (let length = whole.length; length < set.length; length += 1) {
      const cursor = cursorOver(set.subarray(0, length), { fromOffset: 10 })
      assert.deepEqual(valuesOf(await takeAll(cursor)), ['a', 'b'])
      assert.equal(cursor.nextOffset, 12)
    }
    assert.equal(cursorOver(Buffer.alloc(0)).isDone, true)
  })

  test('hands out views, not copies', async () => {
    const records = [{ key: 'key', value: Buffer.from('value') }]
    const set = Buffer.from(new Uint8Array(encodeRecordBatch(records, null, NOW_MS)))
    const [record] = await takeAll(cursorOver(set))
    set.fill(0x78, HEADER_BYTES)
    assert.deepEqual([String(record?.key), String(record?.value)], ['xxx', 'xxxxx'])
  })

  test('gives the event loop its turn while many records are passed over', async () => {
    const values = Array.from({ length: 250_000 }, () => '')
    const cursor = cursorOver(batchAt(0, values), { fromOffset: 249_999 })
    let turns = 0
    setImmediate(() => (turns += 1))
    assert.deepEqual(offsetsOf(await cursor.take(1)), [249_999])
    assert.equal(turns, 1)
  })

  test('is taken by one at a time', async () => {
    const batch = batchOf({ body: gzipSync(bodyOf(2)), recordCount: 2, attributes: 1 })
    const cursor = cursorOver(batch)
    const first = cursor.take(1)
    await assert.rejects(cursor.take(1), /one call at a time/)
    assert.deepEqual(offsetsOf(await first), [0])
    assert.deepEqual(offsetsOf(await cursor.take(1)), [1])
  })
})

describe('an aborted transaction', () => {
  test('is left out when several overlap and are listed by their end', async () => {
    const set = Buffer.concat([
      batchAt(0, ['aborted', 'aborted'], transactional(1)),
      batchAt(2, ['aborted'], transactional(2)),
      batchAt(3, ['a'], transactional(3)),
      marker(4, 2, 'abort'),
      batchAt(5, ['b'], transactional(2)),
      batchAt(6, ['aborted'], transactional(1)),
      marker(7, 1, 'abort'),
      marker(8, 2, 'commit'),
      batchAt(9, ['c'], transactional(1)),
    ])
    const aborted = [
      { producerId: 2n, firstOffset: 2 },
      { producerId: 1n, firstOffset: 0 },
    ]
    assert.deepEqual(valuesOf(await takeAll(cursorOver(set, { aborted }))), ['a', 'b', 'c'])
    // A Fetch that begins inside both.
    const cursor = cursorOver(set.subarray(batchAt(0, ['aborted', 'aborted']).length), {
      aborted,
      fromOffset: 2,
    })
    assert.deepEqual(valuesOf(await takeAll(cursor, 1)), ['a', 'b', 'c'])
    assert.equal(cursor.nextOffset, 10)
  })

  test('is left out each time that its producer aborts within one Fetch', async () => {
    const set = Buffer.concat([
      batchAt(0, ['aborted'], transactional(1)),
      marker(1, 1, 'abort'),
      batchAt(2, ['a'], transactional(1)),
      marker(3, 1, 'commit'),
      batchAt(4, ['aborted'], transactional(1)),
      marker(5, 1, 'abort'),
      batchAt(6, ['b'], transactional(1)),
    ])
    const aborted = [
      { producerId: 1n, firstOffset: 0 },
      { producerId: 1n, firstOffset: 4 },
    ]
    assert.deepEqual(valuesOf(await takeAll(cursorOver(set, { aborted }))), ['a', 'b'])
  })

  test('is left out when its marker comes in a later Fetch', async () => {
    const batches = Array.from({ length: 40 }, (_, index) =>
      batchAt(index, ['aborted'], transactional(1)),
    )
    const aborted = [{ producerId: 1n, firstOffset: 0 }]
    let fromOffset = 0
    while (fromOffset < 40) {
      const cursor = cursorOver(Buffer.concat(batches.slice(fromOffset, fromOffset + 7)), {
        aborted,
        fromOffset,
      })
      assert.deepEqual(await takeAll(cursor), [])
      assert.ok(cursor.nextOffset > fromOffset)
      fromOffset = cursor.nextOffset
    }
    const rest = Buffer.concat([marker(40, 1, 'abort'), batchAt(41, ['a'], transactional(1))])
    assert.deepEqual(valuesOf(await takeAll(cursorOver(rest, { aborted, fromOffset }))), ['a'])
  })

  test('ends at an abort marker alone, not at another marker or a data record with the key of one', async () => {
    const key = Buffer.alloc(4)
    const records = [{ key, value: Buffer.from('aborted') }]
    const set = Buffer.concat([
      at(0, encodeRecordBatch(records, transactional(1), NOW_MS)),
      batchAt(1, ['aborted'], transactional(1)),
      marker(2, 1, 'commit'),
      batchAt(3, ['aborted'], transactional(1)),
      marker(4, 1, 'abort'),
    ])
    const aborted = [{ producerId: 1n, firstOffset: 0 }]
    assert.deepEqual(await takeAll(cursorOver(set, { aborted })), [])
    // The same record of a committed transaction is data.
    const [committed] = await takeAll(cursorOver(set))
    assert.deepEqual(committed?.key, key)
  })

  test('hides neither other producers nor what its producer writes without a transaction', async () => {
    const alone = { ...transactional(1), isTransactional: false }
    const set = Buffer.concat([
      batchAt(0, ['aborted'], transactional(1)),
      batchAt(1, ['a'], alone),
      batchAt(2, ['b'], transactional(2)),
      batchAt(3, ['c']),
      marker(4, 2, 'abort'),
      batchAt(5, ['aborted'], transactional(1)),
    ])
    const aborted = [{ producerId: 1n, firstOffset: 0 }]
    assert.deepEqual(valuesOf(await takeAll(cursorOver(set, { aborted }))), ['a', 'b', 'c'])
  })
})

describe('a hostile log', () => {
  test('is noticed by its checksum whichever byte was changed', async () => {
    const records = [
      { key: 'card-1', value: Buffer.from('first'), headers: { trace: 'x' } },
      { key: null, value: Buffer.from('second') },
    ]
    const set = Buffer.concat([
      batchAt(5, ['before']),
      at(6, encodeRecordBatch(records, null, NOW_MS)),
    ])
    const start = batchAt(5, ['before']).length
    const flips = fc.integer({ min: 1, max: 255 })
    for (let index = start + 17; index < set.length; index += 1) {
      await fc.assert(
        fc.asyncProperty(flips, async (flip) => {
          const changed = Buffer.from(set)
          changed[index] = (changed[index] as number) ^ flip
          const cursor = cursorOver(changed, { fromOffset: 5 })
          // All records before it are returned first, but none of its own or later ones.
          assert.deepEqual(valuesOf(await cursor.take(10)), ['before'])
          assert.equal(cursor.nextOffset, 6)
          for (let call = 0; call < 2; call += 1)
            await isCorrupt(cursor, /^The record batch at offset 6 has a wrong checksum\.$/)
          assert.equal(cursor.nextOffset, 6)
        }),
        { numRuns: 4 },
      )
    }
  })

  test('covers compressed bytes by the checksum', async () => {
    const batch = batchOf({ body: gzipSync(bodyOf(9)), recordCount: 9, attributes: 1 })
    batch[batch.length - 1] = (batch[batch.length - 1] as number) ^ 1
    await isCorrupt(cursorOver(batch), /wrong checksum/)
  })

  test('may have another message format', async () => {
    for (const magic of [0, 1, 3]) {
      const batch = batchAt(7, ['a'])
      batch[16] = magic
      await isCorrupt(
        cursorOver(batch),
        new RegExp(`^The record batch at offset 7 has message format ${magic};`),
      )
    }
  })

  test('may have batches of impossible lengths and orders', async () => {
    for (const length of [-(2 ** 31), -12, -1, 0, 48]) {
      const batch = batchAt(7, ['a'])
      batch.writeInt32BE(length, 8)
      await isCorrupt(cursorOver(batch), new RegExp(`at offset 7 has a length of ${length}\\.`))
    }
    const endless = batchAt(7, ['a'])
    endless.writeInt32BE(2 ** 31 - 1, 8)
    const cursor = cursorOver(endless, { fromOffset: 7 })
    assert.deepEqual([cursor.isDone, await cursor.take(1), cursor.nextOffset], [true, [], 7])
    const again = cursorOver(Buffer.concat([batchAt(7, ['a', 'b']), batchAt(8, ['c'])]))
    assert.deepEqual(valuesOf(await again.take(5)), ['a', 'b'])
    await isCorrupt(again, /at offset 8 comes after offset 8/)
  })

  const twoHeaders = Buffer.from([4, 2, 0x61, 2, 0x62, 2, 0x63, 2, 0x64])
  const withHeaders = Buffer.concat([
    Buffer.from([2 * (5 + twoHeaders.length), 0, 0, 0, 1, 1]),
    twoHeaders,
  ])
  const lies: Record<string, BatchParts & { readonly reason: RegExp }> = {
    'more records than offsets': {
      body: bodyOf(2),
      recordCount: 2,
      lastOffsetDelta: 0,
      reason: /2 records/,
    },
    'fewer than no records': {
      body: bodyOf(2),
      recordCount: -1,
      lastOffsetDelta: 1,
      reason: /-1 records/,
    },
    'a last offset before the first': {
      body: bodyOf(1),
      recordCount: 0,
      lastOffsetDelta: -1,
      reason: /delta -1/,
    },
    'more records than bytes': { body: bodyOf(2), recordCount: 2 ** 31 - 1, reason: /cut off/ },
    'fewer records than bytes': { body: bodyOf(2), recordCount: 1, reason: /bytes follow/ },
    'a record longer than the batch': {
      body: Buffer.from([14, 0, 0, 0, 1, 1, 0]),
      recordCount: 1,
      reason: /record is cut off/,
    },
    'a record shorter than any': {
      body: Buffer.from([10, 0, 0, 0, 1, 1, 0]),
      recordCount: 1,
      reason: /record is cut off/,
    },
    'a record of a negative length': {
      body: Buffer.from([13, 0, 0, 0, 1, 1, 0]),
      recordCount: 1,
      reason: /record is cut off/,
    },
    'a record shorter than its fields': {
      body: Buffer.from([12, 0, 0, 0, 1, 2, 0x61, 0]),
      recordCount: 1,
      reason: /another length/,
    },
    'a record longer than its fields': {
      body: Buffer.from([14, 0, 0, 0, 1, 1, 0, 0]),
      recordCount: 1,
      reason: /another length/,
    },
    'a key longer than its record': {
      body: Buffer.from([12, 0, 0, 0, 20, 1, 0]),
      recordCount: 1,
      reason: /longer than its record/,
    },
    'a value longer than its record': {
      body: Buffer.concat([Buffer.from([12, 0, 0, 0, 1, 4, 0]), bodyOf(3)]),
      recordCount: 4,
      reason: /longer than its record/,
    },
    'a varint without end': {
      body: Buffer.concat([
        Buffer.from([24, 0, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80]),
        Buffer.alloc(4),
      ]),
      recordCount: 1,
      reason: /no end/,
    },
    'a long varint without end': {
      body: Buffer.concat([Buffer.from([38, 0]), Buffer.alloc(18, 0x80)]),
      recordCount: 1,
      reason: /no end/,
    },
    'a varint that is cut off': {
      body: Buffer.from([0x80]),
      recordCount: 1,
      reason: /varint is cut off/,
    },
    'fewer than no headers': {
      body: Buffer.from([12, 0, 0, 0, 1, 1, 1]),
      recordCount: 1,
      reason: /negative number/,
    },
    'more headers than it has': {
      body: withHeaders.with(6, 6) as Buffer,
      recordCount: 1,
      reason: /varint is cut off/,
    },
    'fewer headers than it has': {
      body: withHeaders.with(6, 2) as Buffer,
      recordCount: 1,
      reason: /another length/,
    },
    'the name of a header longer than its record': {
      body: withHeaders.with(7, 80) as Buffer,
      recordCount: 1,
      reason: /longer than its record/,
    },
    'the name of a header of a negative length': {
      body: withHeaders.with(7, 3) as Buffer,
      recordCount: 1,
      reason: /longer than its record/,
    },
    'offsets out of order after compaction': {
      body: bodyOf(3, (index) => 4 - index),
      recordCount: 3,
      lastOffsetDelta: 9,
      reason: /out of order/,
    },
    'offsets beyond the last one after compaction': {
      body: bodyOf(3, (index) => 5 * index),
      recordCount: 3,
      lastOffsetDelta: 9,
      reason: /out of order/,
    },
  }
  for (const [lie, { reason, ...parts }] of Object.entries(lies)) {
    test(`may claim ${lie}`, async () => {
      const set = Buffer.concat([batchOf({ ...parts, offset: 3 }), batchAt(2 ** 40, ['next'])])
      await isCorrupt(cursorOver(set), reason)
    })
  }

  test('may number the records of a batch as it likes', async () => {
    // Brokers do not check these deltas; they count the records.
    const body = bodyOf(3, (index) => [7, -3, 7][index] as number)
    const cursor = cursorOver(batchOf({ body, recordCount: 3, offset: 10 }))
    assert.deepEqual(offsetsOf(await takeAll(cursor)), [10, 11, 12])
  })

  test('never makes the reader read outside of a batch, nor for ever', async () => {
    const changes = fc.array(fc.tuple(fc.nat({ max: 200 }), fc.nat({ max: 255 })), {
      minLength: 1,
      maxLength: 5,
    })
    const records = Array.from({ length: 5 }, (_, index) => ({
      key: `card-${index}`,
      value: Buffer.from('value'),
      headers: { name: 'value' },
    }))
    const honest = at(100, encodeRecordBatch(records, null, NOW_MS))
    await fc.assert(
      fc.asyncProperty(changes, async (changed) => {
        const batch = Buffer.from(honest)
        for (const [index, byte] of changed)
          batch[HEADER_BYTES + (index % (batch.length - HEADER_BYTES))] = byte
        const set = Buffer.concat([seal(batch), batchAt(105, ['next'])])
        const cursor = cursorOver(set, { fromOffset: 100 })
        const read: LogRecord[] = []
        try {
          while (!cursor.isDone) read.push(...(await cursor.take(1)))
          assert.deepEqual(offsetsOf(read), [100, 101, 102, 103, 104, 105])
        } catch (error) {
          if (!isSluiceError(error, 'SLUICE_LOG_CORRUPT')) throw error
          assert.deepEqual(offsetsOf(read), [100, 101, 102, 103, 104].slice(0, read.length))
        }
        for (const { offset, key, value } of read) {
          if (offset === 105) continue
          for (const view of [key, value]) {
            if (view === null) continue
            assert.ok(view.byteOffset - set.byteOffset >= HEADER_BYTES)
            assert.ok(view.byteOffset - set.byteOffset + view.length <= batch.length)
          }
        }
      }),
      { numRuns: 2_000 },
    )
  })

  test('may have a record with too many headers, which are not decoded', async () => {
    // The bytes after the count are not headers: decoding them would fail.
    const count = Buffer.from([0x80, 0x7d])
    const content = Buffer.concat([
      Buffer.from([0, 0, 2, 2, 0x6b, 2, 0x76]),
      count,
      Buffer.alloc(46_000, 0xff),
    ])
    const length = Buffer.from([
      0x80 | ((content.length * 2) & 0x7f),
      0x80 | (((content.length * 2) >>> 7) & 0x7f),
      (content.length * 2) >>> 14,
    ])
    const body = Buffer.concat([bodyOf(1), length, content])
    const [first, second, ...others] = await takeAll(cursorOver(batchOf({ body, recordCount: 2 })))
    assert.equal(first?.refused, null)
    assert.deepEqual(others, [])
    assert.deepEqual(second, {
      offset: 1,
      timestampMs: NOW_MS,
      key: Buffer.from('k'),
      value: null,
      headers: undefined,
      refused: 'too_large',
    })
  })

  test('may have as many headers as the limits allow, and not one more', async () => {
    const refusalOf = async (headers: Record<string, string>): Promise<unknown> => {
      const records = [{ key: null, value: Buffer.from('value'), headers }]
      const [read] = await takeAll(cursorOver(encodeRecordBatch(records, null, NOW_MS)))
      assert.equal(read?.value === null, read?.refused === 'too_large')
      return read?.refused
    }
    const headersOfCount = (count: number): Record<string, string> =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`h${index}`, '']))
    assert.equal(await refusalOf(headersOfCount(RECORD_HEADERS_MAX)), null)
    assert.equal(await refusalOf(headersOfCount(RECORD_HEADERS_MAX + 1)), 'too_large')
    // One header: two lengths of one and three bytes, and a name of one byte.
    const text = 'x'.repeat(RECORD_HEADER_BYTES_MAX - 5)
    assert.equal(await refusalOf({ h: text }), null)
    assert.equal(await refusalOf({ h: `${text}x` }), 'too_large')
  })

  test('may be in a batch that was compressed where that saves bytes, and only there', async () => {
    const record = (value: Buffer): OutgoingRecord => ({ key: 'key', value })
    const long = [record(Buffer.alloc(20_000, 'ab')), record(Buffer.from('last'))]
    for (const [records, isCompressed] of [
      [long, true],
      [[record(randomBytes(20_000))], false],
      [[record(Buffer.alloc(16_000))], false],
    ] as const) {
      const encoded = await compressRecords(encodeRecords(records, NOW_MS))
      assert.equal(encoded.isCompressed, isCompressed)
      const batch = sealBatch(encoded, null)
      assert.equal(batch.length < 1_000, isCompressed)
      const read = await takeAll(cursorOver(batch))
      assert.deepEqual(
        read.map(({ value, refused }) => [value, refused]),
        records.map(({ value }) => [value, null]),
      )
    }
  })

  test('may have a compressed batch of many records, which become objects a piece at a time', async () => {
    const count = 130_000
    const records = Array.from({ length: count }, () => ({ key: null, value: null }))
    const plain = encodeRecordBatch(records, null, NOW_MS)
    const body = gzipSync(plain.subarray(HEADER_BYTES))
    const cursor = cursorOver(batchOf({ body, recordCount: count, attributes: 1, offset: 50 }))
    let next = 50
    while (!cursor.isDone) {
      const piece = await cursor.take(2_000)
      assert.ok(piece.length > 0 && piece.length <= 2_000)
      for (const { offset, refused } of piece) {
        assert.equal(refused, null)
        assert.equal(offset, next)
        next += 1
      }
      assert.equal(cursor.nextOffset, next)
    }
    assert.equal(next, 50 + count)
  })

  const large = Array.from({ length: 5_000 }, () => ({ key: null, value: Buffer.alloc(300) }))
  const expandable = gzipSync(encodeRecordBatch(large, null, NOW_MS).subarray(HEADER_BYTES))
  const unreadable: Record<string, BatchParts> = {
    'expands beyond the limit': { body: expandable, recordCount: 5_000, attributes: 1 },
    'is no gzip': { body: bodyOf(3), recordCount: 5_000, attributes: 1 },
    'is no zstd': { body: bodyOf(3), recordCount: 5_000, attributes: 4 },
    'has a compression that nobody knows': { body: bodyOf(3), recordCount: 5_000, attributes: 5 },
    'expands to what is no record': {
      body: gzipSync(Buffer.alloc(100)),
      recordCount: 5_000,
      attributes: 1,
    },
    'expands to nothing': { body: gzipSync(Buffer.alloc(0)), recordCount: 5_000, attributes: 1 },
  }
  for (const [what, parts] of Object.entries(unreadable)) {
    test(`may have a compressed batch that ${what}: each offset is answered with a refusal`, async () => {
      const set = Buffer.concat([batchOf({ ...parts, offset: 10 }), batchAt(5_010, ['next'])])
      const cursor = cursorOver(set, { fromOffset: 12, expandedBytesMax: 1_000_000 })
      const pieces: (readonly LogRecord[])[] = []
      while (!cursor.isDone) pieces.push(await cursor.take(700))
      assert.ok(pieces.every(({ length }) => length <= 700))
      const refused = pieces.flat()
      assert.deepEqual(valuesOf(refused.splice(-1)), ['next'])
      assert.deepEqual(
        offsetsOf(refused),
        Array.from({ length: 4_998 }, (_, index) => 12 + index),
      )
      for (const { offset, ...rest } of refused) {
        assert.ok(offset >= 12)
        assert.deepEqual(rest, {
          timestampMs: NOW_MS,
          key: null,
          value: null,
          headers: undefined,
          refused: 'codec_refused',
        })
      }
    })
  }

  test('may have a compressed batch that is sound at first: its rest is refused', async () => {
    const body = gzipSync(Buffer.concat([bodyOf(3), Buffer.alloc(10)]))
    for (const recordsMax of [1, 2, 3, 4, 100]) {
      const cursor = cursorOver(batchOf({ body, recordCount: 6, attributes: 1, offset: 20 }))
      const records = await takeAll(cursor, recordsMax)
      assert.deepEqual(offsetsOf(records), [20, 21, 22, 23, 24, 25])
      assert.deepEqual(
        records.map(({ refused }) => refused),
        [null, null, null, 'codec_refused', 'codec_refused', 'codec_refused'],
      )
      assert.equal(cursor.nextOffset, 26)
    }
  })

  test('may have a gap before a batch that is refused', async () => {
    const set = batchOf({ body: bodyOf(2), recordCount: 2, attributes: 1, offset: 20 })
    assert.deepEqual(offsetsOf(await takeAll(cursorOver(set), 1)), [20, 21])
  })

  test('costs nothing where it is passed over: such a batch is not expanded', async () => {
    const unread = batchOf({ body: bodyOf(3), recordCount: 3, attributes: 1 })
    const ofAborted = batchOf({ body: bodyOf(3), recordCount: 3, attributes: 0x11, offset: 3 })
    ofAborted.writeBigInt64BE(1n, 43)
    const set = Buffer.concat([unread, seal(ofAborted), batchAt(6, ['a'])])
    const aborted = [{ producerId: 1n, firstOffset: 3 }]
    let turns = 0
    setImmediate(() => (turns += 1))
    assert.deepEqual(valuesOf(await takeAll(cursorOver(set, { aborted, fromOffset: 3 }))), ['a'])
    assert.equal(turns, 0, 'to expand takes a turn of the event loop')
  })
})
