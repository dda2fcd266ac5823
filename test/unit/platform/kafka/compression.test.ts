import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { describe, test } from 'node:test'
import { gzipSync, zstdDecompressSync } from 'node:zlib'
import fc from 'fast-check'
import kafkajs from 'kafkajs'
import snappy from 'snappyjs'
import { isSluiceError } from '../../../../services/core/errors.ts'
import {
  COMPRESSIONS,
  createBatchCodec,
  REFUSED_KEY,
  registerCompressionCodecs,
  type BatchCodec,
  type Compression,
} from '../../../../services/platform/kafka/compression.ts'
import { seededNumbers } from '../../core/wire/wire-fixture.ts'
import { LZ4_FRAMES, TEXT, ZSTD_FRAMES } from './compressed-text.ts'

const LIMIT_BYTES = 1024 * 1024

/** kafkajs' own decoder of records, so that consumers see the same. */
interface RecordDecoder {
  readInt8(): number
  readVarInt(): number
  readVarLong(): unknown
  readVarIntBytes(): Buffer | null
}
const KafkaDecoder = createRequire(import.meta.url)('kafkajs/src/protocol/decoder') as new (
  bytes: Buffer | null,
) => RecordDecoder
const CONTAINER_HEADER = Buffer.from('82534e41505059000000000100000001', 'hex')

function expand(compression: Compression, bytes: Buffer, limit = LIMIT_BYTES): Promise<Buffer> {
  return createBatchCodec(compression, limit).decompress(bytes)
}

async function refuses(compression: Compression, bytes: Buffer, limit?: number): Promise<void> {
  await assert.rejects(expand(compression, bytes, limit), (error: unknown) => {
    assert.ok(isSluiceError(error, 'SLUICE_INPUT_INVALID'), String(error))
    assert.match(error.message, new RegExp(`${compression} batch of ${bytes.length} bytes`))
    return true
  })
}

function uint32(value: number, isLittleEndian: boolean): Buffer {
  const bytes = Buffer.alloc(4)
  if (isLittleEndian) bytes.writeUInt32LE(value)
  else bytes.writeUInt32BE(value)
  return bytes
}

/** The container of the Java client: blocks of at most 32 KiB, each after its size. */
function inContainer(bytes: Buffer, blockBytes = 32 * 1024): Buffer {
  const parts: Buffer[] = [CONTAINER_HEADER]
  for (let start = 0; start < bytes.length; start += blockBytes) {
    const block = snappy.compress(bytes.subarray(start, start + blockBytes))
    parts.push(uint32(block.length, false), block)
  }
  return Buffer.concat(parts)
}

/** A frame of one block: `literals`, then a match at `offset` of at least `matchBytes`. */
function lz4Frame(literals: string, offset: number, matchBytes: number): Buffer {
  const extra = Math.max(0, matchBytes - 19)
  const block = Buffer.concat([
    Buffer.from([(literals.length << 4) | 15]),
    Buffer.from(literals),
    Buffer.from([offset & 0xff, offset >>> 8]),
    Buffer.alloc(Math.floor(extra / 255), 0xff),
    Buffer.from([extra % 255]),
  ])
  const header = Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x70, 0x73])
  return Buffer.concat([header, uint32(block.length, true), block, uint32(0, true)])
}

/** A frame with a window of 128 KiB and `blockCount` blocks that each repeat one byte 128 Ki times. */
function zstdRuns(blockCount: number, windowDescriptor = 0x38): Buffer {
  const block = (isLast: boolean): Buffer => {
    const header = Buffer.alloc(4, 0x61)
    header.writeUIntLE((131_072 << 3) | 2 | (isLast ? 1 : 0), 0, 3)
    return header
  }
  const blocks = Array.from({ length: blockCount }, (_, index) => block(index === blockCount - 1))
  return Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, windowDescriptor]), ...blocks])
}

const noise = fc.uint8Array({ maxLength: 3_000 })
const texture = fc
  .array(fc.constantFrom('card-00042', 'EUR', 'merchant', '1', '2'), { maxLength: 500 })
  .map((words) => Buffer.from(words.join('')))
const payload = fc.oneof(noise, texture).map((bytes) => Buffer.from(bytes))

