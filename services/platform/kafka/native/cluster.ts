// A Kafka cluster as the native client uses it: brokers, leaders and coordinators, and requests to them over
// connections of @platformatic/kafka (TLS, SASL, time-outs). Each broker has one connection per purpose, so that a long
// fetch never delays a heartbeat or a commit.

import { Connection, type ConnectionOptions, Reader, Writer } from '@platformatic/kafka'
import { SluiceError } from '../../../core/errors.ts'
import { tlsOptions } from '../../config/secrets.ts'
import type { KafkaConnection } from '../kafka-connection.ts'
import { type ErrorName, errorNameOf, KafkaAnswerError } from './kafka-errors.ts'

const CONNECT_TIMEOUT_MS = 5_000
const REQUEST_TIMEOUT_MS = 10_000
/** Most requests in flight on one connection. */
const IN_FLIGHT_MAX = 64
const NULL_UUID = '00000000-0000-0000-0000-000000000000'

/**
 * A request of the protocol: the encoder of its body and the decoder of its answer. All are flexible versions (tagged
 * fields).
 */
export interface RequestKind<Body, Answer> {
  readonly name: string
  readonly apiKey: number
  readonly version: number
  readonly write: (writer: Writer, body: Body) => void
  readonly read: (reader: Reader) => Answer
}

/** The purpose of a connection; each has its own. */
export type Purpose = 'control' | 'group' | 'fetch' | 'range' | 'commit' | 'append'

interface BrokerAddress {
  readonly host: string
  readonly port: number
}

interface TopicMetadata {
  /** UUID; all zeros from brokers without topic ids. */
  readonly topicId: string
  /** Node id of the leader of each partition, -1 for none. */
  readonly leaders: ReadonlyMap<number, number>
}

export class Cluster {
  readonly #bootstrap: readonly BrokerAddress[]
  readonly #clientId: string
  readonly #options: ConnectionOptions
  readonly #groupTimeoutMs: number
  readonly #connections = new Map<string, Promise<Connection>>()
  readonly #brokers = new Map<number, BrokerAddress>()
  readonly #topics = new Map<string, TopicMetadata>()
  readonly #coordinators = new Map<string, number>()
  #isClosed = false

  /** `groupTimeoutMs` is for JoinGroup, which waits for the other members. */
  constructor(
    connection: KafkaConnection,
    clientId: string,
    groupTimeoutMs: number = REQUEST_TIMEOUT_MS,
  ) {
    this.#groupTimeoutMs = groupTimeoutMs
    this.#bootstrap = connection.brokers.map(addressOf)
    this.#clientId = clientId
    this.#options = optionsOf(connection)
  }

