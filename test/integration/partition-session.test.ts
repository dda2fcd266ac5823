// Goal: a micro-batch reads the values written by its own and other partitions, with any share of them in memory; an
// unreadable value is never read as empty. Method: sessions of two partitions on a real Redis.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { REACH_MS, SECOND_MS } from '../../services/core/features/catalogue/time.ts'
import { entityName, partitionKeys } from '../../services/platform/redis/keys.ts'
import type { PartitionSnapshot } from '../../services/platform/redis/partition-store-contract.ts'
import {
  AT_MS,
  offsetsOf,
  openStore,
  otherParts,
  ownPart,
  terminalKey,
  openRedis,
  progressAt,
  COMMITTED,
  openSession,
  read,
  write,
  claim,
} from '../support/partition-sessions.ts'
import { openKeys } from '../support/streams.ts'

test('values expire after their retention and not before; epoch and progress never do', async (t) => {
  const keys = openKeys(t, 'expiry')
  const store = await openStore(t, keys)
  strictEqual(await write(await openSession(store, 0, await claim(store, 0)), 0), 'written')
  const redis = openRedis(t, keys)
  const partition = partitionKeys(keys.streamId, 0)
  for (const key of [
    partition.card(1, 'card-1'),
    partition.entity(1, entityName(terminalKey('terminal-1'))),
  ]) {
    const secondsLeft = await redis.ttl(key)
    ok(secondsLeft * SECOND_MS > REACH_MS, `${key} expires in ${secondsLeft} s`)
  }
  for (const key of [partition.epoch, partition.progress]) strictEqual(await redis.ttl(key), -1)
})

test('a partition reads remote partials, each with the offset that it covers', async (t) => {
  const keys = openKeys(t, 'parts')
  const store = await openStore(t, keys)
  // As in another process.
  const reader = await openSession(await openStore(t, keys), 1, await claim(store, 1))
  const empty = await read(reader, [], ['terminal-1'])
  deepStrictEqual(otherParts(empty, 'terminal-1'), [])
  deepStrictEqual(empty.progress, [null, null])
  const session = await openSession(store, 0, await claim(store, 0))
  strictEqual(await write(session, 0), 'written')
  strictEqual(await write(session, 1), 'written')
  const snapshot = await read(reader, [], ['terminal-1'])
  const [other] = otherParts(snapshot, 'terminal-1') ?? []
  strictEqual(other?.frontier.nextOffset, 2)
  deepStrictEqual(offsetsOf(other.part), [0, 1])
  deepStrictEqual(offsetsOf(ownPart(snapshot, 'terminal-1')), [])
  deepStrictEqual(await store.readProgress(), [progressAt(2), null])
  const again = await read(reader, [], ['terminal-1'])
  strictEqual(otherParts(again, 'terminal-1')?.[0]?.part, other.part, 'decoded once')
  strictEqual(await write(session, 2), 'written')
  const changed = await read(reader, [], ['terminal-1'])
  deepStrictEqual(offsetsOf(otherParts(changed, 'terminal-1')?.[0]?.part), [0, 1, 2])
})

test('later reads for a batch stay within the frontier of its first read', async (t) => {
  const keys = openKeys(t, 'besides')
  const store = await openStore(t, keys)
  const reader = await openSession(await openStore(t, keys), 1, await claim(store, 1))
  const session = await openSession(store, 0, await claim(store, 0))
  await read(reader, [], ['terminal-1'])
  strictEqual(await write(session, 0), 'written')
  const next = { nextOffset: 0, labelNextOffset: 0 }
  const needs = { entities: [terminalKey('terminal-1')], messages: [] }
  const without = await read(reader, [], ['terminal-2'])
  const first = await read(reader, [], ['terminal-1'])
  const before = otherParts(first, 'terminal-1')
  // Requested, and not there yet.
  strictEqual(otherParts(without, 'terminal-1'), null)
  strictEqual(await write(session, 1), 'written')
  strictEqual((await reader.readMore(without, needs, next)).kind, 'read')
  strictEqual((await reader.readMore(first, needs, next)).kind, 'read')
  const [besides] = otherParts(without, 'terminal-1') ?? []
  deepStrictEqual(offsetsOf(besides?.part), [0, 1])
  strictEqual(besides?.frontier.nextOffset, 1)
  deepStrictEqual(offsetsOf(ownPart(without, 'terminal-1')), [])
  // The first result stays valid.
  strictEqual(otherParts(first, 'terminal-1'), before)
  deepStrictEqual(offsetsOf(before?.[0]?.part), [0])
})

