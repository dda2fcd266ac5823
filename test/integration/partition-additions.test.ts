// Goal: every reader sees the values that a partition has appended to as that partition sees them. An addition to a
// value other than the one in Redis is lost state. Method: sessions on a real Redis, with changes in between.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { entityName, partitionKeys } from '../../services/platform/redis/keys.ts'
import {
  claim,
  offsetsOf,
  openRedis,
  openSession,
  openStore,
  otherParts,
  ownPart,
  progressAt,
  read,
  terminalKey,
  write,
} from '../support/partition-sessions.ts'
import { openKeys, type TestKeys } from '../support/streams.ts'

async function open(t: TestContext, keys: TestKeys) {
  const store = await openStore(t, keys)
  const session = await openSession(store, 0, await claim(store, 0))
  const redis = openRedis(t, keys)
  const key = partitionKeys(keys.streamId, 0).entity(1, entityName(terminalKey('terminal-1')))
  return { store, session, redis, key }
}

test('new events are appended, and the partition and others read the whole value', async (t) => {
  const keys = openKeys(t, 'added')
  const { store, session, redis, key } = await open(t, keys)
  const values: Buffer[] = []
  for (const offset of [0, 1, 2]) {
    strictEqual(await write(session, offset), 'written')
    values.push((await redis.getBuffer(key)) ?? Buffer.alloc(0))
  }
  const [first, second, third] = values
  ok(first !== undefined && second !== undefined && third !== undefined)
  deepStrictEqual(second.subarray(0, first.length), first)
  deepStrictEqual(third.subarray(0, second.length), second)
  ok(first.length < second.length && second.length < third.length)
  const others = await openStore(t, keys)
  const reader = await openSession(others, 1, await claim(others, 1))
  const seen = otherParts(await read(reader, [], ['terminal-1']), 'terminal-1')
  deepStrictEqual(offsetsOf(seen?.[0]?.part), [0, 1, 2])
  session.close()
  const next = await openSession(store, 0, await claim(store, 0))
  deepStrictEqual(offsetsOf(ownPart(await read(next, [], ['terminal-1']), 'terminal-1')), [0, 1, 2])
  // After reading a value, a session first writes it whole, and appends to it afterwards.
  strictEqual(await write(next, 3), 'written')
  strictEqual(await write(next, 4), 'written')
  const last = otherParts(await read(reader, [], ['terminal-1']), 'terminal-1')
  deepStrictEqual(offsetsOf(last?.[0]?.part), [0, 1, 2, 3, 4])
})

for (const [what, change] of [
  ['gone', 'del'],
  ['another one', 'append'],
] as const) {
  test(`a value that is ${what} by now is lost state, and not appended to as if it were not`, async (t) => {
    const { store, session, redis, key } = await open(t, openKeys(t, `changed-${change}`))
    strictEqual(await write(session, 0), 'written')
    if (change === 'del') await redis.del(key)
    else await redis.append(key, 'more')
    strictEqual(await write(session, 1), 'lost')
    deepStrictEqual((await store.readProgress())[0], progressAt(1), 'nobody is told of more')
    ok((await redis.ttl(key)) > 0, 'and it does not stay for good')
  })
}
