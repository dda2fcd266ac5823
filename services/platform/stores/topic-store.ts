// The content store that needs nothing but Kafka: the compacted topic `artifacts`. Partition 0 holds manifests by kind
// and digest, partition 1 the chunks. A manifest is written after all of its chunks are acknowledged, so content of a
// killed writer is never visible. Erased content is a tombstone for the manifest, then one for each chunk.

import { randomUUID } from 'node:crypto'
import kafkajs from 'kafkajs'
import {
  ArtifactAssembly,
  type ArtifactKind,
  type ArtifactManifest,
  artifactOfKey,
  CHUNK_BYTES,
  chunkCountOf,
  chunkKeyOf,
  chunkOfKey,
  INLINE_BYTES_MAX,
  manifestKeyOf,
  manifestText,
  readManifest,
} from '../../core/artifact.ts'
import { isSluiceError, SluiceError } from '../../core/errors.ts'
import { registerCompressionCodecs } from '../kafka/compression.ts'
import { openKafka } from '../kafka/kafka-client.ts'
import type { KafkaConnection } from '../kafka/kafka-connection.ts'
import { explainKafka } from '../kafka/kafka-failure.ts'
import type { LogRecord } from '../kafka/log-client.ts'
import { Cluster } from '../kafka/native/cluster.ts'
import { readEnds } from '../kafka/native/last-record.ts'
import { readRange } from '../kafka/native/range-reader.ts'
import { topicName } from '../kafka/topics.ts'
import { within } from '../within.ts'
import {
  type ContentStore,
  corruptContent,
  digestOf,
  expectRoom,
  type StoredArtifact,
  verified,
} from './content-store.ts'

const MANIFESTS = 0
const CHUNKS = 1

/** All artifacts of a topic together, uncompressed. */
const TOTAL_BYTES_MAX = 8 * 1024 ** 3
const ARTIFACTS_MAX = 20_000

/** Longest reading of one artifact. */
const READ_MS_MAX = 60_000
/** Longest writing of one artifact. */
const WRITE_MS_MAX = 300_000
const CONNECTION_TIMEOUT_MS = 3_000
const REQUEST_TIMEOUT_MS = 10_000
const RETRY = { initialRetryTime: 50, maxRetryTime: 1_000, retries: 5 } as const

export interface TopicStoreOptions extends KafkaConnection {
  readonly topicPrefix: string
  /** Deadline of a reading, ms. */
  readonly readMsMax?: number
  /** All artifacts together. */
  readonly totalBytesMax?: number
}

/** Opens the store. Each call connects by itself, so there is nothing to close. */
export function topicStore(options: TopicStoreOptions): ContentStore {
  return new TopicStore(options)
}

interface PlacedManifest extends ArtifactManifest {
  readonly atMs: number
}

interface Message {
  readonly key: string
  readonly value: Buffer | string | null
  readonly partition: number
}

/** A connection for one call, and the signal at its deadline. */
interface Reading {
  readonly cluster: Cluster
  readonly signal: AbortSignal
}

type Send = (messages: readonly Message[]) => Promise<number>

class TopicStore implements ContentStore {
  readonly place: string
  readonly #options: TopicStoreOptions
  readonly #topic: string
  /** Everything that partition 0 says below `#next`. */
  readonly #manifests = new Map<string, PlacedManifest>()
  #next = 0

  constructor(options: TopicStoreOptions) {
    this.#options = options
    this.#topic = topicName(options.topicPrefix, 'artifacts')
    this.place = `topic ${this.#topic}`
  }

