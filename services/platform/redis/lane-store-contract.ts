// What a lane asks of the store of its state, and what it gets.

import type { Cut } from '../../core/features/entity-part.ts'
import type { CardLookup, LaneState } from '../../core/features/lane-fold.ts'
import type { LaneProgress } from '../../core/stream/lane-progress.ts'
import type { Logger } from '../log.ts'
import type { RedisOperation } from '../metrics/dependency-metrics.ts'
import type { RedisConnection } from './redis-connection.ts'
import type { RedisServerInfo } from './server-info.ts'

export type WriteReply = 'written' | 'fenced' | 'lost'

export interface LaneStoreOptions extends RedisConnection {
  /** Where changes of the connection are logged; nowhere when absent. */
  readonly log?: Logger
  readonly streamId: string
  readonly partitionCount: number
  /** Called once per command that crossed the wire, when it has ended, well or not. */
  readonly onRoundTrip: (operation: RedisOperation, durationMs: number) => void
  readonly onConnection: (isUp: boolean) => void
  /** Switches the fence off: only for the test that shows what happens without it. */
  readonly isFenceDisabled?: boolean
}

/** What a batch needs: state to fold into, and how far each lane was when it was read. */
export interface LaneSnapshot extends LaneState, CardLookup {
  readonly progress: readonly (LaneProgress | null)[]
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
  readProgress(): Promise<readonly (LaneProgress | null)[]>
  read(
    partition: number,
    generation: number,
    cards: readonly string[],
    terminals: readonly string[],
  ): Promise<LaneSnapshot>
  /** Writes every card and own terminal that the snapshot handed out, compacted up to `committed`. */
  write(
    partition: number,
    epoch: number,
    snapshot: LaneSnapshot,
    progress: LaneProgress,
    committed: Cut,
  ): Promise<WriteReply>
  /** What the server says of its memory; null when it leaves that out. */
  readServerInfo(): Promise<RedisServerInfo | null>
  close(): Promise<void>
}
