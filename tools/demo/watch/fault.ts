// Faults that the demo can inject into itself, each with the alert that it must raise.

import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { Producer } from 'kafkajs'
import { SluiceError } from '../../../services/core/errors.ts'
import { topicName } from '../../../services/platform/kafka/topics.ts'
import type { Closable } from '../../../services/platform/lifecycle.ts'
import type { RestartableScorer } from '../scorer-process.ts'

export const FAULTS = ['redis-away', 'scorer-stopped', 'dead-letters'] as const
export type FaultName = (typeof FAULTS)[number]

/** A fault that can be made and repaired. */
export interface Fault {
  readonly name: FaultName
  /** For people: "Redis is away". */
  readonly sentence: string
  /** Name of the alert rule that must fire. */
  readonly alert: string
  /** Resolves to the number of messages that it has added to the transactions. */
  make(): Promise<number>
  mend(): Promise<void>
}

/** Tools that make faults. */
export interface FaultTools {
  readonly scorer: RestartableScorer
  /** Present when the fault is `redis-away`. */
  readonly gate: RedisGate | null
  readonly producer: Producer
  readonly topicPrefix: string
}

const BROKEN_MESSAGES = 3

/** The fault of this name. */
export function faultOf(name: FaultName, tools: FaultTools): Fault {
  switch (name) {
    case 'redis-away':
      return {
        name,
        sentence: 'Redis is away: the scorer cannot read or write state',
        alert: 'SluiceRedisAway',
        make: () => {
          tools.gate?.shut()
          return Promise.resolve(0)
        },
        mend: () => {
          tools.gate?.open()
          return Promise.resolve()
        },
      }
    case 'scorer-stopped':
      return {
        name,
        sentence: 'the scorer is stopped',
        alert: 'SluiceNoScorer',
        make: async () => {
          await tools.scorer.halt()
          return 0
        },
        mend: () => tools.scorer.resume(),
      }
    case 'dead-letters':
      return {
        name,
        sentence: `${BROKEN_MESSAGES} messages that nobody can decode are sent`,
        alert: 'SluiceDeadLetters',
        make: async () => {
          const messages = Array.from({ length: BROKEN_MESSAGES }, (_, index) => ({
            key: `broken-${index}`,
            value: 'this is no transaction',
          }))
          await tools.producer.send({
            topic: topicName(tools.topicPrefix, 'transactions'),
            messages,
          })
          return BROKEN_MESSAGES
        },
        // The messages remain in the log; the alert clears when no further ones come.
        mend: () => Promise.resolve(),
      }
  }
}

// A gate between the demo's scorer and Redis, through which Redis can fail for the scorer alone.

export interface RedisGate extends Closable {
  /** Address of Redis through the gate; user, password and database are those of the target. */
  readonly url: string
  /** Breaks every connection and refuses new ones until `open`. */
  shut(): void
  open(): void
}

/** Opens a gate on a free loopback port. It does not support TLS. @throws SluiceError SLUICE_USAGE for rediss. */
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
      // An error on one side closes the other, so both ends see the peer fail, as in a real outage.
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
