// What a lane asks of the store of its state, and what it gets.

import type { CardLookup, LaneState } from '../../core/features/engine/fold-state.ts'
import type { LaneCut, LaneProgress } from '../../core/stream/lane-progress.ts'
import type { Logger } from '../log.ts'
import type { RedisOperation } from '../metrics/dependency-metrics.ts'
import type { RedisConnection } from './redis-connection.ts'
import type { RedisServerInfo } from './server-info.ts'

export type WriteReply = 'written' | 'fenced' | 'lost'

/** How a lane's read shows that its state is no longer what it left. */
export type ReadLoss = 'emptied' | 'rolled_back' | 'corrupt'

export interface LaneStoreOptions extends RedisConnection {
  /** Where changes of the connection are logged; nowhere when absent. */
  readonly log?: Logger
  readonly streamId: string
  readonly partitionCount: number
  /** Longest wait for an answer, unless a session says otherwise. */
  readonly answerMsMax: number
  /** Events, over all lanes, that may stay decoded in memory. */
  readonly cachedEventsMax: number
  /** Open although Redis is away; the client goes on trying. What Redis refuses is an error all the same. */
  readonly mayBeAway?: boolean
  /** Called once per command that crossed the wire, when it has ended, well or not. */
  readonly onRoundTrip: (operation: RedisOperation, durationMs: number) => void
  readonly onConnection: (isUp: boolean) => void
}

/** What stands in Redis for a lane, before a session is opened. */
export interface LaneStanding {
  /** Null: none, or of another layout. */
  readonly progress: LaneProgress | null
  /** How far a rebuild has come that was not finished; null when there is none. */
  readonly restore: LaneProgress | null
  /** As stored. */
  readonly texts: { readonly progress: string; readonly restore: string }
}

/** What a batch needs: state to fold into, and how far each lane was when it was read. */
export interface LaneSnapshot extends LaneState, CardLookup {
  readonly progress: readonly (LaneProgress | null)[]
  /** Set by a live lane once it knows how far the others are. */
  entityHorizonMs: number
}

/** What is committed, and the newest event time in it; -1 for none. */
export interface CommittedCut extends LaneCut {
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

export type LaneReading =
  | { readonly kind: 'read'; readonly snapshot: LaneSnapshot }
  | { readonly kind: 'fenced' }
  | { readonly kind: 'lost'; readonly loss: ReadLoss }

/**
 * The state of one lane under one epoch. What it has read or written stays decoded in memory: true as long as each
 * write succeeds, so after any failure the session must be closed.
 */
export interface LaneSession {
  readonly epoch: number
  /** What the state holds. */
  readonly progress: LaneProgress
  /** Fills a generation that does not count yet. */
  readonly isRebuild: boolean
  /** Longest wait for an answer. */
  answerMsMax: number
  /** Cards, and entities (by `entityKeyOf`) in all lanes. Offsets from `next` on are still to be decided. */
  read(cards: readonly string[], entities: readonly number[], next: LaneCut): Promise<LaneReading>
  /** Adds to what was read for a batch what late transactions look at. A message that is not there is lost state. */
  readMore(snapshot: LaneSnapshot, needs: LateNeeds, next: LaneCut): Promise<LaneReading>
  /** Writes every card and own terminal that the snapshot handed out, compacted up to `committed`. */
  write(
    snapshot: LaneSnapshot,
    progress: LaneProgress,
    committed: CommittedCut,
  ): Promise<WriteReply>
  /** Whether the state is still as we left it. */
  confirm(): Promise<Exclude<LaneReading['kind'], 'read'> | 'stands'>
  /** Makes a rebuilt generation the one that counts. From then on the session is an ordinary one. */
  switchOver(): Promise<WriteReply>
  /** Forgets what is in memory. */
  close(): void
}

export interface LaneStore {
  /** Whether the connection stands; shown beside readiness. */
  readonly isUp: boolean
  /**
   * Makes this owner the only one that can write the lane. `heldEpoch` is null for a new assignment, which always
   * wins; an owner that starts over gives the epoch it holds. Returns the new epoch, or null when another
   * owner has taken over.
   */
  claim(partition: number, heldEpoch: number | null): Promise<number | null>
  readStanding(partition: number): Promise<LaneStanding>
  readProgress(): Promise<readonly (LaneProgress | null)[]>
  /**
   * Opens the state that `progress` describes. A `rebuild` fills a generation that counts only once it is switched
   * to, and reads nothing of other lanes.
   */
  open(
    partition: number,
    epoch: number,
    standing: LaneStanding,
    progress: LaneProgress,
    purpose: 'work' | 'rebuild',
  ): LaneSession
  /** What the server says of its memory; null when it leaves that out. */
  readServerInfo(): Promise<RedisServerInfo | null>
  close(): Promise<void>
}
