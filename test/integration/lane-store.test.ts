// Goal: one writer per lane, and a reading of the other lanes that says how far it reaches. Method: stores of
// several owners against a real Redis, keys of the test's own.

import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { Redis } from 'ioredis'
import { isSluiceError } from '../../services/core/errors.ts'
import { REACH_MS, SECOND_MS } from '../../services/core/features/time.ts'
import type { LaneCut, LaneProgress } from '../../services/core/stream/lane-progress.ts'
import { laneKeys } from '../../services/platform/redis/keys.ts'
import type {
  LaneSession,
  LaneSnapshot,
  LaneStore,
  LaneStoreOptions,
  WriteReply,
} from '../../services/platform/redis/lane-store-contract.ts'
import { openLaneStore } from '../../services/platform/redis/lane-store.ts'
import { VALUE_LAYOUT_DEFAULT } from '../../services/platform/redis/value-layouts.ts'
import { closeWith } from '../support/cleanup.ts'
import { openRedisProxy } from '../support/redis-proxy.ts'
import { keysOf, openKeys, type TestKeys } from '../support/streams.ts'

const AT_MS = 1_700_000_000_000

async function openStore(
  t: TestContext,
  keys: TestKeys,
  more: Partial<LaneStoreOptions> = {},
): Promise<LaneStore> {
  const store = await openLaneStore({
    url: keys.redisUrl,
    streamId: keys.streamId,
    partitionCount: 2,
    answerMsMax: 5_000,
    valueLayout: VALUE_LAYOUT_DEFAULT,
    cachedEventsMax: 10_000,
    onRoundTrip: () => undefined,
    onConnection: () => undefined,
    ...more,
  })
  closeWith(t, () => store.close())
  return store
}

function openRedis(t: TestContext, { redisUrl }: TestKeys): Redis {
  const redis = new Redis(redisUrl)
  closeWith(t, () => {
    redis.disconnect()
    return Promise.resolve()
  })
  return redis
}

function progressAt(nextOffset: number, generation = 1): LaneProgress {
  const times = { newestEventMs: AT_MS, watermarkMs: -1, labelWatermarkMs: -1 }
  return { generation, nextOffset, labelNextOffset: 0, ...times }
}

const COMMITTED: LaneCut = { nextOffset: 0, labelNextOffset: 0 }

/** A session that goes on from what stands, in this generation. */
async function openSession(
  store: LaneStore,
  partition: number,
  epoch: number,
  generation = 1,
): Promise<LaneSession> {
  const standing = await store.readStanding(partition)
  const { progress } = standing
  const from = progress?.generation === generation ? progress : progressAt(0, generation)
  return store.open(partition, epoch, standing, from, 'work')
}

/** What the session reads. @throws Error when that is lost */
async function read(
  session: LaneSession,
  cards: readonly string[],
  terminals: readonly string[],
): Promise<LaneSnapshot> {
  const reading = await session.read(cards, terminals, COMMITTED)
  if (reading.kind !== 'read') throw new Error(`The state is ${reading.kind}.`)
  return reading.snapshot
}

/** Reads a terminal, adds an event to it at this offset, and writes. */
async function write(session: LaneSession, offset: number): Promise<WriteReply> {
  const snapshot = await read(session, ['card-1'], ['terminal-1'])
  snapshot.card('card-1')
  snapshot.ownTerminal('terminal-1').insert(AT_MS + offset, offset)
  const { generation } = session.progress
  return session.write(snapshot, progressAt(offset + 1, generation), COMMITTED)
}

async function claim(store: LaneStore, partition: number): Promise<number> {
  const epoch = await store.claim(partition, null)
  if (epoch === null) throw new Error('A new assignment always wins.')
  return epoch
}

test('only the last owner of a lane can write it', async (t) => {
  const keys = openKeys(t, 'fenced')
  const [earlier, later] = [await openStore(t, keys), await openStore(t, keys)]
  const earlierEpoch = await claim(earlier, 0)
  const session = await openSession(earlier, 0, earlierEpoch)
  strictEqual(await write(session, 0), 'written')
  const snapshot = await read(session, ['card-1'], [])
  snapshot.card('card-1')
  const laterEpoch = await claim(later, 0)
  ok(laterEpoch > earlierEpoch)
  const redis = openRedis(t, keys)
  const before = await redis.mget(await keysOf(redis, keys.streamId))
  strictEqual(await session.write(snapshot, progressAt(2), COMMITTED), 'fenced')
  strictEqual((await session.read(['card-1'], [], COMMITTED)).kind, 'fenced')
  strictEqual(await session.confirm(), 'fenced')
  deepStrictEqual(await redis.mget(await keysOf(redis, keys.streamId)), before)
  strictEqual(await earlier.claim(0, earlierEpoch), null, 'and it cannot come back by itself')
  strictEqual(await write(await openSession(later, 0, laterEpoch), 1), 'written')
  const renewed = await later.claim(0, laterEpoch)
  ok(renewed !== null && renewed > laterEpoch)
})