describe('a compressed batch', () => {
  test('expands from raw snappy and from the container of the Java client', async () => {
    await fc.assert(
      fc.asyncProperty(payload, async (bytes) => {
        assert.deepEqual(await expand('snappy', snappy.compress(bytes)), bytes)
        assert.deepEqual(await expand('snappy', inContainer(bytes, 1_000)), bytes)
      }),
      { numRuns: 50 },
    )
  })

  test('expands from gzip', async () => {
    assert.deepEqual(await expand('gzip', gzipSync(TEXT)), Buffer.from(TEXT))
  })

  test('that is written with zstd expands elsewhere', async () => {
    const bytes = Buffer.from(TEXT)
    const written = await createBatchCodec('zstd', LIMIT_BYTES).compress({ buffer: bytes })
    assert.deepEqual(zstdDecompressSync(written), bytes)
  })

  for (const [name, base64] of Object.entries(LZ4_FRAMES)) {
    test(`expands from an lz4 frame ${name}`, async () => {
      const expanded = await expand('lz4', Buffer.from(base64, 'base64'))
      assert.equal(expanded.toString(), TEXT)
    })
  }

  for (const [name, base64] of Object.entries(ZSTD_FRAMES)) {
    test(`expands from a zstd frame ${name}`, async () => {
      const bytes = Buffer.from(base64, 'base64')
      assert.equal((await expand('zstd', bytes)).toString(), TEXT)
    })
  }

  test('expands from several frames in a row', async () => {
    const frames = Buffer.from(LZ4_FRAMES['of independent blocks'], 'base64')
    const twice = await expand('lz4', Buffer.concat([frames, frames]))
    assert.equal(twice.toString(), TEXT + TEXT)
    const zstd = Object.values(ZSTD_FRAMES).map((base64) => Buffer.from(base64, 'base64'))
    assert.equal((await expand('zstd', Buffer.concat(zstd))).toString(), TEXT + TEXT)
  })

  test('expands lz4 matches that overlap what they write', async () => {
    const expanded = await expand('lz4', lz4Frame('ab', 2, 1_000))
    assert.equal(expanded.toString(), 'ab'.repeat(501))
  })

  test('expands up to the limit and not a byte beyond', async () => {
    const bytes = Buffer.alloc(LIMIT_BYTES, 'x')
    const batches: readonly (readonly [Compression, Buffer])[] = [
      ['gzip', gzipSync(bytes)],
      ['snappy', snappy.compress(bytes)],
      ['snappy', inContainer(bytes)],
      ['lz4', lz4Frame('x', 1, LIMIT_BYTES - 1)],
      ['zstd', zstdRuns(8)],
    ]
    for (const [compression, batch] of batches) {
      assert.equal((await expand(compression, batch)).length, LIMIT_BYTES, compression)
      await refuses(compression, batch, LIMIT_BYTES - 1)
    }
  })
})

