// Goal: one writer per lane, and a reading of the other lanes that says how far it reaches. Method: stores of
// several owners against a real Redis, keys of the test's own.

import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { Redis } from 'ioredis'
import { isSluiceError } from '../../services/core/errors.ts'
import { REACH_MS, SECOND_MS } from '../../services/core/features/time.ts'
import type { LaneProgress } from '../../services/core/stream/lane-progress.ts'
import { laneKeys } from '../../services/platform/redis/keys.ts'
import type { LaneStore } from '../../services/platform/redis/lane-store-contract.ts'
import { openLaneStore } from '../../services/platform/redis/lane-store.ts'
import { closeWith } from '../support/cleanup.ts'
import { openRedisProxy } from '../support/redis-proxy.ts'
import { keysOf, openKeys, type TestKeys } from '../support/streams.ts'

const AT_MS = 1_700_000_000_000

async function openStore(t: TestContext, keys: TestKeys, url = keys.redisUrl): Promise<LaneStore> {
  const store = await openLaneStore({
    url,
    streamId: keys.streamId,
    partitionCount: 2,
    onRoundTrip: () => undefined,
    onConnection: () => undefined,
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

/** Reads a terminal, adds an event to it at this offset, and writes. */
async function write(
  store: LaneStore,
  partition: number,
  epoch: number,
  offset: number,
  generation = 1,
) {
  const snapshot = await store.read(partition, generation, ['card-1'], ['terminal-1'])
  snapshot.card('card-1')
  snapshot.ownTerminal('terminal-1').insert(AT_MS + offset, offset)
  const progress = progressAt(offset + 1, generation)
  return store.write(partition, epoch, snapshot, progress, { nextOffset: 0, labelNextOffset: 0 })
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
  strictEqual(await write(earlier, 0, earlierEpoch, 0), 'written')
  const laterEpoch = await claim(later, 0)
  ok(laterEpoch > earlierEpoch)
  const redis = openRedis(t, keys)
  const before = await redis.mget(await keysOf(redis, keys.streamId))
  strictEqual(await write(earlier, 0, earlierEpoch, 1), 'fenced')
  deepStrictEqual(await redis.mget(await keysOf(redis, keys.streamId)), before)
  strictEqual(await earlier.claim(0, earlierEpoch), null, 'and it cannot come back by itself')
  strictEqual(await write(later, 0, laterEpoch, 1), 'written')
  const renewed = await later.claim(0, laterEpoch)
  ok(renewed !== null && renewed > laterEpoch)
})

test('an owner whose epoch is gone learns that Redis has lost its state', async (t) => {
  const keys = openKeys(t, 'lost')
  const store = await openStore(t, keys)
  const epoch = await claim(store, 0)
  strictEqual(await write(store, 0, epoch, 0), 'written')
  const redis = openRedis(t, keys)
  await redis.del(await keysOf(redis, keys.streamId))
  strictEqual(await write(store, 0, epoch, 1), 'lost')
  deepStrictEqual(await keysOf(redis, keys.streamId), [], 'nothing was written')
  const next = await store.claim(0, epoch)
  ok(next !== null && next > epoch, 'epochs rise even then')
})

test('values expire after the reach and not before; epoch and progress never do', async (t) => {
  const keys = openKeys(t, 'expiry')
  const store = await openStore(t, keys)
  strictEqual(await write(store, 0, await claim(store, 0), 0), 'written')
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
  const reader = await openStore(t, keys)
  const empty = await reader.read(1, 1, [], ['terminal-1'])
  deepStrictEqual(empty.otherTerminals('terminal-1'), [])
  deepStrictEqual(empty.progress, [null, null])
  const epoch = await claim(store, 0)
  strictEqual(await write(store, 0, epoch, 0), 'written')
  strictEqual(await write(store, 0, epoch, 1), 'written')
  const snapshot = await reader.read(1, 1, [], ['terminal-1'])
  const [other] = snapshot.otherTerminals('terminal-1')
  strictEqual(other?.cut.nextOffset, 2)
  deepStrictEqual(other.part.offsets, [0, 1])
  deepStrictEqual(snapshot.ownTerminal('terminal-1').offsets, [])
  deepStrictEqual(await reader.readProgress(), [progressAt(2), null])
})

test('a lane that was built again under another generation is read there', async (t) => {
  const keys = openKeys(t, 'generation')
  const store = await openStore(t, keys)
  const reader = await openStore(t, keys)
  const epoch = await claim(store, 0)
  strictEqual(await write(store, 0, epoch, 0), 'written')
  await reader.read(1, 1, [], ['terminal-1'])
  strictEqual(await write(store, 0, epoch, 7, 2), 'written')
  const [other] = (await reader.read(1, 1, [], ['terminal-1'])).otherTerminals('terminal-1')
  deepStrictEqual(other?.part.offsets, [7])
})

test('a Redis that is away is an error with a code, and back again it serves', async (t) => {
  const keys = openKeys(t, 'away')
  const proxy = await openRedisProxy(t, keys.redisUrl)
  const store = await openStore(t, keys, proxy.url)
  const epoch = await claim(store, 0)
  proxy.cut()
  await rejects(store.readProgress(), (error) =>
    isSluiceError(error, 'SLUICE_FEATURE_STORE_UNAVAILABLE'),
  )
  proxy.mend()
  let reply = ''
  while (reply !== 'written') reply = await write(store, 0, epoch, 0).catch(() => 'not yet')
})

test('a card that was only looked at is not written back, and one that was changed then is', async (t) => {
  const keys = openKeys(t, 'peeked')
  const store = await openStore(t, keys)
  const epoch = await claim(store, 0)
  strictEqual(await write(store, 0, epoch, 0), 'written')
  const redis = openRedis(t, keys)
  const key = laneKeys(keys.streamId, 0).card(1, 'card-1')
  const writeAfter = async (change: boolean): Promise<number> => {
    const snapshot = await store.read(0, 1, ['card-1', 'card-2'], [])
    const looked = snapshot.peekCard('card-1')
    ok(looked !== null)
    strictEqual(snapshot.peekCard('card-2'), null, 'a card without history')
    if (change) strictEqual(snapshot.card('card-1'), looked, 'decoded once')
    await redis.del(key)
    const committed = { nextOffset: 0, labelNextOffset: 0 }
    strictEqual(await store.write(0, epoch, snapshot, progressAt(2), committed), 'written')
    const isThere = await redis.exists(key)
    await write(store, 0, epoch, 0)
    return isThere
  }
  strictEqual(await writeAfter(false), 0)
  strictEqual(await writeAfter(true), 1)
})

test('the server tells its memory, and each command tells its time, also one that fails', async (t) => {
  const keys = openKeys(t, 'told')
  const proxy = await openRedisProxy(t, keys.redisUrl)
  const told: [operation: string, durationMs: number][] = []
  const store = await openLaneStore({
    url: proxy.url,
    streamId: keys.streamId,
    partitionCount: 2,
    onRoundTrip: (operation, durationMs) => told.push([operation, durationMs]),
    onConnection: () => undefined,
  })
  closeWith(t, () => store.close())
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
