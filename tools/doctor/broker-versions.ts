// Asks a Kafka broker for its version. The client has no call for that, so one ApiVersions request (version 3, which
// all brokers since 2.4 answer) is written and read by hand.

import { connect, isIP } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { type TlsFiles, tlsOptions } from '../../services/platform/config/secrets.ts'

const API_VERSIONS_KEY = 18
const REQUEST_VERSION = 3
const RESPONSE_BYTES_MAX = 1024 * 1024
const LIMIT_MS = 3_000
const ITEMS_MAX = 4_096
const FINALIZED_FEATURES_TAG = 2
const PRODUCE_KEY = 0
const FETCH_KEY = 1

/** A broker's description of itself. */
export interface BrokerVersions {
  /** Lowest and highest Produce and Fetch versions: [min, max]. */
  readonly produce: readonly [number, number] | null
  readonly fetch: readonly [number, number] | null
  /** Feature levels that the cluster has settled on, for example metadata.version. */
  readonly features: ReadonlyMap<string, number>
}

// The first metadata level of each release; a later level up to the next entry belongs to the same release.
const RELEASES: readonly [firstLevel: number, release: string][] = [
  [30, '4.3'],
  [28, '4.2'],
  [26, '4.1'],
  [22, '4.0'],
  [20, '3.9'],
]
const LEVEL_KNOWN_MAX = 30

/** Release of a metadata.version level, as far as this code knows. */
export function releaseOf(metadataLevel: number): string {
  if (metadataLevel > LEVEL_KNOWN_MAX) return 'newer than 4.3'
  return RELEASES.find(([level]) => metadataLevel >= level)?.[1] ?? 'older than 3.9'
}

/** Asks the broker at host:port. Rejects when it does not answer, or answers in another format. */
export async function readBrokerVersions(
  host: string,
  port: number,
  tls: TlsFiles | null = null,
): Promise<BrokerVersions> {
  const response = await exchange(host, port, tls, apiVersionsRequest())
  return parseApiVersions(response)
}

/** Reads a response without its length prefix. @throws RangeError when it is not such a response. */
export function parseApiVersions(response: Buffer): BrokerVersions {
  const cursor = new Cursor(response)
  cursor.skip(4) // correlation id; the header of this response has no tags
  const errorCode = cursor.int16()
  if (errorCode !== 0) throw new RangeError(`the broker answered with error code ${errorCode}`)
  const ranges = new Map<number, readonly [number, number]>()
  for (let left = cursor.compactLength(); left > 0; left -= 1) {
    const key = cursor.int16()
    ranges.set(key, [cursor.int16(), cursor.int16()])
    cursor.skipTags()
  }
  cursor.skip(4) // throttle time
  const features = new Map<string, number>()
  cursor.eachTag((tag, field) => {
    if (tag !== FINALIZED_FEATURES_TAG) return
    for (let left = field.compactLength(); left > 0; left -= 1) {
      const name = field.compactString()
      features.set(name, field.int16())
      field.skip(2) // lowest level
      field.skipTags()
    }
  })
  return {
    produce: ranges.get(PRODUCE_KEY) ?? null,
    fetch: ranges.get(FETCH_KEY) ?? null,
    features,
  }
}

function apiVersionsRequest(): Buffer {
  const client = Buffer.from('sluice-doctor')
  const header = Buffer.alloc(10)
  header.writeInt16BE(API_VERSIONS_KEY, 0)
  header.writeInt16BE(REQUEST_VERSION, 2)
  header.writeInt32BE(1, 4)
  header.writeInt16BE(client.length, 8)
  const compactClient = Buffer.concat([Buffer.from([client.length + 1]), client])
  const softwareVersion = Buffer.from([2, 0x31]) // "1"
  const noTags = Buffer.from([0])
  const body = Buffer.concat([header, client, noTags, compactClient, softwareVersion, noTags])
  const length = Buffer.alloc(4)
  length.writeInt32BE(body.length, 0)
  return Buffer.concat([length, body])
}

function exchange(
  host: string,
  port: number,
  tls: TlsFiles | null,
  request: Buffer,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const servername = isIP(host) === 0 ? { servername: host } : {}
    const socket =
      tls === null
        ? connect({ host, port })
        : connectTls({ host, port, ...servername, ...tlsOptions(tls) })
    let received = Buffer.alloc(0)
    const stop = (error: Error): void => {
      socket.destroy()
      reject(error)
    }
    socket.setTimeout(LIMIT_MS, () => {
      stop(new Error(`no answer from ${host}:${port} within ${LIMIT_MS / 1000} s`))
    })
    socket.once('error', stop)
    socket.once('close', () => {
      reject(new Error(`${host}:${port} closed the connection`))
    })
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
      if (received.length < 4) return
      const length = received.readInt32BE(0)
      if (length < 0 || length > RESPONSE_BYTES_MAX) {
        stop(new Error(`${host}:${port} is not a Kafka broker`))
      } else if (received.length >= 4 + length) {
        resolve(received.subarray(4, 4 + length))
        socket.destroy()
      }
    })
    socket.write(request)
  })
}

/** Reads Kafka's compact formats; anything past the end throws a RangeError. */
class Cursor {
  readonly #bytes: Buffer
  #position = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  int16(): number {
    const value = this.#bytes.readInt16BE(this.#position)
    this.#position += 2
    return value
  }

  skip(count: number): void {
    if (this.#position + count > this.#bytes.length) throw new RangeError('the answer is too short')
    this.#position += count
  }

  /** Length of a compact array or string: written as length + 1, with 0 for null. */
  compactLength(): number {
    const length = Math.max(0, this.#varint() - 1)
    if (length > ITEMS_MAX) throw new RangeError(`the answer has a list of ${length} items`)
    return length
  }

  compactString(): string {
    return this.#take(this.compactLength()).toString('utf8')
  }

  skipTags(): void {
    this.eachTag(() => undefined)
  }

  eachTag(read: (tag: number, field: Cursor) => void): void {
    const count = this.#varint()
    if (count > ITEMS_MAX) throw new RangeError(`the answer has ${count} tagged fields`)
    for (let left = count; left > 0; left -= 1) {
      const tag = this.#varint()
      read(tag, new Cursor(this.#take(this.#varint())))
    }
  }

  #take(length: number): Buffer {
    const start = this.#position
    this.skip(length)
    return this.#bytes.subarray(start, start + length)
  }

  #varint(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#bytes.readUInt8(this.#position)
      this.#position += 1
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
    throw new RangeError('the answer has an endless number')
  }
}