  /** Sends to one broker. @throws the connection's error, after at most the request time-out */
  async send<Body, Answer>(
    node: number,
    purpose: Purpose,
    kind: RequestKind<Body, Answer>,
    body: Body,
  ): Promise<Answer> {
    const address = this.#brokers.get(node)
    if (address === undefined) {
      throw new KafkaAnswerError(kind.name, 'BROKER_NOT_AVAILABLE', `node ${node} is not known`)
    }
    return request(await this.#connect(address, purpose), kind, body)
  }

  /** Sends to any broker that answers. */
  async sendToAny<Body, Answer>(kind: RequestKind<Body, Answer>, body: Body): Promise<Answer> {
    const addresses = [...this.#brokers.values(), ...this.#bootstrap]
    let failure: unknown = new Error('no broker is configured')
    for (const address of addresses) {
      try {
        return await request(await this.#connect(address, 'control'), kind, body)
      } catch (error) {
        if (error instanceof SluiceError || error instanceof KafkaAnswerError) throw error
        failure = error
      }
    }
    throw failure
  }

  /** Metadata of a topic, requested when not cached. @throws KafkaAnswerError when there is no such topic */
  async topic(name: string): Promise<TopicMetadata> {
    const known = this.#topics.get(name)
    if (known !== undefined) return known
    await this.refresh([name])
    const found = this.#topics.get(name)
    if (found === undefined) {
      throw new KafkaAnswerError('Metadata', 'UNKNOWN_TOPIC_OR_PARTITION', name)
    }
    return found
  }

  /** Node id of the leader. @throws KafkaAnswerError LEADER_NOT_AVAILABLE while there is none */
  async leaderOf(topicName: string, partition: number): Promise<number> {
    const leader = (await this.topic(topicName)).leaders.get(partition) ?? -1
    if (leader >= 0) return leader
    this.#topics.delete(topicName)
    throw new KafkaAnswerError('Metadata', 'LEADER_NOT_AVAILABLE', `${topicName}/${partition}`)
  }

  /** Requests the current metadata of topics and brokers. */
  async refresh(topics: readonly string[]): Promise<void> {
    const answer = await this.sendToAny(METADATA, { topics })
    for (const { node, host, port } of answer.brokers) this.#brokers.set(node, { host, port })
    for (const { error, name, topicId, partitions } of answer.topics) {
      if (error !== 'NONE') {
        this.#topics.delete(name)
        if (error.endsWith('AUTHORIZATION_FAILED'))
          throw new KafkaAnswerError('Metadata', error, name)
        continue
      }
      const leaders = new Map(partitions.map(({ partition, leader }) => [partition, leader]))
      this.#topics.set(name, { topicId, leaders })
    }
  }

  /** Drops the cached metadata of a topic, after a broker reported that it has moved. */
  forgetTopic(name: string): void {
    this.#topics.delete(name)
  }

  /** Node id of the coordinator of a group or of a transactional id. @throws KafkaAnswerError while there is none */
  async coordinatorOf(kind: 'group' | 'transaction', key: string): Promise<number> {
    const cacheKey = `${kind} ${key}`
    const known = this.#coordinators.get(cacheKey)
    if (known !== undefined) return known
    const answer = await this.sendToAny(FIND_COORDINATOR, { kind, key })
    if (answer.error !== 'NONE') throw new KafkaAnswerError('FindCoordinator', answer.error, key)
    this.#brokers.set(answer.node, { host: answer.host, port: answer.port })
    this.#coordinators.set(cacheKey, answer.node)
    return answer.node
  }

  /** Drops the cached coordinator, after it has moved or failed. */
  forgetCoordinator(kind: 'group' | 'transaction', key: string): void {
    this.#coordinators.delete(`${kind} ${key}`)
  }

  /** True when the cluster runs transactions of version 2 (KIP-890), where partitions and offsets need not be added. */
  async hasTransactionsV2(): Promise<boolean> {
    const { transactionVersion, versions } = await this.sendToAny(API_VERSIONS, null)
    return transactionVersion >= 2 && (versions.get(0) ?? 0) >= 12 && (versions.get(26) ?? 0) >= 5
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const open = [...this.#connections.values()]
    this.#connections.clear()
    await Promise.all(
      open.map(async (connecting) => {
        await (await connecting.catch(() => null))?.close()
      }),
    )
  }

  async #connect(address: BrokerAddress, purpose: Purpose): Promise<Connection> {
    if (this.#isClosed) throw new Error('The Kafka client is closed.')
    const key = `${address.host}:${address.port} ${purpose}`
    const known = this.#connections.get(key)
    if (known !== undefined) {
      const connection = await known
      if (connection.isConnected()) return connection
      if (this.#connections.get(key) === known) this.#connections.delete(key)
      return this.#connect(address, purpose)
    }
    const connecting = this.#open(address, purpose)
    this.#connections.set(key, connecting)
    connecting.catch(() => {
      if (this.#connections.get(key) === connecting) this.#connections.delete(key)
    })
    return connecting
  }

  async #open({ host, port }: BrokerAddress, purpose: Purpose): Promise<Connection> {
    const requestTimeout = purpose === 'group' ? this.#groupTimeoutMs : REQUEST_TIMEOUT_MS
    const connection = new Connection(this.#clientId, { ...this.#options, requestTimeout })
    // Failures reach the requests in flight; without a listener the event would end the process.
    connection.on('error', () => undefined)
    await connection.connect(host, port)
    return connection
  }
}

/** The id of a topic; one that is created again under the same name has another. @throws KafkaAnswerError without the topic */
export async function readTopicId(connection: KafkaConnection, name: string): Promise<string> {
  const cluster = new Cluster(connection, 'sluice-scorer')
  try {
    return (await cluster.topic(name)).topicId
  } finally {
    await cluster.close()
  }
}

function request<Body, Answer>(
  connection: Connection,
  { apiKey, version, write, read }: RequestKind<Body, Answer>,
  body: Body,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    connection.send<Answer>(
      apiKey,
      version,
      () => {
        const writer = Writer.create()
        write(writer, body)
        return writer
      },
      (_correlation, _key, _version, reader) => read(reader),
      true,
      // The answer to ApiVersions has the old header, so that any client can read it.
      apiKey !== API_VERSIONS_KEY,
      (error, answer) => {
        if (error !== null) reject(error)
        else resolve(answer as Answer)
      },
    )
  })
}

function addressOf(broker: string): BrokerAddress {
  const colon = broker.lastIndexOf(':')
  return {
    host: broker.slice(0, colon).replace(/^\[|\]$/g, ''),
    port: Number(broker.slice(colon + 1)),
  }
}

function optionsOf({ security }: KafkaConnection): ConnectionOptions {
  const { tls = null, sasl = null } = security ?? {}
  return {
    connectTimeout: CONNECT_TIMEOUT_MS,
    maxInflights: IN_FLIGHT_MAX,
    ...(tls === null ? {} : { tls: tlsOptions(tls), tlsServerName: true }),
    ...(sasl === null
      ? {}
      : {
          sasl: {
            mechanism: SASL_NAMES[sasl.mechanism],
            username: sasl.username,
            password: sasl.password.reveal(),
          },
        }),
  }
}

const SASL_NAMES = {
  plain: 'PLAIN',
  'scram-sha-256': 'SCRAM-SHA-256',
  'scram-sha-512': 'SCRAM-SHA-512',
} as const

const METADATA: RequestKind<
  { readonly topics: readonly string[] },
  {
    readonly brokers: readonly { node: number; host: string; port: number }[]
    readonly topics: readonly {
      error: ErrorName
      name: string
      topicId: string
      partitions: readonly { partition: number; leader: number }[]
    }[]
  }
> = {
  name: 'Metadata',
  apiKey: 3,
  version: 12,
  write: (writer, { topics }) => {
    writer
      .appendArray([...topics], (w, name) => w.appendUUID(NULL_UUID).appendString(name))
      .appendBoolean(false)
      .appendBoolean(false)
      .appendTaggedFields()
  },
  read: (reader) => {
    reader.readInt32()
    const brokers = reader.readArray((r) => {
      const broker = { node: r.readInt32(), host: r.readString(), port: r.readInt32() }
      r.readNullableString()
      return broker
    })
    reader.readNullableString()
    reader.readInt32()
    const topics = reader.readArray((r) => {
      const error = errorNameOf(r.readInt16())
      const name = r.readNullableString() ?? ''
      const topicId = r.readUUID()
      r.readBoolean()
      const partitions = r.readArray((p) => {
        p.readInt16()
        const partition = p.readInt32()
        const leader = p.readInt32()
        p.readInt32()
        for (let list = 0; list < 3; list += 1) p.readArray((each) => each.readInt32(), true, false)
        return { partition, leader }
      })
      r.readInt32()
      return { error, name, topicId, partitions }
    })
    reader.readTaggedFields()
    return { brokers, topics }
  },
}

const FIND_COORDINATOR: RequestKind<
  { readonly kind: 'group' | 'transaction'; readonly key: string },
  { readonly error: ErrorName; readonly node: number; readonly host: string; readonly port: number }
> = {
  name: 'FindCoordinator',
  apiKey: 10,
  version: 4,
  write: (writer, { kind, key }) => {
    writer
      .appendInt8(kind === 'group' ? 0 : 1)
      .appendArray([key], (w, each) => w.appendString(each), true, false)
      .appendTaggedFields()
  },
  read: (reader) => {
    reader.readInt32()
    const [found] = reader.readArray((r) => {
      r.readString()
      const node = r.readInt32()
      const host = r.readString()
      const port = r.readInt32()
      const error = errorNameOf(r.readInt16())
      r.readNullableString()
      return { error, node, host, port }
    })
    reader.readTaggedFields()
    return found ?? { error: 'COORDINATOR_NOT_AVAILABLE', node: -1, host: '', port: 0 }
  },
}

const API_VERSIONS_KEY = 18

/** Largest version of each request that the broker supports, by api key; and the cluster's transaction version. */
const API_VERSIONS: RequestKind<
  null,
  { readonly versions: ReadonlyMap<number, number>; readonly transactionVersion: number }
> = {
  name: 'ApiVersions',
  apiKey: API_VERSIONS_KEY,
  version: 3,
  write: (writer) => {
    writer.appendString('sluice').appendString('1').appendTaggedFields()
  },
  read: (reader) => {
    reader.readInt16()
    const versions = new Map<number, number>()
    reader.readArray((r) => {
      const apiKey = r.readInt16()
      r.readInt16()
      versions.set(apiKey, r.readInt16())
      return null
    })
    reader.readInt32()
    let transactionVersion = 0
    const fields = reader.readUnsignedVarInt()
    for (let field = 0; field < fields; field += 1) {
      const tag = reader.readUnsignedVarInt()
      const length = reader.readUnsignedVarInt()
      if (tag !== FINALIZED_FEATURES_TAG) {
        reader.skip(length)
        continue
      }
      reader.readArray((r) => {
        const name = r.readString()
        const max = r.readInt16()
        r.readInt16()
        if (name === 'transaction.version') transactionVersion = max
        return null
      })
    }
    return { versions, transactionVersion }
  },
}

const FINALIZED_FEATURES_TAG = 2