test('state of a partition of the same process is read from memory, also after one read from Redis', async (t) => {
  const keys = openKeys(t, 'memory')
  const store = await openStore(t, keys)
  const [session, reader] = [
    await openSession(store, 0, await claim(store, 0)),
    await openSession(store, 1, await claim(store, 1)),
  ]
  strictEqual(await write(session, 0), 'written')
  // The location of the other partition's state is read from Redis, and so is its partial aggregate.
  deepStrictEqual(
    offsetsOf(otherParts(await read(reader, [], ['terminal-1']), 'terminal-1')?.[0]?.part),
    [0],
  )
  const key = partitionKeys(keys.streamId, 0).entity(1, entityName(terminalKey('terminal-1')))
  await openRedis(t, keys).set(key, 'damaged')
  const own = ownPart(await read(session, [], ['terminal-1']), 'terminal-1')
  const [other] = otherParts(await read(reader, [], ['terminal-1']), 'terminal-1') ?? []
  strictEqual(other?.part, own)
})

test('a batch sees what partitions of its process have folded by the time it is folded itself', async (t) => {
  const keys = openKeys(t, 'folded')
  const store = await openStore(t, keys)
  const session = await openSession(store, 0, await claim(store, 0))
  const reader = await openSession(store, 1, await claim(store, 1))
  strictEqual(await write(session, 0), 'written')
  // The location of the other partition's state is learned by a first read.
  await read(reader, [], [])
  const seen = await read(reader, [], ['terminal-1', 'terminal-2'])
  const [inMiddle, untouched] = [
    await read(reader, [], ['terminal-1']),
    await read(reader, [], ['terminal-1']),
  ]
  const own = await read(session, [], ['terminal-1', 'terminal-2'])
  session.beginFold(own)
  for (const terminal of ['terminal-1', 'terminal-2'])
    ownPart(own, terminal).insert(AT_MS + 1, 1, 1, 1)
  reader.beginFold(inMiddle)
  session.endFold(own, progressAt(2))
  const frontierOf = (of: PartitionSnapshot): number | undefined =>
    otherParts(of, 'terminal-1')?.[0]?.frontier.nextOffset
  reader.beginFold(seen)
  deepStrictEqual([frontierOf(seen), frontierOf(inMiddle), frontierOf(untouched)], [2, 1, 1])
  deepStrictEqual(seen.progress[0], progressAt(2))
  // One that came meanwhile too.
  deepStrictEqual(offsetsOf(otherParts(seen, 'terminal-2')?.[0]?.part), [1])
})

test('what another process has folded is seen as far as it is written, and so is what memory has no room for', async (t) => {
  for (const [name, more, isElsewhere] of [
    ['elsewhere', {}, true],
    ['no-room', { cacheBytesMax: 0 }, false],
  ] as const) {
    const keys = openKeys(t, name)
    const store = await openStore(t, keys, more)
    const session = await openSession(store, 0, await claim(store, 0))
    const readers = isElsewhere ? await openStore(t, keys) : store
    const reader = await openSession(readers, 1, await claim(store, 1))
    strictEqual(await write(session, 0), 'written')
    const seen = await read(reader, [], ['terminal-1'])
    const own = await read(session, [], ['terminal-1'])
    session.beginFold(own)
    ownPart(own, 'terminal-1').insert(AT_MS + 1, 1, 1, 1)
    session.endFold(own, progressAt(2))
    reader.beginFold(seen)
    deepStrictEqual(seen.progress[0], progressAt(1))
    strictEqual(otherParts(seen, 'terminal-1')?.[0]?.frontier.nextOffset, 1)
  }
})

test('a partition rebuilt under another generation is read there', async (t) => {
  const keys = openKeys(t, 'generation')
  const store = await openStore(t, keys)
  const reader = await openSession(await openStore(t, keys), 1, await claim(store, 1))
  const epoch = await claim(store, 0)
  strictEqual(await write(await openSession(store, 0, epoch), 0), 'written')
  await read(reader, [], ['terminal-1'])
  strictEqual(await write(await openSession(store, 0, epoch, 2), 7), 'written')
  const [other] = otherParts(await read(reader, [], ['terminal-1']), 'terminal-1') ?? []
  deepStrictEqual(offsetsOf(other?.part), [7])
})