test('an owner whose epoch is gone learns that Redis has lost its state', async (t) => {
  const keys = openKeys(t, 'lost')
  const store = await openStore(t, keys)
  const epoch = await claim(store, 0)
  const session = await openSession(store, 0, epoch)
  strictEqual(await write(session, 0), 'written')
  const snapshot = await read(session, ['card-1'], [])
  const redis = openRedis(t, keys)
  await redis.del(await keysOf(redis, keys.streamId))
  strictEqual(await session.write(snapshot, progressAt(2), COMMITTED), 'lost')
  deepStrictEqual(await session.read(['card-1'], [], COMMITTED), { kind: 'lost', loss: 'emptied' })
  deepStrictEqual(await keysOf(redis, keys.streamId), [], 'nothing was written')
  const next = await store.claim(0, epoch)
  ok(next !== null && next > epoch, 'epochs rise even then')
})

test('an owner whose state is as it was some time ago learns that, before and after its read', async (t) => {
  const keys = openKeys(t, 'back')
  const store = await openStore(t, keys)
  const session = await openSession(store, 0, await claim(store, 0))
  strictEqual(await write(session, 0), 'written')
  const redis = openRedis(t, keys)
  const before = await redis.getBuffer(laneKeys(keys.streamId, 0).progress)
  strictEqual(await write(session, 1), 'written')
  const snapshot = await read(session, ['card-1'], [])
  await redis.set(laneKeys(keys.streamId, 0).progress, before ?? '')
  strictEqual(await session.write(snapshot, progressAt(3), COMMITTED), 'lost')
  strictEqual(await session.confirm(), 'lost')
  deepStrictEqual(await session.read([], [], COMMITTED), { kind: 'lost', loss: 'rolled_back' })
})

test('a claim that was given up and arrives late changes nothing', async (t) => {
  const keys = openKeys(t, 'late-claim')
  const proxy = await openRedisProxy(t, keys.redisUrl)
  const slow = await openStore(t, keys, { url: proxy.url, answerMsMax: 500 })
  const store = await openStore(t, keys)
  const held = proxy.holdAt('eval')
  const given = slow.claim(0, null)
  await held
  await rejects(given, (error) => isSluiceError(error, 'SLUICE_FEATURE_STORE_UNAVAILABLE'))
  const session = await openSession(store, 0, await claim(store, 0))
  proxy.release()
  strictEqual(await write(session, 0), 'written')
  // By then Redis has seen what was held.
  await slow.readProgress()
  strictEqual(await session.confirm(), 'stands')
})

test('values expire after the reach and not before; epoch and progress never do', async (t) => {
  const keys = openKeys(t, 'expiry')
  const store = await openStore(t, keys)
  strictEqual(await write(await openSession(store, 0, await claim(store, 0)), 0), 'written')
  const redis = openRedis(t, keys)
  const lane = laneKeys(keys.streamId, 0)
  for (const key of [lane.card(1, 'card-1'), lane.terminal(1, 'terminal-1')]) {
    const secondsLeft = await redis.ttl(key)
    ok(secondsLeft * SECOND_MS > REACH_MS, `${key} expires in ${secondsLeft} s`)
  }
  for (const key of [lane.epoch, lane.progress]) strictEqual(await redis.ttl(key), -1)
})