  async put(kind: ArtifactKind, bytes: Buffer): Promise<string> {
    expectRoom(kind, bytes.length)
    const digest = await digestOf(bytes)
    const key = manifestKeyOf(kind, digest)
    const known = await this.#intact(kind, digest)
    if (known === null) this.#expectRoom(bytes.length)
    await this.#writing(async (send) => {
      const manifest = known ?? (await writeChunks(send, { kind, digest, bytes }))
      await send([{ key, value: manifestText(manifest), partition: MANIFESTS }])
    })
    return digest
  }

  async get(kind: ArtifactKind, digest: string): Promise<Buffer | null> {
    const known = this.#manifests.get(manifestKeyOf(kind, digest))
    const inline = known?.content ?? null
    if (known !== undefined && inline !== null) return this.#inline(known, inline)
    return this.#reading(async (reading) => {
      await this.#catchUp(reading)
      const manifest = this.#manifests.get(manifestKeyOf(kind, digest))
      return manifest === undefined ? null : this.#content(reading, manifest)
    })
  }

  async has(kind: ArtifactKind, digest: string): Promise<boolean> {
    await this.#reading((reading) => this.#catchUp(reading))
    return this.#manifests.has(manifestKeyOf(kind, digest))
  }

  async list(kind: ArtifactKind): Promise<readonly StoredArtifact[]> {
    await this.#reading((reading) => this.#catchUp(reading))
    return [...this.#manifests.values()].filter((manifest) => manifest.kind === kind)
  }

  async erase(kind: ArtifactKind, digest: string): Promise<void> {
    await this.#reading((reading) => this.#catchUp(reading))
    const key = manifestKeyOf(kind, digest)
    const manifest = this.#manifests.get(key)
    if (manifest === undefined) return
    await this.#writing(async (send) => {
      await send([{ key, value: null, partition: MANIFESTS }])
      const count = manifest.content === null ? chunkCountOf(manifest.bytes) : 0
      const chunks = Array.from({ length: count }, (_, index) => chunkKeyOf(manifest.upload, index))
      await eraseChunks(send, chunks)
    })
  }

  async sweep(beforeMs: number): Promise<number> {
    const orphans = new Map<string, number>()
    await this.#reading(async (reading) => {
      // Manifests are read last: a chunk that is read before its manifest was written then has one.
      await this.#read(reading, CHUNKS, {}, ({ key, value, timestampMs }) => {
        const text = key?.toString() ?? ''
        if (value === null) orphans.delete(text)
        else if (timestampMs < beforeMs) orphans.set(text, timestampMs)
      })
      await this.#catchUp(reading)
    })
    const uploads = new Set([...this.#manifests.values()].map(({ upload }) => upload))
    const keys = [...orphans.keys()].filter((key) => {
      const chunk = chunkOfKey(key)
      return chunk === null || !uploads.has(chunk.upload)
    })
    if (keys.length > 0) await this.#writing((send) => eraseChunks(send, keys))
    return keys.length
  }

  /** The manifest of an artifact that can be read; null when it is absent or damaged. */
  async #intact(kind: ArtifactKind, digest: string): Promise<PlacedManifest | null> {
    try {
      if ((await this.get(kind, digest)) === null) return null
    } catch (error) {
      if (!isSluiceError(error, 'SLUICE_STORE_CORRUPT')) throw error
      return null
    }
    return this.#manifests.get(manifestKeyOf(kind, digest)) ?? null
  }

  #expectRoom(bytes: number): void {
    const { totalBytesMax = TOTAL_BYTES_MAX } = this.#options
    let total = bytes
    for (const manifest of this.#manifests.values()) total += manifest.bytes
    if (total <= totalBytesMax && this.#manifests.size < ARTIFACTS_MAX) return
    throw new SluiceError(
      'SLUICE_STORE_FULL',
      `The ${this.place} would hold ${total} bytes in ${this.#manifests.size + 1} artifacts; at most ${totalBytesMax} ` +
        `bytes and ${ARTIFACTS_MAX} artifacts are stored. Create the topic again, and store what is in use.`,
    )
  }

  /** Null when chunks are gone: they were erased after the manifest was read. */
  async #content(reading: Reading, manifest: ArtifactManifest): Promise<Buffer | null> {
    const { kind, digest, fromOffset, endOffset } = manifest
    if (manifest.content !== null) return this.#inline(manifest, manifest.content)
    const where = `${this.place}: ${manifestKeyOf(kind, digest)}`
    const assembly = new ArtifactAssembly(manifest)
    const add = ({ key, value }: LogRecord): void => {
      assembly.add(key?.toString() ?? '', value)
    }
    await this.#read(reading, CHUNKS, { fromOffset, endOffset }, add)
    // A copied topic has other offsets.
    if (assembly.bytes === null && assembly.fault === null) {
      await this.#read(reading, CHUNKS, {}, add)
    }
    if (assembly.fault !== null) throw corruptContent(`${where}: ${assembly.fault}`)
    return assembly.bytes === null ? null : verified(assembly.bytes, digest, where)
  }

  #inline({ kind, digest }: ArtifactManifest, content: Buffer): Promise<Buffer> {
    return verified(content, digest, `${this.place}: ${manifestKeyOf(kind, digest)}`)
  }

  /** Reads the manifests that are new since the last call. */
  async #catchUp(reading: Reading): Promise<void> {
    const { high } = await readEnds(reading.cluster, this.#topic, MANIFESTS)
    if (high < this.#next) {
      // The topic was created again.
      this.#manifests.clear()
      this.#next = 0
    }
    await this.#read(
      reading,
      MANIFESTS,
      { fromOffset: this.#next },
      ({ key, value, timestampMs }) => {
        const name = key?.toString() ?? ''
        if (artifactOfKey(name) === null) return
        const manifest = value === null ? null : readManifest(name, value.toString())
        if (manifest === null) this.#manifests.delete(name)
        else if (this.#manifests.size < ARTIFACTS_MAX || this.#manifests.has(name))
          this.#manifests.set(name, { ...manifest, atMs: timestampMs })
      },
    )
    this.#next = high
  }

  /** Passes on the records of a partition from an offset to its present end, or to `endOffset`. */
  async #read(
    { cluster, signal }: Reading,
    partition: number,
    { fromOffset = 0, endOffset = Infinity },
    use: (record: LogRecord) => void,
  ): Promise<void> {
    const { low, high } = await readEnds(cluster, this.#topic, partition)
    const range = {
      topic: this.#topic,
      partition,
      from: Math.max(fromOffset, low),
      to: Math.min(endOffset, high),
    }
    await readRange(
      cluster,
      range,
      (records) => {
        for (const record of records) if (record.refused === null) use(record)
        return Promise.resolve()
      },
      signal,
    )
  }

  async #reading<Result>(read: (reading: Reading) => Promise<Result>): Promise<Result> {
    const cluster = new Cluster(this.#options, 'sluice-store')
    const stop = new AbortController()
    try {
      return await within(
        this.#options.readMsMax ?? READ_MS_MAX,
        read({ cluster, signal: stop.signal }),
      )
    } catch (error) {
      throw await this.#failure(error)
    } finally {
      stop.abort()
      await cluster.close().catch(() => undefined)
    }
  }

  async #writing(write: (send: Send) => Promise<void>): Promise<void> {
    registerCompressionCodecs()
    const kafka = openKafka(this.#options, {
      clientId: 'sluice-store',
      connectionTimeout: CONNECTION_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      retry: RETRY,
    })
    const producer = kafka.producer({
      idempotent: true,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      retry: RETRY,
    })
    const send: Send = async (messages) => {
      const [written] = await producer.send({
        topic: this.#topic,
        acks: -1,
        compression: kafkajs.CompressionTypes.ZSTD,
        messages: [...messages],
      })
      return Number(written?.baseOffset ?? 0)
    }
    try {
      await within(
        WRITE_MS_MAX,
        producer.connect().then(() => write(send)),
      )
    } catch (error) {
      throw await this.#failure(error)
    } finally {
      await producer.disconnect().catch(() => undefined)
    }
  }

  async #failure(error: unknown): Promise<unknown> {
    const refusal = await explainKafka(this.#options, error)
    if (refusal !== null) return refusal
    if (error instanceof SluiceError && error.code.startsWith('SLUICE_STORE_')) return error
    const problem = error instanceof Error ? error.message : String(error)
    return new SluiceError(
      'SLUICE_STORE_UNAVAILABLE',
      `The ${this.place} at ${this.#options.brokers.join(',')} cannot be read or written (${problem}). Check that Kafka ` +
        'runs and that the topic exists ("sluice topics create"), then try again.',
      { cause: error },
    )
  }
}