describe('a hostile batch', () => {
  const BOMB_BYTES = 256 * LIMIT_BYTES

  /** Growth of memory outside the heap, where buffers are, while the batch is refused. */
  async function grownBytes(compression: Compression, batch: Buffer): Promise<number> {
    const before = process.memoryUsage().arrayBuffers
    await refuses(compression, batch)
    return process.memoryUsage().arrayBuffers - before
  }

  test('that expands to 256 times the limit is refused in little memory', async () => {
    const stated = Buffer.from([0x80, 0x80, 0x80, 0x80, 0x01, 0x00, 0x61]) // 2^28 bytes
    const bombs: readonly (readonly [Compression, Buffer])[] = [
      ['gzip', gzipSync(Buffer.alloc(BOMB_BYTES / 8))],
      ['snappy', stated],
      ['snappy', Buffer.concat([CONTAINER_HEADER, uint32(stated.length, false), stated])],
      ['lz4', lz4Frame('x', 1, BOMB_BYTES)],
      ['zstd', zstdRuns(BOMB_BYTES / 131_072)],
    ]
    for (const [compression, bomb] of bombs) {
      assert.ok((await grownBytes(compression, bomb)) < 16 * LIMIT_BYTES, compression)
    }
  })

  test('of many small blocks is refused once they are too much together', async () => {
    const block = snappy.compress(Buffer.alloc(32 * 1024))
    const sized = Buffer.concat([uint32(block.length, false), block])
    const blocks = Array<Buffer>(64).fill(sized)
    await refuses('snappy', Buffer.concat([CONTAINER_HEADER, ...blocks]))
  })

  test('of zstd that asks for a window of more than 8 MiB is refused before it is read', async () => {
    assert.equal((await expand('zstd', zstdRuns(1, 0x68))).length, 131_072) // 8 MiB
    await refuses('zstd', zstdRuns(1, 0x70)) // 16 MiB
    await refuses('zstd', zstdRuns(1, 0xf8)) // 2 TiB
    const segment = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 0xff, 1, 0, 0])
    await refuses('zstd', segment)
  })

  test('of many zstd frames is refused once they are too much together', async () => {
    const frames = Buffer.concat(Array<Buffer>(1_000).fill(zstdRuns(1, 0x68)))
    assert.ok((await grownBytes('zstd', frames)) < 16 * LIMIT_BYTES)
  })

  test('of zstd with bytes after the last frame, or a later frame whose start is damaged, is refused', async () => {
    const frame = zstdRuns(1)
    await refuses('zstd', Buffer.concat([frame, Buffer.from('records')]))
    const damaged = Buffer.concat([frame, frame])
    damaged[frame.length] = 0
    await refuses('zstd', damaged)
  })

  test('whose snappy states less than it holds gives no more than stated', async () => {
    const batch = snappy.compress(Buffer.from('x'.repeat(100)))
    batch[0] = 10
    assert.equal((await expand('snappy', batch)).length, 10)
  })

  test('with an lz4 match before its start, or running past its block, is refused', async () => {
    await refuses('lz4', lz4Frame('ab', 3, 20))
    await refuses('lz4', lz4Frame('ab', 0, 20))
    const frame = lz4Frame('ab', 1, 100_000)
    frame.writeUInt32LE(20, 7)
    await refuses('lz4', frame)
  })

  test('of damaged bytes is refused or expands within the limit, and never crashes', async () => {
    const draw = seededNumbers(7)
    const originals: readonly (readonly [Compression, Buffer])[] = [
      ['gzip', gzipSync(TEXT)],
      ['snappy', snappy.compress(Buffer.from(TEXT))],
      ['snappy', inContainer(Buffer.from(TEXT), 300)],
      ...Object.values(LZ4_FRAMES).map((text) => ['lz4', Buffer.from(text, 'base64')] as const),
      ...Object.values(ZSTD_FRAMES).map((text) => ['zstd', Buffer.from(text, 'base64')] as const),
    ]
    let refusedCount = 0
    for (let round = 0; round < 2_000; round += 1) {
      const [compression, original] = originals[round % originals.length] ?? [
        'gzip',
        Buffer.alloc(0),
      ]
      const bytes = Buffer.from(original.subarray(0, 1 + (draw() % original.length)))
      bytes[draw() % bytes.length] = draw() & 0xff
      try {
        assert.ok((await expand(compression, bytes)).length <= LIMIT_BYTES)
      } catch (error) {
        assert.ok(isSluiceError(error, 'SLUICE_INPUT_INVALID'), String(error))
        refusedCount += 1
      }
    }
    assert.ok(refusedCount > 500)
  })
})

describe('codecs in kafkajs', () => {
  test('are ours after registration, for every compression', async () => {
    registerCompressionCodecs(LIMIT_BYTES)
    const { CompressionTypes } = kafkajs
    const registered: Record<number, () => BatchCodec> = kafkajs.CompressionCodecs
    const expanded = await registered[CompressionTypes.Snappy]?.().decompress(
      snappy.compress(Buffer.from(TEXT)),
    )
    assert.equal(expanded?.toString(), TEXT)
    for (const type of [CompressionTypes.LZ4, CompressionTypes.ZSTD]) {
      assert.equal(typeof registered[type]?.().decompress, 'function')
    }
  })

  test('answer a refused batch with records that have no value, for any number of messages', async () => {
    registerCompressionCodecs(LIMIT_BYTES)
    const registered: Record<number, () => BatchCodec> = kafkajs.CompressionCodecs
    const bomb = gzipSync(Buffer.alloc(2 * LIMIT_BYTES))
    const records = await registered[kafkajs.CompressionTypes.GZIP]?.().decompress(bomb)
    assert.ok(records)
    const batch = new KafkaDecoder(records)
    for (const offsetDelta of Array.from({ length: 300 }, (_, index) => index)) {
      const record = new KafkaDecoder(batch.readVarIntBytes())
      record.readInt8()
      record.readVarLong()
      assert.equal(record.readVarInt(), offsetDelta)
      assert.equal(String(record.readVarIntBytes()), REFUSED_KEY)
      assert.equal(record.readVarIntBytes(), null)
      assert.equal(record.readVarInt(), 0)
    }
  })

  test('write zstd only, and say so', async () => {
    for (const compression of COMPRESSIONS.filter((name) => name !== 'zstd')) {
      await assert.rejects(
        createBatchCodec(compression, LIMIT_BYTES).compress({ buffer: Buffer.from(TEXT) }),
        (error: unknown) =>
          isSluiceError(error, 'SLUICE_INPUT_INVALID') && error.message.includes(compression),
      )
    }
  })
})