test('a lane reads the parts of the others, each with the offset up to which it reaches', async (t) => {
  const keys = openKeys(t, 'parts')
  const store = await openStore(t, keys)
  const reader = await openSession(store, 1, await claim(store, 1))
  const empty = await read(reader, [], ['terminal-1'])
  deepStrictEqual(empty.otherTerminals('terminal-1'), [])
  deepStrictEqual(empty.progress, [null, null])
  const session = await openSession(store, 0, await claim(store, 0))
  strictEqual(await write(session, 0), 'written')
  strictEqual(await write(session, 1), 'written')
  const snapshot = await read(reader, [], ['terminal-1'])
  const [other] = snapshot.otherTerminals('terminal-1')
  strictEqual(other?.cut.nextOffset, 2)
  deepStrictEqual(other.part.offsets, [0, 1])
  deepStrictEqual(snapshot.ownTerminal('terminal-1').offsets, [])
  deepStrictEqual(await store.readProgress(), [progressAt(2), null])
  const again = await read(reader, [], ['terminal-1'])
  strictEqual(again.otherTerminals('terminal-1')[0]?.part, other.part, 'decoded once')
  strictEqual(await write(session, 2), 'written')
  const changed = await read(reader, [], ['terminal-1'])
  deepStrictEqual(changed.otherTerminals('terminal-1')[0]?.part.offsets, [0, 1, 2])
})

test('a lane that was built again under another generation is read there', async (t) => {
  const keys = openKeys(t, 'generation')
  const store = await openStore(t, keys)
  const reader = await openSession(await openStore(t, keys), 1, await claim(store, 1))
  const epoch = await claim(store, 0)
  strictEqual(await write(await openSession(store, 0, epoch), 0), 'written')
  await read(reader, [], ['terminal-1'])
  strictEqual(await write(await openSession(store, 0, epoch, 2), 7), 'written')
  const [other] = (await read(reader, [], ['terminal-1'])).otherTerminals('terminal-1')
  deepStrictEqual(other?.part.offsets, [7])
})

test('a rebuild counts only once it is switched to, and then at once', async (t) => {
  const keys = openKeys(t, 'rebuild')
  const store = await openStore(t, keys)
  const reader = await openSession(store, 1, await claim(store, 1))
  const epoch = await claim(store, 0)
  strictEqual(await write(await openSession(store, 0, epoch), 0), 'written')
  const partOf = async (): Promise<readonly number[] | undefined> =>
    (await read(reader, [], ['terminal-1'])).otherTerminals('terminal-1')[0]?.part.offsets
  const standing = await store.readStanding(0)
  const rebuild = store.open(0, epoch, standing, progressAt(0, 9), 'rebuild')
  strictEqual(await write(rebuild, 5), 'written')
  deepStrictEqual(await partOf(), [0])
  deepStrictEqual((await store.readStanding(0)).restore, progressAt(6, 9))
  strictEqual(await rebuild.switchOver(), 'written')
  deepStrictEqual(await partOf(), [5])
  const { progress, restore } = await store.readStanding(0)
  deepStrictEqual([progress, restore], [progressAt(6, 9), null])
  strictEqual(await write(rebuild, 6), 'written', 'and the session goes on')
  strictEqual(await rebuild.confirm(), 'stands')
})

test('a Redis that is away is an error with a code, and back again it serves', async (t) => {
  const keys = openKeys(t, 'away')
  const proxy = await openRedisProxy(t, keys.redisUrl)
  const store = await openStore(t, keys, { url: proxy.url })
  const session = await openSession(store, 0, await claim(store, 0))
  proxy.cut()
  await rejects(store.readProgress(), (error) =>
    isSluiceError(error, 'SLUICE_FEATURE_STORE_UNAVAILABLE'),
  )
  proxy.mend()
  let reply = ''
  while (reply !== 'written') reply = await write(session, 0).catch(() => 'not yet')
})

test('a store may be opened while Redis is away, and serves once it is there', async (t) => {
  const keys = openKeys(t, 'not-there')
  const proxy = await openRedisProxy(t, keys.redisUrl)
  proxy.cut()
  await rejects(openStore(t, keys, { url: proxy.url }), (error) =>
    isSluiceError(error, 'SLUICE_FEATURE_STORE_UNAVAILABLE'),
  )
  const store = await openStore(t, keys, { url: proxy.url, mayBeAway: true })
  strictEqual(store.isUp, false)
  proxy.mend()
  let epoch: number | null = null
  while (epoch === null) epoch = await store.claim(0, null).catch(() => null)
})

test('what was written stays decoded, and is not asked for again', async (t) => {
  const keys = openKeys(t, 'cached')
  const store = await openStore(t, keys)
  const session = await openSession(store, 0, await claim(store, 0))
  strictEqual(await write(session, 0), 'written')
  const first = (await read(session, [], ['terminal-1'])).ownTerminal('terminal-1')
  // A value that is read again would be found damaged.
  const redis = openRedis(t, keys)
  const key = laneKeys(keys.streamId, 0).terminal(1, 'terminal-1')
  await redis.set(key, 'damaged')
  strictEqual((await read(session, [], ['terminal-1'])).ownTerminal('terminal-1'), first)
  session.close()
  deepStrictEqual(await session.read([], ['terminal-1'], COMMITTED), {
    kind: 'lost',
    loss: 'corrupt',
  })
})

