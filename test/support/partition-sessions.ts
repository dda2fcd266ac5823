// Sessions on a real Redis without a scorer: explicit reads and writes of a partition.

import type { TestContext } from 'node:test'
import { Redis } from 'ioredis'
import { ENTITY_COLUMN } from '../../services/core/features/state/entity-event.ts'
import { type EntityPart } from '../../services/core/features/state/entity-part.ts'
import { entityKeyOf } from '../../services/core/features/catalogue/feature-definition.ts'
import type { ReadablePart } from '../../services/core/features/engine/fold-state.ts'
import { hashOf } from '../../services/core/id-hash.ts'
import type { PartitionProgress } from '../../services/core/stream/partition-progress.ts'
import type {
  CommittedFrontier,
  PartitionSession,
  PartitionSnapshot,
  PartitionStore,
  PartitionStoreOptions,
  WriteReply,
} from '../../services/platform/redis/partition-store-contract.ts'
import { openPartitionStore } from '../../services/platform/redis/partition-store.ts'
import { closeWith } from './cleanup.ts'
import type { TestKeys } from './streams.ts'

export const AT_MS = 1_700_000_000_000

/** The key of a terminal in the state. */
export function terminalKey(terminal: string): number {
  return entityKeyOf('terminal', hashOf(terminal))
}

/** Offsets of the events in an aggregate. */
export function offsetsOf(part: EntityPart | undefined): readonly number[] {
  const count = part?.count ?? 0
  return Array.from({ length: count }, (_, index) => part?.at(index, ENTITY_COLUMN.offset) ?? -1)
}

/** This partition's aggregate of a terminal, and those of the others. */
export function ownPart(snapshot: PartitionSnapshot, terminal: string): EntityPart {
  return snapshot.ownEntity('terminal', hashOf(terminal))
}

export function otherParts(
  snapshot: PartitionSnapshot,
  terminal: string,
): readonly ReadablePart[] | null {
  return snapshot.otherEntities('terminal', hashOf(terminal))
}

export async function openStore(
  t: TestContext,
  keys: TestKeys,
  more: Partial<PartitionStoreOptions> = {},
): Promise<PartitionStore> {
  const store = await openPartitionStore({
    url: keys.redisUrl,
    streamId: keys.streamId,
    partitionCount: 2,
    answerMsMax: 5_000,
    cacheBytesMax: 2 ** 24,
    onRoundTrip: () => undefined,
    onConnection: () => undefined,
    ...more,
  })
  closeWith(t, () => store.close())
  return store
}

export function openRedis(t: TestContext, { redisUrl }: TestKeys): Redis {
  const redis = new Redis(redisUrl)
  closeWith(t, () => {
    redis.disconnect()
    return Promise.resolve()
  })
  return redis
}

export function progressAt(nextOffset: number, generation = 1): PartitionProgress {
  const times = { newestEventMs: AT_MS, watermarkMs: -1, labelWatermarkMs: -1 }
  return { generation, nextOffset, labelNextOffset: 0, ...times }
}

export const COMMITTED: CommittedFrontier = { nextOffset: 0, labelNextOffset: 0, newestEventMs: -1 }

/** A session that continues from the stored state, in this generation. */
export async function openSession(
  store: PartitionStore,
  partition: number,
  epoch: number,
  generation = 1,
): Promise<PartitionSession> {
  const status = await store.readStatus(partition)
  const { progress } = status
  const from = progress?.generation === generation ? progress : progressAt(0, generation)
  return store.open(partition, epoch, status, from, 'work')
}

/** State that the session reads. @throws Error when it is lost */
export async function read(
  session: PartitionSession,
  cards: readonly string[],
  terminals: readonly string[],
): Promise<PartitionSnapshot> {
  const reading = await session.read(cards, terminals.map(terminalKey), COMMITTED)
  if (reading.kind !== 'read') throw new Error(`The state is ${reading.kind}.`)
  return reading.snapshot
}

/** Reads a terminal, adds an event to it at this offset, and writes. */
export async function write(session: PartitionSession, offset: number): Promise<WriteReply> {
  const snapshot = await read(session, ['card-1'], ['terminal-1'])
  const progress = progressAt(offset + 1, session.progress.generation)
  session.beginFold(snapshot)
  snapshot.card('card-1')
  snapshot.ownEntity('terminal', hashOf('terminal-1')).insert(AT_MS + offset, offset, offset, 1)
  session.endFold(snapshot, progress)
  return session.write(snapshot, progress, COMMITTED)
}

export async function claim(store: PartitionStore, partition: number): Promise<number> {
  const epoch = await store.claim(partition, null)
  if (epoch === null) throw new Error('A new assignment always wins.')
  return epoch
}