interface Content {
  readonly kind: ArtifactKind
  readonly digest: string
  readonly bytes: Buffer
}

/** Sends the chunks one after the other, so that one is in memory beside the content. */
async function writeChunks(
  send: Send,
  { kind, digest, bytes }: Content,
): Promise<ArtifactManifest> {
  const upload = randomUUID()
  const size = bytes.length
  if (size <= INLINE_BYTES_MAX) {
    return { kind, digest, bytes: size, upload, fromOffset: 0, endOffset: 0, content: bytes }
  }
  const offsets: number[] = []
  for (let index = 0; index < chunkCountOf(size); index += 1) {
    const value = bytes.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES)
    offsets.push(await send([{ key: chunkKeyOf(upload, index), value, partition: CHUNKS }]))
  }
  const [fromOffset = 0] = offsets
  const endOffset = (offsets.at(-1) ?? fromOffset) + 1
  return { kind, digest, bytes: size, upload, fromOffset, endOffset, content: null }
}

/** Tombstones are small, so many of them make one request. */
const TOMBSTONES = 1_000

async function eraseChunks(send: Send, keys: readonly string[]): Promise<void> {
  for (let from = 0; from < keys.length; from += TOMBSTONES) {
    const some = keys.slice(from, from + TOMBSTONES)
    await send(some.map((key) => ({ key, value: null, partition: CHUNKS })))
  }
}
