// A proxy to Redis that a test can disconnect, or hold at a chosen command, so that a write is in flight for longer
// than its writer is the owner. Redis itself is a real one.

import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { closeWith } from './cleanup.ts'

const REPLY_CHARACTERS_MAX = 100_000

export class RedisProxy {
  readonly #target: URL
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #isSevered = false
  #match: { readonly text: string; readonly onHeld: () => void } | null = null
  #held: (() => void)[] | null = null
  #repliesSinceRelease = ''

  constructor(target: string) {
    this.#target = new URL(target)
    this.#server = createServer((client) => {
      this.#connect(client)
    })
  }

  async open(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.listen(0, '127.0.0.1', resolve)
    })
  }

  get url(): string {
    const url = new URL(this.#target)
    url.hostname = '127.0.0.1'
    url.port = String((this.#server.address() as AddressInfo).port)
    return url.href
  }

  /** Resolves once a command with this text has arrived; it and all later commands wait here until `release`. */
  async holdAt(text: string): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#match = { text, onHeld: resolve }
    })
  }

  /** Replies of Redis since the last `release`, as received. */
  get repliesSinceRelease(): string {
    return this.#repliesSinceRelease
  }

  release(): void {
    this.#repliesSinceRelease = ''
    const held = this.#held ?? []
    this.#held = null
    for (const forward of held) forward()
  }

  /** Breaks every connection and refuses new ones until `mend`. */
  sever(): void {
    this.#isSevered = true
    for (const socket of this.#sockets) socket.destroy()
  }

  mend(): void {
    this.#isSevered = false
  }

  async close(): Promise<void> {
    this.sever()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #connect(client: Socket): void {
    if (this.#isSevered) {
      client.destroy()
      return
    }
    const redis = connect(Number(this.#target.port), this.#target.hostname)
    for (const [socket, other] of [
      [client, redis],
      [redis, client],
    ] as const) {
      this.#sockets.add(socket)
      socket.on('error', () => other.destroy())
      socket.on('close', () => {
        this.#sockets.delete(socket)
        other.destroy()
      })
    }
    redis.pipe(client)
    redis.on('data', (bytes) => {
      const replies = this.#repliesSinceRelease + bytes.toString('latin1')
      this.#repliesSinceRelease = replies.slice(-REPLY_CHARACTERS_MAX)
    })
    client.on('data', (bytes) => {
      this.#forward(redis, bytes)
    })
  }

  #forward(redis: Socket, bytes: Buffer): void {
    if (this.#match !== null && bytes.includes(this.#match.text)) {
      this.#held = []
      this.#match.onHeld()
      this.#match = null
    }
    if (this.#held === null) redis.write(bytes)
    else this.#held.push(() => redis.write(bytes))
  }
}

/** Opens a proxy to the Redis at this address; it closes with the test. */
export async function openRedisProxy(t: TestContext, target: string): Promise<RedisProxy> {
  const proxy = new RedisProxy(target)
  await proxy.open()
  closeWith(t, () => proxy.close())
  return proxy
}
