// Goal: a failover that leaves the old master alive as a replica does not end the state of a partition. Method: two
// Redis servers and an address that leads to one of them; the roles and the address are swapped under an open
// connection.

import { rejects, strictEqual } from 'node:assert/strict'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { once } from 'node:events'
import { test, type TestContext } from 'node:test'
import { Redis } from 'ioredis'
import { isSluiceError } from '../../services/core/errors.ts'
import { closeWith } from '../support/cleanup.ts'
import { claim, openRedis, openSession, openStore, write } from '../support/partition-sessions.ts'
import { openOwnRedis } from '../support/own-redis.ts'
import { eventually } from '../support/poll.ts'

const STREAM = 'failover'

/** An address that leads to a chosen server. Open connections stay, as after a change of DNS. */
async function openAddress(
  t: TestContext,
  first: string,
): Promise<{ readonly url: string; leadTo(url: string): void }> {
  let target = new URL(first)
  const sockets = new Set<Socket>()
  const server = createServer((caller) => {
    const called = connect(Number(target.port), target.hostname)
    for (const socket of [caller, called]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        caller.destroy()
        called.destroy()
        sockets.delete(socket)
      })
    }
    caller.pipe(called).pipe(caller)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closeWith(t, async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  })
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    leadTo(url) {
      target = new URL(url)
    },
  }
}

async function follow(replica: Redis, master: string): Promise<void> {
  const { hostname, port } = new URL(master)
  await replica.call('REPLICAOF', hostname, port)
  await eventually('the replica is in step', async () =>
    (await replica.info('replication')).includes('master_link_status:up'),
  )
}

test('a partition continues to write through a failover that leaves the old master alive', async (t) => {
  const [oldUrl, newUrl] = [await openOwnRedis(t), await openOwnRedis(t)]
  const old = openRedis(t, { redisUrl: oldUrl, streamId: STREAM })
  const next = openRedis(t, { redisUrl: newUrl, streamId: STREAM })
  await follow(next, oldUrl)
  const address = await openAddress(t, oldUrl)
  const store = await openStore(t, { redisUrl: address.url, streamId: STREAM })
  const session = await openSession(store, 0, await claim(store, 0))
  strictEqual(await write(session, 0), 'written')
  strictEqual(await old.call('WAIT', 1, 5_000), 1)

  address.leadTo(newUrl)
  await next.call('REPLICAOF', 'NO', 'ONE')
  await follow(old, newUrl)
  strictEqual(await write(session, 1), 'written', 'over another connection, with the same epoch')
  const status = await store.readStatus(0)
  strictEqual(status.progress?.nextOffset, 2)
  strictEqual((await store.claim(0, session.epoch)) !== null, true, 'and its claim is the last one')
})

test('a replica is refused at the start', async (t) => {
  const [masterUrl, replicaUrl] = [await openOwnRedis(t), await openOwnRedis(t)]
  await follow(openRedis(t, { redisUrl: replicaUrl, streamId: STREAM }), masterUrl)
  await rejects(
    openStore(t, { redisUrl: replicaUrl, streamId: STREAM }, { mayBeAway: true }),
    (error) => isSluiceError(error, 'SLUICE_CONFIG_INVALID') && /is a replica/.test(error.message),
  )
})
