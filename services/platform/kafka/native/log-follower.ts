// Follows whole topics with committed reads from a point in time on, without a consumer group: every process reads all
// partitions. Says when everything that existed at the start has been passed on.

import type { Admin } from 'kafkajs'
import { SluiceError } from '../../../core/errors.ts'
import type { Logger } from '../../log.ts'
import type { FetchedRecords } from '../log-client.ts'
import { readLogSince } from '../log-ends.ts'
import type { Cluster } from './cluster.ts'
import { NativeLogReader } from './log-reader.ts'

export interface FollowedTopic {
  readonly topic: string
  /** Records from this time on are passed on, ms. */
  readonly sinceMs: number
}

export interface LogFollowerOptions {
  readonly cluster: Cluster
  readonly log: Logger
  /** Called with records as they arrive; never waits. */
  readonly onRecords: (fetched: FetchedRecords) => void
  /** Called once, when a partition cannot be read any more. */
  readonly onFault: (error: SluiceError) => void
}

/** Follows from `start` until `close`. */
export class LogFollower {
  readonly #options: LogFollowerOptions
  readonly #reader: NativeLogReader
  /** End of each partition at the start, until it is reached. */
  readonly #ends = new Map<string, number>()
  #isStarted = false

  constructor(options: LogFollowerOptions) {
    this.#options = options
    this.#reader = new NativeLogReader({
      cluster: options.cluster,
      log: options.log,
      onRecords: (fetched) => {
        this.#take(fetched)
      },
      onFault: (_topic, _partition, _fault, error) => {
        options.onFault(error)
      },
    })
  }

  /** True once everything that existed at the start was passed on. */
  get isCaughtUp(): boolean {
    return this.#isStarted && this.#ends.size === 0
  }

  /** @throws errors of the admin client */
  async start(admin: Admin, topics: readonly FollowedTopic[]): Promise<void> {
    for (const { topic, sinceMs } of topics) {
      for (const [partition, { low, high, since }] of await readLogSince(admin, topic, sinceMs)) {
        const from = Math.max(low, since ?? high)
        if (from < high) this.#ends.set(`${topic}/${partition}`, high)
        this.#reader.seek(topic, partition, from)
      }
    }
    this.#isStarted = true
  }

  close(): Promise<void> {
    return this.#reader.close()
  }

  #take(fetched: FetchedRecords): void {
    this.#options.onRecords(fetched)
    const key = `${fetched.topic}/${fetched.partition}`
    const end = this.#ends.get(key)
    if (end !== undefined && fetched.nextOffset >= end) this.#ends.delete(key)
  }
}
