// What a partition asks of the store of its state, and what it gets.

import type { CardLookup, PartitionState } from '../../core/features/engine/fold-state.ts'
import type { Frontier, PartitionProgress } from '../../core/stream/partition-progress.ts'
import type { Logger } from '../log.ts'
import type { RedisOperation } from '../metrics/partition-metrics.ts'
import type { RedisConnection } from './redis-connection.ts'
import type { RedisServerInfo } from './server-info.ts'

export type WriteReply = 'written' | 'fenced' | 'lost'

/** How a partition's read shows that its state is no longer what it left. */
export type ReadLoss = 'emptied' | 'rolled_back' | 'corrupt'

export interface PartitionStoreOptions extends RedisConnection {
  /** Where changes of the connection are logged; nowhere when absent. */
  readonly log?: Logger
  readonly streamId: string
  readonly partitionCount: number
  /** Longest wait for an answer, unless a session says otherwise. */
  readonly answerMsMax: number
  /** Bytes of state, over all partitions, that may stay decoded in memory. */
  readonly cacheBytesMax: number
  /** Open although Redis is away; the client goes on trying. What Redis refuses is an error all the same. */
  readonly mayBeAway?: boolean
  /** Called once per command that crossed the wire, when it has ended, well or not. */
  readonly onRoundTrip: (operation: RedisOperation, durationMs: number) => void
  readonly onConnection: (isUp: boolean) => void
}

/** What stands in Redis for a partition, before a session is opened. */
export interface PartitionStatus {
  /** Null: none, or of another layout. */
  readonly progress: PartitionProgress | null
  /** How far a rebuild has come that was not finished; null when there is none. */
  readonly restore: PartitionProgress | null
  /** As stored. */
  readonly texts: { readonly progress: string; readonly restore: string }
}

/** What a batch needs: state to fold into, and how far each partition was when it was read. */
export interface PartitionSnapshot extends PartitionState, CardLookup {
  readonly progress: readonly (PartitionProgress | null)[]
  /** Set by a live partition once it knows how far the others are. */
  entityHorizonMs: number
}

/** What is committed, and the newest event time in it; -1 for none. */
export interface CommittedFrontier extends Frontier {
  readonly newestEventMs: number
}

/** What late transactions of a batch look at besides: entities of decisions that they change, and their messages. */
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
 * The state of one partition under one epoch. What it has read or written stays decoded in memory: true as long as each
 * write succeeds, so after any failure the session must be closed.
 */
export interface PartitionSession {
  readonly epoch: number
  /** What the state holds. */
  readonly progress: PartitionProgress
  /** Fills a generation that does not count yet. */
  readonly isRebuild: boolean
  /** Longest wait for an answer. */
  answerMsMax: number
  /** Cards, and entities (by `entityKeyOf`) in all partitions. Offsets from `next` on are still to be decided. */
  read(
    cards: readonly string[],
    entities: readonly number[],
    next: Frontier,
  ): Promise<PartitionReading>
  /** Adds to what was read for a batch what late transactions look at. A message that is not there is lost state. */
  readMore(snapshot: PartitionSnapshot, needs: LateNeeds, next: Frontier): Promise<PartitionReading>
  /**
   * A batch is folded into the snapshot between these two calls, without a wait: it sees what other partitions of this
   * process have folded by then, and they see what it has folded, `progress`, from then on.
   */
  beginFold(snapshot: PartitionSnapshot): void
  endFold(snapshot: PartitionSnapshot, progress: PartitionProgress): void
  /** Writes every card and own terminal that the snapshot handed out, compacted up to `committed`. */
  write(
    snapshot: PartitionSnapshot,
    progress: PartitionProgress,
    committed: CommittedFrontier,
  ): Promise<WriteReply>
  /** Whether the state is still as we left it. */
  confirm(): Promise<Exclude<PartitionReading['kind'], 'read'> | 'stands'>
  /** Makes a rebuilt generation the one that counts. From then on the session is an ordinary one. */
  switchOver(): Promise<WriteReply>
  /** Forgets what is in memory. */
  close(): void
}

export interface PartitionStore {
  /** Whether the connection stands; shown beside readiness. */
  readonly isUp: boolean
  /**
   * Makes this owner the only one that can write the partition. `heldEpoch` is null for a new assignment, which always
   * wins; an owner that starts over gives the epoch it holds. Returns the new epoch, or null when another
   * owner has taken over.
   */
  claim(partition: number, heldEpoch: number | null): Promise<number | null>
  readStatus(partition: number): Promise<PartitionStatus>
  readProgress(): Promise<readonly (PartitionProgress | null)[]>
  /**
   * Opens the state that `progress` describes. A `rebuild` fills a generation that counts only once it is switched
   * to, and reads nothing of other partitions.
   */
  open(
    partition: number,
    epoch: number,
    standing: PartitionStatus,
    progress: PartitionProgress,
    purpose: 'work' | 'rebuild',
  ): PartitionSession
  /** What the server says of its memory; null when it leaves that out. */
  readServerInfo(): Promise<RedisServerInfo | null>
  close(): Promise<void>
}