test('with no room to keep anything, every value is read again', async (t) => {
  const keys = openKeys(t, 'no-room')
  const store = await openStore(t, keys, { cachedEventsMax: 0 })
  const session = await openSession(store, 0, await claim(store, 0))
  strictEqual(await write(session, 0), 'written')
  strictEqual(await write(session, 1), 'written')
  const part = (await read(session, [], ['terminal-1'])).ownTerminal('terminal-1')
  deepStrictEqual(part.offsets, [0, 1])
})

test('a damaged part of another lane is no empty part, and its owner hears of it', async (t) => {
  const keys = openKeys(t, 'damaged')
  const store = await openStore(t, keys)
  const owner = await openSession(store, 0, await claim(store, 0))
  const reader = await openSession(store, 1, await claim(store, 1))
  strictEqual(await write(owner, 0), 'written')
  strictEqual((await read(reader, [], ['terminal-1'])).hasUnreadable, false)
  const redis = openRedis(t, keys)
  const lane = laneKeys(keys.streamId, 0)
  const key = lane.terminal(1, 'terminal-1')
  const whole = await redis.getBuffer(key)
  await redis.set(key, 'damaged')
  strictEqual((await read(reader, [], ['terminal-1'])).hasUnreadable, true)
  deepStrictEqual(await owner.read([], [], COMMITTED), { kind: 'lost', loss: 'corrupt' })
  // A reader of an earlier version may not know a layout that the owner reads well.
  await redis.set(key, whole ?? '')
  strictEqual((await owner.read([], [], COMMITTED)).kind, 'read')
  strictEqual(await redis.get(lane.damage), '')
})

test('state of another layout is none of ours, and stays as it is', async (t) => {
  const keys = openKeys(t, 'layouts')
  const store = await openStore(t, keys)
  const redis = openRedis(t, keys)
  const lane = laneKeys(keys.streamId, 0)
  const earlier = lane.progress.replace(/s\d+:progress$/, 'progress')
  ok(earlier !== lane.progress)
  await redis.set(earlier, JSON.stringify(progressAt(5)))
  await redis.set(lane.progress, JSON.stringify({ layout: 99, ...progressAt(5) }))
  const { progress } = await store.readStanding(0)
  strictEqual(progress, null)
  strictEqual(await write(await openSession(store, 0, await claim(store, 0)), 0), 'written')
  strictEqual(await redis.get(earlier), JSON.stringify(progressAt(5)))
})

test('a card that was only looked at is not written back, and one that was changed then is', async (t) => {
  const keys = openKeys(t, 'peeked')
  const store = await openStore(t, keys, { cachedEventsMax: 0 })
  const session = await openSession(store, 0, await claim(store, 0))
  const redis = openRedis(t, keys)
  const key = laneKeys(keys.streamId, 0).card(1, 'card-1')
  const writeAfter = async (change: boolean): Promise<number> => {
    const snapshot = await read(session, ['card-1', 'card-2'], [])
    strictEqual(snapshot.peekCard('card-1'), null, 'a card without history')
    if (change) snapshot.card('card-1')
    strictEqual(await session.write(snapshot, progressAt(2), COMMITTED), 'written')
    return redis.exists(key)
  }
  strictEqual(await writeAfter(false), 0)
  strictEqual(await writeAfter(true), 1)
})

test('the server tells its memory, and each command tells its time, also one that fails', async (t) => {
  const keys = openKeys(t, 'told')
  const proxy = await openRedisProxy(t, keys.redisUrl)
  const told: [operation: string, durationMs: number][] = []
  const store = await openStore(t, keys, {
    url: proxy.url,
    onRoundTrip: (operation, durationMs) => told.push([operation, durationMs]),
  })
  const info = await store.readServerInfo()
  ok((info?.usedMemoryBytes ?? 0) > 0)
  await store.readProgress()
  proxy.cut()
  await rejects(store.readProgress(), (error) =>
    isSluiceError(error, 'SLUICE_FEATURE_STORE_UNAVAILABLE'),
  )
  deepStrictEqual(
    told.map(([operation]) => operation),
    ['info', 'progress', 'progress'],
  )
  ok(told.every(([, durationMs]) => durationMs > 0))
})
