// Goal: messages stored apart from their cards are found by the next owner of the partition, and a missing one is lost
// state. Method: sessions on a real Redis, one after the other, with changes in between.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Redis } from 'ioredis'
import { PAGE_OFFSETS } from '../../services/core/features/state/message-page.ts'
import { DAY_MS, LATENESS_MS } from '../../services/core/features/catalogue/time.ts'
import { partitionKeys } from '../../services/platform/redis/keys.ts'
import type {
  PartitionReading,
  PartitionSession,
  PartitionSnapshot,
  PartitionStore,
} from '../../services/platform/redis/partition-store-contract.ts'
import {
  AT_MS,
  claim,
  COMMITTED,
  openRedis,
  openSession,
  openStore,
  progressAt,
} from '../support/partition-sessions.ts'
import { openKeys, type TestKeys } from '../support/streams.ts'

interface Stage {
  readonly store: PartitionStore
  readonly session: PartitionSession
  readonly redis: Redis
  /** Key of a page of messages. */
  readonly keyOf: (page: number) => string
}

async function open(t: TestContext, keys: TestKeys): Promise<Stage> {
  const store = await openStore(t, keys)
  const session = await openSession(store, 0, await claim(store, 0))
  const keyOf = (page: number): string => partitionKeys(keys.streamId, 0).messages(1, page)
  return { store, session, redis: openRedis(t, keys), keyOf }
}

async function begin(session: PartitionSession, nextOffset: number): Promise<PartitionSnapshot> {
  const reading = await session.read([], [], { nextOffset, labelNextOffset: 0 })
  if (reading.kind !== 'read') throw new Error(`The state is ${reading.kind}.`)
  return reading.snapshot
}

/** A batch of these offsets, each with its own message. */
async function keep(
  session: PartitionSession,
  offsets: readonly number[],
  eventTimeMs = AT_MS,
  committedMs = -1,
): Promise<void> {
  const { messages } = await begin(session, offsets[0] ?? 0)
  for (const offset of offsets) messages?.keep(offset, eventTimeMs, messageAt(offset))
  const next = progressAt((offsets.at(-1) ?? 0) + 1)
  const progress = { ...next, newestEventMs: eventTimeMs }
  const committed = { ...COMMITTED, newestEventMs: committedMs }
  const snapshot = await begin(session, offsets[0] ?? 0)
  strictEqual(await session.write(snapshot, progress, committed), 'written')
}

/** Stored messages at these offsets, as a late transaction reads them; the batch begins at `nextOffset`. */
async function late(
  session: PartitionSession,
  offsets: readonly number[],
  nextOffset: number,
  eventTimeMs = AT_MS,
): Promise<PartitionReading> {
  const next = { nextOffset, labelNextOffset: 0 }
  const messages = offsets.map((offset) => ({ offset, eventTimeMs }))
  return session.readMore(await begin(session, nextOffset), { entities: [], messages }, next)
}

function messageAt(offset: number): Buffer {
  return Buffer.from(`the message at ${offset}`)
}

function found(reading: PartitionReading, offset: number): Buffer | null {
  if (reading.kind !== 'read') throw new Error(`The state is ${reading.kind}.`)
  const message = reading.snapshot.messages?.find(offset)
  return message === undefined || message === null ? null : Buffer.from(message)
}

const upTo = (from: number, to: number): readonly number[] =>
  Array.from({ length: to - from }, (_, index) => from + index)

test('messages stored by a session are found by the next one, of the same store and of another', async (t) => {
  const keys = openKeys(t, 'messages-next')
  const { store, session } = await open(t, keys)
  const end = 3 * PAGE_OFFSETS + 5
  await keep(session, upTo(0, 70))
  await keep(session, upTo(70, end))
  session.close()
  const another = await openStore(t, keys)
  for (const next of [store, another]) {
    const other = await openSession(next, 0, await claim(next, 0))
    const offsets = [3, 69, 70, end - 1]
    const reading = await late(other, offsets, end)
    for (const offset of offsets) deepStrictEqual(found(reading, offset), messageAt(offset))
    other.close()
  }
})

test('a page begun by one session is continued by the next', async (t) => {
  const { store, session } = await open(t, openKeys(t, 'messages-page'))
  await keep(session, [0, 1, 2])
  session.close()
  const next = await openSession(store, 0, await claim(store, 0))
  // Messages written and not committed are decided again.
  await keep(next, [2, 3])
  next.close()
  const last = await openSession(store, 0, await claim(store, 0))
  const reading = await late(last, [0, 1, 2, 3], 4)
  for (const offset of [0, 1, 2, 3]) deepStrictEqual(found(reading, offset), messageAt(offset))
})

for (const [what, change] of [
  ['gone', (redis: Redis, key: string) => redis.del(key)],
  ['damaged', (redis: Redis, key: string) => redis.setrange(key, 8, 'x')],
] as const) {
  test(`a page that is ${what} is lost state, and no page without messages`, async (t) => {
    const { store, session, redis, keyOf } = await open(t, openKeys(t, 'messages-lost'))
    await keep(session, upTo(0, PAGE_OFFSETS + 1))
    session.close()
    await change(redis, keyOf(0))
    const next = await openSession(store, 0, await claim(store, 0))
    const end = PAGE_OFFSETS + 1
    strictEqual((await late(next, [PAGE_OFFSETS], end)).kind, 'read', 'nobody asks for it')
    deepStrictEqual(await late(next, [5], end), { kind: 'lost', loss: 'corrupt' })
    if (what === 'damaged') return
    // The message of such an old decision may have been removed already.
    const old = await late(next, [5], end, AT_MS - LATENESS_MS - 1)
    deepStrictEqual(found(old, 5), null)
  })
}

test('pages that are no longer needed are removed, also by a later session; others expire like all state', async (t) => {
  const { store, session, redis, keyOf } = await open(t, openKeys(t, 'messages-dropped'))
  await keep(session, upTo(0, 2 * PAGE_OFFSETS))
  session.close()
  const next = await openSession(store, 0, await claim(store, 0))
  const laterMs = AT_MS + 4 * DAY_MS
  await keep(next, [2 * PAGE_OFFSETS], laterMs, AT_MS)
  strictEqual(await redis.exists(keyOf(0), keyOf(1), keyOf(2)), 3)
  await keep(next, [2 * PAGE_OFFSETS + 1], laterMs, laterMs)
  strictEqual(await redis.exists(keyOf(0), keyOf(1)), 0)
  ok((await redis.ttl(keyOf(2))) > 40 * 24 * 3_600)
})
