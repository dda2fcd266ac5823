// Goal: one writer per partition, which detects that Redis has lost the partition's state or does not answer. Method:
// stores of several owners on a real Redis, with keys of the test's own.

import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { isSluiceError } from '../../services/core/errors.ts'
import { partitionKeys } from '../../services/platform/redis/keys.ts'
import {
  openStore,
  openRedis,
  progressAt,
  COMMITTED,
  openSession,
  read,
  write,
  claim,
} from '../support/partition-sessions.ts'
import { openRedisProxy } from '../support/redis-proxy.ts'
import { keysOf, openKeys } from '../support/streams.ts'

test('only the last owner of a partition can write it', async (t) => {
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
  const before = await redis.getBuffer(partitionKeys(keys.streamId, 0).progress)
  strictEqual(await write(session, 1), 'written')
  const snapshot = await read(session, ['card-1'], [])
  await redis.set(partitionKeys(keys.streamId, 0).progress, before ?? '')
  strictEqual(await session.write(snapshot, progressAt(3), COMMITTED), 'lost')
  strictEqual(await session.confirm(), 'lost')
  deepStrictEqual(await session.read([], [], COMMITTED), { kind: 'lost', loss: 'rolled_back' })
})

test('an abandoned claim that arrives late changes nothing', async (t) => {
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
  // By then Redis has received the held command.
  await slow.readProgress()
  strictEqual(await session.confirm(), 'stands')
})

test('an abandoned claim that arrives late does not prevent a second claim', async (t) => {
  const keys = openKeys(t, 'own-claim')
  const proxy = await openRedisProxy(t, keys.redisUrl)
  const store = await openStore(t, keys, { url: proxy.url, answerMsMax: 500 })
  const first = await claim(store, 0)
  const held = proxy.holdAt('eval')
  const given = store.claim(0, first)
  await held
  await rejects(given, (error) => isSluiceError(error, 'SLUICE_FEATURE_STORE_UNAVAILABLE'))
  proxy.release()
  const second = await store.claim(0, first)
  ok(second !== null && second > first)
  strictEqual(await write(await openSession(store, 0, second), 0), 'written')
  // Now it is answered, and another owner wins as usual.
  const other = await openStore(t, keys)
  await claim(other, 0)
  strictEqual(await store.claim(0, second), null)
})

test('an unavailable Redis is an error with a code, and it serves again when it is back', async (t) => {
  const keys = openKeys(t, 'away')
  const proxy = await openRedisProxy(t, keys.redisUrl)
  const store = await openStore(t, keys, { url: proxy.url })
  const session = await openSession(store, 0, await claim(store, 0))
  proxy.sever()
  await rejects(store.readProgress(), (error) =>
    isSluiceError(error, 'SLUICE_FEATURE_STORE_UNAVAILABLE'),
  )
  proxy.mend()
  let reply = ''
  while (reply !== 'written') reply = await write(session, 0).catch(() => 'not yet')
})

test('a store can be opened while Redis is away, and serves once it is available', async (t) => {
  const keys = openKeys(t, 'not-there')
  const proxy = await openRedisProxy(t, keys.redisUrl)
  proxy.sever()
  await rejects(openStore(t, keys, { url: proxy.url }), (error) =>
    isSluiceError(error, 'SLUICE_FEATURE_STORE_UNAVAILABLE'),
  )
  const store = await openStore(t, keys, { url: proxy.url, mayBeAway: true })
  strictEqual(store.isUp, false)
  proxy.mend()
  let epoch: number | null = null
  while (epoch === null) epoch = await store.claim(0, null).catch(() => null)
})

test('the memory of the server and the duration of each command, failed ones included, are reported', async (t) => {
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
  proxy.sever()
  await rejects(store.readProgress(), (error) =>
    isSluiceError(error, 'SLUICE_FEATURE_STORE_UNAVAILABLE'),
  )
  deepStrictEqual(
    told.map(([operation]) => operation),
    ['info', 'progress', 'progress'],
  )
  ok(told.every(([, durationMs]) => durationMs > 0))
})
