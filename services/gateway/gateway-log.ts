// The log as the gateway uses it: it appends transactions, follows decisions and alerts of all partitions, and reads
// single transactions back.

import type { Admin } from 'kafkajs'
import type { Codecs } from '../core/wire/codecs.ts'
import type { SluiceError } from '../core/errors.ts'
import { partitionOf } from '../core/murmur2.ts'
import type { Transaction } from '../core/transaction.ts'
import { openKafka } from '../platform/kafka/kafka-client.ts'
import type { KafkaConnection } from '../platform/kafka/kafka-connection.ts'
import { explainKafka, kafkaAway, kafkaRefusal } from '../platform/kafka/kafka-failure.ts'
import type { FetchedRecords } from '../platform/kafka/log-client.ts'
import { Cluster } from '../platform/kafka/native/cluster.ts'
import { LogAppender } from '../platform/kafka/native/log-appender.ts'
import { LogFollower } from '../platform/kafka/native/log-follower.ts'
import { readRange } from '../platform/kafka/native/range-reader.ts'
import { readPartitionCount, topicName } from '../platform/kafka/topics.ts'
import { type Closable, closeAll } from '../platform/lifecycle.ts'
import { LogLimit, type Logger } from '../platform/log.ts'
import { digestOf, inOrder, type ScoreLog } from './score-requests.ts'

const CLIENT_ID = 'sluice-gateway'
const CONNECTION_TIMEOUT_MS = 3_000
const RETRY = { initialRetryTime: 50, maxRetryTime: 1_000, retries: 8 } as const
const RETRY_LOG_INTERVAL_MS = 10_000

export interface GatewayLogOptions extends KafkaConnection {
  readonly topicPrefix: string
  readonly codecs: Pick<Codecs, 'transaction'>
  readonly log: Logger
  /** Decisions from this time on are read back at the start, ms. */
  readonly decisionsSinceMs: number
  readonly alertsSinceMs: number
  readonly onDecisions: (fetched: FetchedRecords) => void
  readonly onAlerts: (fetched: FetchedRecords) => void
  readonly onRetry: () => void
  /** A topic cannot be read any more, or a right is missing. */
  readonly onFault: (error: SluiceError) => void
}

export interface GatewayLog extends ScoreLog, Closable {
  /** True once everything that existed at the start was passed on. */
  readonly isCaughtUp: boolean
  readonly unacknowledgedCount: number
}

/**
 * Connects and starts to follow. @throws SluiceError SLUICE_BROKER_UNAVAILABLE, SLUICE_TOPICS_INVALID,
 * SLUICE_ACCESS_DENIED or SLUICE_TLS_FAILED.
 */
export async function openGatewayLog(options: GatewayLogOptions): Promise<GatewayLog> {
  const retry = RETRY
  const kafka = openKafka(
    options,
    { clientId: CLIENT_ID, connectionTimeout: CONNECTION_TIMEOUT_MS, retry },
    options.log,
  )
  const admin = kafka.admin()
  try {
    await admin.connect()
    const { topicPrefix } = options
    const topics = ['transactions', 'decisions', 'alerts'] as const
    const partitionCount = await readPartitionCount(admin, topicPrefix, topics)
    const log = new KafkaGatewayLog(options, partitionCount)
    await log.start(admin)
    return log
  } catch (error) {
    throw (await explainKafka(options, error)) ?? kafkaAway(options, error) ?? error
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
}

class KafkaGatewayLog implements GatewayLog {
  readonly #options: GatewayLogOptions
  readonly #partitionCount: number
  readonly #cluster: Cluster
  readonly #appender: LogAppender
  readonly #follower: LogFollower
  readonly #retryLog = new LogLimit(RETRY_LOG_INTERVAL_MS)
  readonly #transactions: string
  readonly #decisions: string
  readonly #alerts: string

  constructor(options: GatewayLogOptions, partitionCount: number) {
    const { topicPrefix, log } = options
    this.#options = options
    this.#partitionCount = partitionCount
    this.#transactions = topicName(topicPrefix, 'transactions')
    this.#decisions = topicName(topicPrefix, 'decisions')
    this.#alerts = topicName(topicPrefix, 'alerts')
    this.#cluster = new Cluster(options, CLIENT_ID)
    this.#appender = new LogAppender({
      cluster: this.#cluster,
      topic: this.#transactions,
      onRetry: (error) => {
        this.#retried(error)
      },
    })
    this.#follower = new LogFollower({
      cluster: this.#cluster,
      log,
      onRecords: (fetched) => {
        if (fetched.topic === this.#decisions) options.onDecisions(fetched)
        else options.onAlerts(fetched)
      },
      onFault: options.onFault,
    })
  }

  start(admin: Admin): Promise<void> {
    const { decisionsSinceMs, alertsSinceMs } = this.#options
    return this.#follower.start(admin, [
      { topic: this.#alerts, sinceMs: alertsSinceMs },
      { topic: this.#decisions, sinceMs: decisionsSinceMs },
    ])
  }

  get isCaughtUp(): boolean {
    return this.#follower.isCaughtUp
  }

  get unacknowledgedCount(): number {
    return this.#appender.waitingCount
  }

  async append(
    { card }: Transaction,
    value: Buffer,
    headers: Readonly<Record<string, string>> | undefined,
  ): Promise<{ readonly partition: number; readonly offset: number }> {
    const key = Buffer.from(card)
    const partition = partitionOf(key, this.#partitionCount)
    const record = { key, value, ...(headers && { headers }) }
    try {
      return { partition, offset: await this.#appender.append(partition, record) }
    } catch (error) {
      this.#endIfRefused(error)
      throw error
    }
  }

  async digestAt(partition: number, offset: number, deadlineMs: number): Promise<string | null> {
    const { codecs } = this.#options
    const limit = AbortSignal.timeout(Math.max(1, Math.ceil(deadlineMs - performance.now())))
    const range = { topic: this.#transactions, partition, from: offset, to: offset + 1 }
    let digest: string | null = null
    try {
      await within(
        limit,
        readRange(
          this.#cluster,
          range,
          (records) => {
            const decoded = codecs.transaction.decode(records[0]?.value ?? null)
            // Written again with the newest schema, as requests are.
            if (decoded.ok) digest = digestOf(codecs.transaction.encode(inOrder(decoded.value)))
            return Promise.resolve()
          },
          limit,
        ),
      )
    } catch (error) {
      this.#endIfRefused(error)
      return null
    }
    return digest
  }

  async close(): Promise<void> {
    await closeAll([this.#cluster, this.#follower, this.#appender])
  }

  /** Without a right of its role a gateway would answer wrongly for good. */
  #endIfRefused(error: unknown): void {
    const refusal = kafkaRefusal(error)
    if (refusal !== null) this.#options.onFault(refusal)
  }

  #retried(error: unknown): void {
    this.#options.onRetry()
    const leftOut = this.#retryLog.admit('append', performance.now())
    if (leftOut === null) return
    this.#options.log.warn(
      { err: error, leftOut },
      'Transactions could not be written; they are sent again.',
    )
  }
}

/** `readRange` looks at its signal between fetches only. */
function within(signal: AbortSignal, work: Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.addEventListener(
      'abort',
      () => {
        reject(new Error('The time to read a transaction is over.'))
      },
      { once: true },
    )
    work.then(resolve, reject)
  })
}
