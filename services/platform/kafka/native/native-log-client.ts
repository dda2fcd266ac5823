// The log client with our own reader, membership and transactions, over connections of @platformatic/kafka
// (docs/kafka.md).

import { randomUUID } from 'node:crypto'
import { kafkaRefusal } from '../kafka-failure.ts'
import type {
  Group,
  LogClient,
  LogClientOptions,
  LogRange,
  LogReader,
  LogRecord,
  LogWriter,
} from '../log-client.ts'
import type { LogEnds } from '../log-ends.ts'
import { Cluster } from './cluster.ts'
import { GroupMember } from './group-member.ts'
import { readEnds, readLastRecord } from './last-record.ts'
import { NativeLogReader } from './log-reader.ts'
import { readRange } from './range-reader.ts'
import { splitOwner } from '../offset-owner.ts'
import { TransactionWriter } from './transaction-writer.ts'

const REBALANCE_MS_MIN = 10_000

/** Opens the client, which connects when the group is joined. */
export function openNativeLogClient(options: LogClientOptions): LogClient {
  return new NativeLogClient(options)
}

class NativeLogClient implements LogClient {
  readonly #options: LogClientOptions
  readonly #cluster: Cluster
  readonly #member: GroupMember
  readonly #writer: TransactionWriter
  readonly #reader: NativeLogReader
  /** Names this process. A static member keeps the id after a restart, and so takes over its open transaction. */
  readonly #transactionalId: string
  readonly group: Group

  constructor(options: LogClientOptions) {
    this.#options = options
    const { connection, log, groupId, topics, sessionTimeoutMs, instanceId } = options
    this.#transactionalId = `${options.transactionalIdPrefix}${instanceId ?? randomUUID()}`
    const rebalanceTimeoutMs = Math.max(sessionTimeoutMs, REBALANCE_MS_MIN)
    const groupTimeoutMs = rebalanceTimeoutMs + REBALANCE_MS_MIN
    this.#cluster = new Cluster(connection, options.clientId, groupTimeoutMs)
    const cluster = this.#cluster
    this.#member = new GroupMember({
      cluster,
      log,
      groupId,
      topics,
      instanceId,
      sessionTimeoutMs,
      rebalanceTimeoutMs,
      memberData: this.#transactionalId,
    })
    const member = this.#member
    this.#writer = new TransactionWriter({
      cluster,
      groupId,
      transactionalId: this.#transactionalId,
      ownedTopic: topics[0] ?? '',
      membership: () => member.membership,
    })
    this.#reader = new NativeLogReader({
      cluster,
      log,
      onRecords: options.onRecords,
      onFault: options.onFault,
    })
    this.group = {
      failed: member.failed.then((error) => kafkaRefusal(error) ?? error),
      join: (handlers) => member.join(handlers),
      leave: () => member.leave(),
      readCommitted: async (topic, partition) => {
        const committed = await member.readCommitted(topic, partition)
        return committed && { ...committed, metadata: splitOwner(committed.metadata).metadata }
      },
    }
  }

  get reader(): LogReader {
    return this.#reader
  }

  async openWriter(partition: number): Promise<LogWriter> {
    await this.#fenceLastOwner(partition)
    return this.#writer.openPartition()
  }

  readEnds(topic: string, partition: number): Promise<LogEnds> {
    return readEnds(this.#cluster, topic, partition)
  }

  readLast(topic: string, partition: number): Promise<LogRecord | null> {
    return readLastRecord(this.#cluster, topic, partition)
  }

  readRange(
    range: LogRange,
    onRecords: (records: readonly LogRecord[]) => Promise<void>,
    signal: AbortSignal | null,
  ): Promise<void> {
    return readRange(this.#cluster, range, onRecords, signal)
  }

  async close(): Promise<void> {
    await this.#reader.close()
    await this.#writer.close()
    await this.#cluster.close()
  }

  /**
   * Ends the open transaction of the partition's last owner, which would hide decisions from readers. A living owner is
   * fenced by the generation. Under kafkajs the metadata names no owner: the transactional id is that of the partition.
   */
  async #fenceLastOwner(partition: number): Promise<void> {
    const { topics, transactionalIdPrefix } = this.#options
    const committed = await this.#member.readCommittedUnstable(topics[0] ?? '', partition)
    const { owner } = splitOwner(committed?.metadata ?? null)
    if (owner === this.#transactionalId) return
    if (owner !== null && this.#member.living.has(owner)) return
    await this.#writer.fenceOwner(owner ?? `${transactionalIdPrefix}${partition}`)
  }
}
