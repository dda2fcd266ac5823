// The log as the scorer uses it: three small interfaces, and one client that provides them. Two clients implement them:
// the native one (native/) and kafkajs (kafkajs-log-client.ts). test/integration/log-client.test.ts runs one
// conformance suite against both.

import type { SluiceError } from '../../core/errors.ts'
import type { MessageHeaders } from '../../core/trace-context.ts'
import type { Logger } from '../log.ts'
import type { KafkaConnection } from './kafka-connection.ts'
import type { LogEnds } from './log-ends.ts'

/** One record of the log. Key and value are views of the fetched bytes. */
export interface LogRecord {
  readonly offset: number
  readonly timestampMs: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: MessageHeaders | undefined
  /**
   * The reason for which the record must not be decoded: too many headers, or a batch that cannot be expanded; null for
   * a valid record.
   */
  readonly refused: 'codec_refused' | 'too_large' | null
}

/** Committed records of one partition in offset order. */
export interface FetchedRecords {
  readonly topic: string
  readonly partition: number
  readonly records: readonly LogRecord[]
  /** Everything below this offset is in `records`, came before, was a control record, or was aborted. */
  readonly nextOffset: number
  readonly highWatermark: number
  /**
   * The last stable offset: no open transaction can change records below it. Null when the client does not expose it.
   */
  readonly lastStableOffset: number | null
}

/** Reasons for which a partition cannot be read. */
export type LogFault =
  /** The log does not hold the offset: it was truncated, or retention removed it. */
  | 'offset_out_of_range'
  /** The topic was deleted and recreated. */
  | 'topic_recreated'
  /** A checksum is wrong. */
  | 'corrupt'

/** Reads partitions from given offsets. */
export interface LogReader {
  /** Starts or moves a partition; fetched records of its earlier position are dropped. */
  seek(topic: string, partition: number, offset: number): void
  pause(topic: string, partition: number): void
  resume(topic: string, partition: number): void
  /** Stops reading a partition. */
  release(topic: string, partition: number): void
}

/** A message to append. Without a partition, the key determines it. */
export interface OutgoingMessage {
  readonly topic: string
  readonly partition: number
  readonly key: Buffer | string | null
  readonly value: Buffer | null
  readonly headers?: Readonly<Record<string, string>>
}

/** An input offset that a commit covers. */
export interface InputOffset {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly metadata: string | null
}

/** The output of one assigned partition, until the assignment ends or a commit fails. */
export interface LogWriter {
  /**
   * Commits messages and offsets together, possibly with those of other partitions of this process: at once when
   * urgent, else after a linger of a few ms at most. @throws SluiceError SLUICE_COMMIT_UNKNOWN on any failure: the
   * outcome is unknown, so the caller closes this writer, opens another one and reads the committed offsets.
   * SLUICE_PARTITION_FENCED when another member owns the partition.
   */
  commit(
    messages: readonly OutgoingMessage[],
    offsets: readonly InputOffset[],
    isUrgent: boolean,
  ): Promise<void>
  close(): Promise<void>
}

/** A group's committed offset for one partition of a topic. */
export interface CommittedOffset {
  readonly offset: number
  readonly metadata: string | null
}

/** Callbacks of a group member. */
export interface GroupHandlers {
  /** The new partitions of this member; those of an earlier assignment are already revoked. */
  readonly onAssigned: (partitions: readonly number[]) => void
  /**
   * Partitions are about to move to other members, or have already moved: stop their work. The group waits for a
   * bounded time.
   */
  readonly onRevoked: () => Promise<void>
}

/** Membership of the consumer group. */
export interface Group {
  /** Never rejects; resolves with the error that ended the membership for good. */
  readonly failed: Promise<Error>
  /** Joins, and resolves after the first assignment was passed on. */
  join(handlers: GroupHandlers): Promise<void>
  /** The committed offset of a partition, once no open transaction can change it; null for none. */
  readCommitted(topic: string, partition: number): Promise<CommittedOffset | null>
  /** Leaves at once, so that others need not wait for the session to expire. */
  leave(): Promise<void>
}

/** A range of a partition: from `from` up to, but not including, `to`. */
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
   * Opens the output of an assigned partition. When it resolves, no earlier owner of the partition can commit, and none
   * of their transactions is open.
   */
  openWriter(partition: number): Promise<LogWriter>
  /** The offsets that a partition holds, without those that an open transaction may still change. */
  readEnds(topic: string, partition: number): Promise<LogEnds>
  /** The last committed record of a partition, once no transaction is open there; null when it holds none. */
  readLast(topic: string, partition: number): Promise<LogRecord | null>
  /**
   * Passes on the committed records of a range in offset order, one call at a time, and resolves once everything below
   * the end was passed on. Waits for transactions that are open in the range. No call is running any more when it
   * rejects. @throws the signal's reason, the error of `onRecords`, or SluiceError:
   * SLUICE_PARTITION_OFFSET_OUT_OF_RANGE, SLUICE_LOG_CORRUPT, SLUICE_ACCESS_DENIED, SLUICE_TLS_FAILED,
   * SLUICE_BROKER_UNAVAILABLE
   */
  readRange(
    range: LogRange,
    onRecords: (records: readonly LogRecord[]) => Promise<void>,
    signal: AbortSignal | null,
  ): Promise<void>
  close(): Promise<void>
}

/** Options of a log client. */
export interface LogClientOptions {
  readonly connection: KafkaConnection
  readonly log: Logger
  /** Name of the client in the brokers' logs. */
  readonly clientId: string
  readonly groupId: string
  /** The input topics. Partition p of each goes to the same member of the group. */
  readonly topics: readonly string[]
  readonly sessionTimeoutMs: number
  /** Static group member id, which survives restarts; null for a dynamic member. */
  readonly instanceId: string | null
  /** Prefix of the transactional ids of this group's members. */
  readonly transactionalIdPrefix: string
  /** Called with records as they arrive; never waits. */
  readonly onRecords: (fetched: FetchedRecords) => void
  /** Called once for a partition that cannot be read, which is then abandoned. */
  readonly onFault: (topic: string, partition: number, fault: LogFault, error: SluiceError) => void
}
