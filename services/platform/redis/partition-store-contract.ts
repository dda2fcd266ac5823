// Contract between a partition and the store of its state.

import type { CardLookup, PartitionState } from '../../core/features/engine/fold-state.ts'
import type { Frontier, PartitionProgress } from '../../core/stream/partition-progress.ts'
import type { Logger } from '../log.ts'
import type { RedisOperation } from '../metrics/partition-metrics.ts'
import type { RedisConnection } from './redis-connection.ts'
import type { RedisServerInfo } from './server-info.ts'

export type WriteReply = 'written' | 'fenced' | 'lost'

/** Ways in which a read shows that the partition's state is no longer as it was left. */
export type ReadLoss = 'emptied' | 'rolled_back' | 'corrupt'

export interface PartitionStoreOptions extends RedisConnection {
  /** Logger for changes of the connection; none by default. */
  readonly log?: Logger
  readonly streamId: string
  readonly partitionCount: number
  /** Longest wait for a reply, unless a session has its own limit. */
  readonly answerMsMax: number
  /** Maximum bytes of decoded state in memory, over all partitions. */
  readonly cacheBytesMax: number
  /** Opens even if Redis is unavailable; the client keeps trying to connect. A refusal by Redis is still an error. */
  readonly mayBeAway?: boolean
  /** Called once per command that was sent, when it has ended, successfully or not. */
  readonly onRoundTrip: (operation: RedisOperation, durationMs: number) => void
  readonly onConnection: (isUp: boolean) => void
}

/** Stored state of a partition, before a session is opened. */
export interface PartitionStatus {
  /** Null if there is none, or it has another layout. */
  readonly progress: PartitionProgress | null
  /** Progress of an unfinished rebuild; null if there is none. */
  readonly restore: PartitionProgress | null
  /** The texts as stored. */
  readonly texts: { readonly progress: string; readonly restore: string }
}

/** Input of a batch: state to fold into, and the progress of each partition at the time of the read. */
export interface PartitionSnapshot extends PartitionState, CardLookup {
  readonly progress: readonly (PartitionProgress | null)[]
  /** Set by a live partition once the progress of the others is known. */
  entityHorizonMs: number
}

/** The committed offsets, and the newest event time below them; -1 for none. */
export interface CommittedFrontier extends Frontier {
  readonly newestEventMs: number
}

/**
 * Further input for late transactions of a batch: entities of the decisions that they change, and the messages of
 * those.
 */
export interface LateNeeds {
  readonly entities: readonly number[]
  readonly messages: readonly NeededMessage[]
}

/** The message of a decision, and its event time. */
export interface NeededMessage {
  readonly offset: number
  readonly eventTimeMs: number
}

export type PartitionReading =
  | { readonly kind: 'read'; readonly snapshot: PartitionSnapshot }
  | { readonly kind: 'fenced' }
  | { readonly kind: 'lost'; readonly loss: ReadLoss }

/**
 * State of one partition under one epoch. What was read or written stays decoded in memory. That is correct only while
 * each write succeeds, so the session must be closed after any failure.
 */
export interface PartitionSession {
  readonly epoch: number
  /** Coverage of the state. */
  readonly progress: PartitionProgress
  /** True if the session fills a generation that is not current yet. */
  readonly isRebuild: boolean
  /** Longest wait for a reply. */
  answerMsMax: number
  /** Reads cards, and entities (by `entityKeyOf`) in all partitions. Offsets from `next` on are not decided yet. */
  read(
    cards: readonly string[],
    entities: readonly number[],
    next: Frontier,
  ): Promise<PartitionReading>
  /** Adds what late transactions need to what was read for a batch. A missing message is lost state. */
  readMore(snapshot: PartitionSnapshot, needs: LateNeeds, next: Frontier): Promise<PartitionReading>
  /**
   * A batch is folded into the snapshot between these two calls, without waiting. It sees what other partitions of this
   * process have folded until then, and from then on they see what it has folded, `progress`.
   */
  beginFold(snapshot: PartitionSnapshot): void
  endFold(snapshot: PartitionSnapshot, progress: PartitionProgress): void
  /** Writes every card and own partial aggregate that the snapshot handed out, compacted up to `committed`. */
  write(
    snapshot: PartitionSnapshot,
    progress: PartitionProgress,
    committed: CommittedFrontier,
  ): Promise<WriteReply>
  /** Checks whether the state is still as this session left it. */
  confirm(): Promise<Exclude<PartitionReading['kind'], 'read'> | 'stands'>
  /** Makes a rebuilt generation the current one. The session is an ordinary one from then on. */
  switchOver(): Promise<WriteReply>
  /** Discards everything in memory. */
  close(): void
}

export interface PartitionStore {
  /** Whether the connection is up; reported alongside readiness. */
  readonly isUp: boolean
  /**
   * Makes this owner the only one that can write the partition. `heldEpoch` is null for a new assignment, which always
   * wins; an owner that restarts passes the epoch it holds. Returns the new epoch, or null if another owner has taken
   * over.
   */
  claim(partition: number, heldEpoch: number | null): Promise<number | null>
  readStatus(partition: number): Promise<PartitionStatus>
  readProgress(): Promise<readonly (PartitionProgress | null)[]>
  /**
   * Opens the state that `progress` describes. A `rebuild` fills a generation that becomes current only with
   * `switchOver`, and reads nothing of other partitions.
   */
  open(
    partition: number,
    epoch: number,
    status: PartitionStatus,
    progress: PartitionProgress,
    purpose: 'work' | 'rebuild',
  ): PartitionSession
  /** Memory statistics of the server; null if it does not report them. */
  readServerInfo(): Promise<RedisServerInfo | null>
  close(): Promise<void>
}
