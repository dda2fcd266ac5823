// Reads compressed Kafka batches, each codec with a limit on the expanded size. kafkajs reads gzip only, and without a
// limit: a megabyte of zeros, compressed twice, would fill all memory. Sluice itself writes uncompressed or zstd
// batches; it also reads gzip, snappy and lz4 from others.

import { promisify } from 'node:util'
import { constants, gunzip, zstdCompress, zstdDecompress } from 'node:zlib'
import kafkajs from 'kafkajs'
import { SluiceError } from '../../core/errors.ts'
import { decompressLz4 } from './lz4-frame.ts'
import { decompressSnappy } from './snappy-blocks.ts'

/** Largest batch of records after decompression, bytes. By default a broker accepts 1 MiB compressed. */
export const BATCH_EXPANDED_BYTES_MAX = 32 * 1024 * 1024

/** A codec as kafkajs calls it. */
export interface BatchCodec {
  compress(encoder: { readonly buffer: Buffer }): Promise<Buffer>
  decompress(bytes: Buffer): Promise<Buffer>
}

/** The Kafka compressions that are supported. */
export const COMPRESSIONS = ['gzip', 'snappy', 'lz4', 'zstd'] as const
export type Compression = (typeof COMPRESSIONS)[number]

interface Expanded {
  readonly buffer: Buffer
  /** `bytesWritten` counts the compressed bytes that the decoder has read. */
  readonly engine: { readonly bytesWritten: number }
}

type Expand = (bytes: Buffer, expandedBytesMax: number) => Buffer | Promise<Buffer>

const gunzipAsync = promisify(gunzip)
const zstdCompressAsync = promisify(zstdCompress)
const zstdDecompressAsync = promisify(zstdDecompress)

/** The fastest level: the next ones take twice the time and more for a tenth of the bytes. */
export const ZSTD_FASTEST = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }

/** Largest window of a Zstandard frame: 8 MiB, which the format asks decoders to support. */
const ZSTD_WINDOW_LOG_MAX = 23

/** Key of the messages that replace those of a refused batch; they have no value. */
export const REFUSED_KEY = '\0refused'

/** Most messages of a refused batch that are answered one by one; a larger batch crashes the consumer. */
const REFUSED_RECORDS_MAX = 2 ** 18

/**
 * Records of Kafka's format 2 with the offset deltas 0, 1, 2...: attributes, time delta of 0, offset delta, the
 * key, no value, no headers; lengths as zigzag varints. A codec does not know how many records its batch has;
 * kafkajs reads as many as the batch says and leaves the rest.
 */
function refusedRecords(): Buffer {
  const key = Buffer.from(REFUSED_KEY)
  const bytes = Buffer.alloc(REFUSED_RECORDS_MAX * (key.length + 9))
  let at = 0
  for (let delta = 0; delta < REFUSED_RECORDS_MAX; delta += 1) {
    const start = at + 1
    at = start + 2
    let rest = delta * 2
    for (; rest > 0x7f; rest >>>= 7) bytes[at++] = (rest & 0x7f) | 0x80
    bytes[at++] = rest
    bytes[at++] = key.length * 2
    at += key.copy(bytes, at)
    bytes[at++] = 1
    bytes[at++] = 0
    bytes[start - 1] = (at - start) * 2
  }
  return bytes.subarray(0, at)
}

/**
 * Expands every frame. Node ignores bytes after the last whole frame; refuse them, since they would be lost records.
 */
async function decompressZstd(bytes: Buffer, expandedBytesMax: number): Promise<Buffer> {
  const options = {
    maxOutputLength: expandedBytesMax,
    params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG_MAX },
    info: true,
  }
  // With `info` the result includes the decoder, which the published types omit.
  const { buffer, engine } = (await zstdDecompressAsync(bytes, options)) as unknown as Expanded
  if (engine.bytesWritten < bytes.length)
    throw new Error('The bytes after its last frame are no Zstandard frame.')
  return buffer
}

const EXPANDERS: Readonly<Record<Compression, Expand>> = {
  gzip: (bytes, expandedBytesMax) => gunzipAsync(bytes, { maxOutputLength: expandedBytesMax }),
  snappy: decompressSnappy,
  lz4: decompressLz4,
  zstd: decompressZstd,
}

/**
 * Makes kafkajs read gzip, snappy, lz4 and zstd batches within the limit, in the whole process. Another call changes
 * the limit.
 */
export function registerCompressionCodecs(
  expandedBytesMax: number = BATCH_EXPANDED_BYTES_MAX,
): void {
  const { CompressionTypes } = kafkajs
  const codecs: Record<number, () => BatchCodec> = kafkajs.CompressionCodecs
  const register = (type: number, compression: Compression): void => {
    const codec = createBatchCodec(compression, expandedBytesMax)
    codecs[type] = () => ({
      compress: (encoder) => codec.compress(encoder),
      // An error here would crash the consumer over and over, and stop every partition that it reads.
      decompress: (bytes) => codec.decompress(bytes).catch(() => refusedRecords()),
    })
  }
  register(CompressionTypes.GZIP, 'gzip')
  register(CompressionTypes.Snappy, 'snappy')
  register(CompressionTypes.LZ4, 'lz4')
  register(CompressionTypes.ZSTD, 'zstd')
}

/**
 * One codec. `decompress` rejects with SluiceError SLUICE_INPUT_INVALID when the bytes are damaged or
 * expand beyond the limit; so does `compress`, except for zstd.
 */
export function createBatchCodec(compression: Compression, expandedBytesMax: number): BatchCodec {
  const expand = EXPANDERS[compression]
  return {
    async compress(encoder) {
      if (compression === 'zstd') return zstdCompressAsync(encoder.buffer, ZSTD_FASTEST)
      throw new SluiceError(
        'SLUICE_INPUT_INVALID',
        `Sluice reads ${compression} batches but does not write them; use zstd or no compression.`,
      )
    },
    async decompress(bytes) {
      try {
        return await expand(bytes, expandedBytesMax)
      } catch (error) {
        throw new SluiceError(
          'SLUICE_INPUT_INVALID',
          `A ${compression} batch of ${bytes.length} bytes is damaged or expands beyond ` +
            `${expandedBytesMax} bytes; have its producer send smaller batches.`,
          { cause: error, details: { compression, batchBytes: bytes.length } },
        )
      }
    },
  }
}
