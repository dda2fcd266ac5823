// A gate between the demo's scorer and Redis, so that Redis can go away for the scorer and for nobody else.

import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { SluiceError } from '../../../services/core/errors.ts'
import type { Closable } from '../../../services/platform/lifecycle.ts'

export interface RedisGate extends Closable {
  /** Address of Redis through the gate; user, password and database are those of the target. */
  readonly url: string
  /** Breaks every connection and refuses new ones until `open`. */
  shut(): void
  open(): void
}

/** Opens a gate on a free loopback port. Nothing is known here of TLS. @throws SluiceError SLUICE_USAGE for rediss. */
export async function openRedisGate(targetUrl: string): Promise<RedisGate> {
  const target = new URL(targetUrl)
  if (target.protocol !== 'redis:') {
    throw new SluiceError(
      'SLUICE_USAGE',
      '--fault redis-away works with redis:// addresses only; leave SLUICE_REDIS_URL unset for the demo.',
    )
  }
  const sockets = new Set<Socket>()
  let isShut = false
  const server = createServer((client) => {
    if (isShut) {
      client.destroy()
      return
    }
    const redis = connect(Number(target.port || 6379), target.hostname)
    for (const [from, to] of [
      [client, redis],
      [redis, client],
    ] as const) {
      sockets.add(from)
      from.pipe(to)
      // A broken half breaks the other; both ends see it as their peer's, as with a real outage.
      from.on('error', () => undefined)
      from.once('close', () => {
        sockets.delete(from)
        to.destroy()
      })
    }
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const url = new URL(target)
  url.hostname = '127.0.0.1'
  url.port = String((server.address() as AddressInfo).port)
  const breakAll = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    url: url.href,
    shut() {
      isShut = true
      breakAll()
    },
    open() {
      isShut = false
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve()
        })
        breakAll()
      }),
  }
}
