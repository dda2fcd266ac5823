// The log as the scorer uses it: three small ports and one client that holds them. Two clients implement them: the native
// one (native/) and kafkajs (kafkajs-log-client.ts); test/integration/log-client.test.ts holds both to one conformance suite.

import type { SluiceError } from '../../core/errors.ts'
import type { MessageHeaders } from '../../core/trace-context.ts'
import type { Logger } from '../log.ts'
import type { KafkaConnection } from './kafka-connection.ts'

/** One record of the log. Key and value are views of what was fetched. */
export interface LogRecord {
  readonly offset: number
  readonly timestampMs: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: MessageHeaders | undefined
  /** Why the record must not be read: too many headers, or a batch that cannot be expanded; null for a sound one. */
  readonly refused: 'codec_refused' | 'too_large' | null
}

/** Records of one partition in offset order, committed ones only. */
export interface FetchedRecords {
  readonly topic: string
  readonly partition: number
  readonly records: readonly LogRecord[]
  /** Everything below is in `records` or came before, or was a control record or aborted. */
  readonly nextOffset: number
  readonly highWatermark: number
  /** The end of what no open transaction may change, at most the high watermark; null where the client does not tell. */
  readonly lastStableOffset: number | null
}

/** Why a partition cannot be read on. */
export type LogFault =
  /** The log has no such offset: it was truncated, or retention took it. */
  | 'offset_out_of_range'
  /** Another topic has taken the name. */
  | 'topic_recreated'
  /** A checksum is wrong. */
  | 'corrupt'

/** Reads partitions from given offsets on. */
export interface LogReader {
  /** Begins or moves a partition; what was fetched of it before is dropped. */
  seek(topic: string, partition: number, offset: number): void
  pause(topic: string, partition: number): void
  resume(topic: string, partition: number): void
  /** Stops reading a partition. */
  release(topic: string, partition: number): void
}

/** A message to append. Its partition is that of its key where none is given. */
export interface OutgoingMessage {
  readonly topic: string
  readonly partition: number
  readonly key: Buffer | string | null
  readonly value: Buffer | null
  readonly headers?: Readonly<Record<string, string>>
}

/** An input offset that a commit answers. */
export interface InputOffset {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly metadata: string | null
}

/** The output of one assigned partition, until it ends or a commit fails. */
export interface LogWriter {
  /**
   * Commits messages and offsets together, perhaps along with those of other partitions of this process: at once when
   * urgent, else after at most some ms of patience.
   * @throws SluiceError SLUICE_COMMIT_UNKNOWN on any failure: the outcome is unknown, so the caller closes this writer,
   * opens another one and reads back what was committed. SLUICE_PARTITION_FENCED when another member owns the partition.
   */
  commit(
    messages: readonly OutgoingMessage[],
    offsets: readonly InputOffset[],
    isUrgent: boolean,
  ): Promise<void>
  close(): Promise<void>
}

/** The commit of a group for one partition of a topic. */
export interface CommittedOffset {
  readonly offset: number
  readonly metadata: string | null
}

/** Calls to whoever holds the membership of a group. */
export interface GroupHandlers {
  /** The partitions of this member from now on; those of an earlier assignment are revoked by then. */
  readonly onAssigned: (partitions: readonly number[]) => Promise<void>
  /** Partitions are about to go to others, or are gone already: end their work. The group waits a bounded time for it. */
  readonly onRevoked: () => Promise<void>
}

/** Membership of the consumer group. */
export interface Group {
  /** Never rejects; resolves with the error that ended the membership for good. */
  readonly failed: Promise<Error>
  /** Joins, and resolves after the first assignment was handed over. */
  join(handlers: GroupHandlers): Promise<void>
  /** The offset of a partition as committed, once no open transaction may still change it; null for none. */
  readCommitted(topic: string, partition: number): Promise<CommittedOffset | null>
  /** Leaves at once, so that others need not wait for the session to end. */
  leave(): Promise<void>
}

/** A stretch of a partition: from `from` up to but without `to`. */
export interface LogRange {
  readonly topic: string
  readonly partition: number
  readonly from: number
  readonly to: number
}

/** A client of the log for one scorer. */
export interface LogClient {
  readonly reader: LogReader
  readonly group: Group
  /**
   * Opens the output of a partition that is assigned; when this returns, no earlier owner of the partition can commit any
   * more, and no transaction of theirs is open.
   */
  openWriter(partition: number): Promise<LogWriter>
  /** The last committed record of a partition, once no transaction is open there; null when it holds none. */
  readLast(topic: string, partition: number): Promise<LogRecord | null>
  /**
   * Hands over the committed records of a stretch in offset order, one call at a time, and resolves once everything below its
   * end was handed over; waits for transactions that are open there. No call runs any more when it rejects.
   * @throws the reason of the signal, the error of `onRecords`, or SluiceError: SLUICE_PARTITION_OFFSET_OUT_OF_RANGE,
   * SLUICE_LOG_CORRUPT, SLUICE_ACCESS_DENIED, SLUICE_TLS_FAILED, SLUICE_BROKER_UNAVAILABLE
   */
  readRange(
    range: LogRange,
    onRecords: (records: readonly LogRecord[]) => Promise<void>,
    signal: AbortSignal | null,
  ): Promise<void>
  close(): Promise<void>
}

/** How a client of the log is opened. */
export interface LogClientOptions {
  readonly connection: KafkaConnection
  readonly log: Logger
  readonly groupId: string
  /** The input topics. Partition p of each goes to the same member of the group. */
  readonly topics: readonly string[]
  readonly sessionTimeoutMs: number
  /** Name of this member that stays when it restarts (static membership); null for a new member with each start. */
  readonly instanceId: string | null
  /** Beginning of the transactional ids of this group's members. */
  readonly transactionalIdPrefix: string
  /** Called with records as they come; never waits. */
  readonly onRecords: (fetched: FetchedRecords) => void
  /** Called once for a partition that cannot be read on; it is not read any more. */
  readonly onFault: (topic: string, partition: number, fault: LogFault, error: SluiceError) => void
}