test('a rebuild is read only after the switch, and then at once', async (t) => {
  const keys = openKeys(t, 'rebuild')
  const store = await openStore(t, keys)
  const reader = await openSession(store, 1, await claim(store, 1))
  const epoch = await claim(store, 0)
  strictEqual(await write(await openSession(store, 0, epoch), 0), 'written')
  const partOf = async (): Promise<readonly number[]> =>
    offsetsOf(otherParts(await read(reader, [], ['terminal-1']), 'terminal-1')?.[0]?.part)
  const status = await store.readStatus(0)
  const rebuild = store.open(0, epoch, status, progressAt(0, 9), 'rebuild')
  strictEqual(await write(rebuild, 5), 'written')
  deepStrictEqual(await partOf(), [0])
  deepStrictEqual((await store.readStatus(0)).restore, progressAt(6, 9))
  strictEqual(await rebuild.switchOver(), 'written')
  deepStrictEqual(await partOf(), [5])
  const { progress, restore } = await store.readStatus(0)
  deepStrictEqual([progress, restore], [progressAt(6, 9), null])
  strictEqual(await write(rebuild, 6), 'written', 'and the session goes on')
  strictEqual(await rebuild.confirm(), 'stands')
})

test('written values stay decoded in the cache, and are not read again', async (t) => {
  const keys = openKeys(t, 'cached')
  const store = await openStore(t, keys)
  const session = await openSession(store, 0, await claim(store, 0))
  strictEqual(await write(session, 0), 'written')
  const first = ownPart(await read(session, [], ['terminal-1']), 'terminal-1')
  // A value that is read again would be found damaged.
  const redis = openRedis(t, keys)
  const key = partitionKeys(keys.streamId, 0).entity(1, entityName(terminalKey('terminal-1')))
  await redis.set(key, 'damaged')
  strictEqual(ownPart(await read(session, [], ['terminal-1']), 'terminal-1'), first)
  session.close()
  deepStrictEqual(await session.read([], [terminalKey('terminal-1')], COMMITTED), {
    kind: 'lost',
    loss: 'corrupt',
  })
})

test('with a cache of no capacity, every value is read again', async (t) => {
  const keys = openKeys(t, 'no-room')
  const store = await openStore(t, keys, { cacheBytesMax: 0 })
  const session = await openSession(store, 0, await claim(store, 0))
  strictEqual(await write(session, 0), 'written')
  strictEqual(await write(session, 1), 'written')
  const part = ownPart(await read(session, [], ['terminal-1']), 'terminal-1')
  deepStrictEqual(offsetsOf(part), [0, 1])
})

test('a damaged remote partial is not read as empty, and its owner is notified', async (t) => {
  const keys = openKeys(t, 'damaged')
  const store = await openStore(t, keys)
  const owner = await openSession(store, 0, await claim(store, 0))
  const reader = await openSession(await openStore(t, keys), 1, await claim(store, 1))
  strictEqual(await write(owner, 0), 'written')
  strictEqual(otherParts(await read(reader, [], ['terminal-1']), 'terminal-1') === null, false)
  const redis = openRedis(t, keys)
  const partition = partitionKeys(keys.streamId, 0)
  const key = partition.entity(1, entityName(terminalKey('terminal-1')))
  const whole = await redis.getBuffer(key)
  await redis.set(key, 'damaged')
  strictEqual(otherParts(await read(reader, [], ['terminal-1']), 'terminal-1') === null, true)
  deepStrictEqual(await owner.read([], [], COMMITTED), { kind: 'lost', loss: 'corrupt' })
  // A reader of an earlier version may not know a layout that its owner can read.
  await redis.set(key, whole ?? '')
  strictEqual((await owner.read([], [], COMMITTED)).kind, 'read')
  strictEqual(await redis.get(partition.damage), '')
})

test('state of another layout is ignored and left unchanged', async (t) => {
  const keys = openKeys(t, 'layouts')
  const store = await openStore(t, keys)
  const redis = openRedis(t, keys)
  const partition = partitionKeys(keys.streamId, 0)
  const earlier = partition.progress.replace(/s\d+:progress$/, 'progress')
  ok(earlier !== partition.progress)
  await redis.set(earlier, JSON.stringify(progressAt(5)))
  await redis.set(partition.progress, JSON.stringify({ layout: 99, ...progressAt(5) }))
  const { progress } = await store.readStatus(0)
  strictEqual(progress, null)
  strictEqual(await write(await openSession(store, 0, await claim(store, 0)), 0), 'written')
  strictEqual(await redis.get(earlier), JSON.stringify(progressAt(5)))
})

test('a card that was only read is not written back, and one changed later is', async (t) => {
  const keys = openKeys(t, 'peeked')
  const store = await openStore(t, keys, { cacheBytesMax: 0 })
  const session = await openSession(store, 0, await claim(store, 0))
  const redis = openRedis(t, keys)
  const key = partitionKeys(keys.streamId, 0).card(1, 'card-1')
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
