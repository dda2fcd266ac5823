// Resumes a service with its own state after a stop: it reads back as far as its state reaches, and messages that it
// had processed before only rebuild the state.

import { setTimeout as sleepMs } from 'node:timers/promises'
import kafkajs, { type Admin } from 'kafkajs'
import { placeKey } from './committed-reader.ts'
import { readLogSince } from './log-ends.ts'

/** A group's coordinator may be moving between brokers, or loading at a start. */
const COORDINATOR_ATTEMPTS_MAX = 100
const COORDINATOR_POLL_MS = 100

export interface ResumePlan {
  /** First offset to read, by `topic/partition`. */
  readonly startAt: ReadonlyMap<string, number>
  /** First offset that was not processed. */
  readonly committed: ReadonlyMap<string, number>
  /** Ends of the partitions when the plan was made. */
  readonly ends: ReadonlyMap<string, number>
  /** Metadata of the committed offsets. */
  readonly metadata: readonly string[]
}

/**
 * Reads the ends and the group's offsets. A group without offsets begins with the first retained message; one with
 * offsets reads back to records of `sinceMs`, and never skips an unprocessed message.
 */
export async function planResume(
  admin: Admin,
  groupId: string,
  topics: readonly string[],
  sinceMs: number,
): Promise<ResumePlan> {
  const startAt = new Map<string, number>()
  const committed = new Map<string, number>()
  const ends = new Map<string, number>()
  const metadata: string[] = []
  for (const topic of topics) {
    const [ranges, [group]] = await Promise.all([
      readLogSince(admin, topic, sinceMs),
      fetchOffsets(admin, groupId, topic),
    ])
    const answered = new Map(
      (group?.partitions ?? []).map((each) => [each.partition, Number(each.offset)]),
    )
    for (const each of group?.partitions ?? []) if (each.metadata) metadata.push(each.metadata)
    for (const [partition, { low, high, since }] of ranges) {
      const place = placeKey(topic, partition)
      const known = answered.get(partition) ?? -1
      const next = Math.max(known, low)
      committed.set(place, next)
      ends.set(place, high)
      startAt.set(place, known < 0 ? next : Math.min(next, since ?? next))
    }
  }
  return { startAt, committed, ends, metadata }
}

async function fetchOffsets(
  admin: Admin,
  groupId: string,
  topic: string,
): ReturnType<Admin['fetchOffsets']> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await admin.fetchOffsets({ groupId, topics: [topic] })
    } catch (error) {
      const isPassing = error instanceof kafkajs.KafkaJSProtocolError && error.retriable
      if (!isPassing || attempt === COORDINATOR_ATTEMPTS_MAX) throw error
      await sleepMs(COORDINATOR_POLL_MS)
    }
  }
}

/** Tracks the progress of reading a plan. */
export class ResumeProgress {
  readonly #plan: ResumePlan
  readonly #waiting: Set<string>

  constructor(plan: ResumePlan) {
    this.#plan = plan
    this.#waiting = new Set(
      [...plan.ends]
        .filter(([place, end]) => (plan.startAt.get(place) ?? end) < end)
        .map(([place]) => place),
    )
  }

  /** True once everything that existed at the start has been read: then the state is complete. */
  get isCaughtUp(): boolean {
    return this.#waiting.size === 0
  }

  /** As `isCaughtUp`, of one topic. */
  hasRead(topic: string): boolean {
    const start = placeKey(topic, 0).slice(0, -1)
    for (const place of this.#waiting) if (place.startsWith(start)) return false
    return true
  }

  /** Everything before `next` has been read, control records included. */
  advance(topic: string, partition: number, next: number): void {
    const place = placeKey(topic, partition)
    if (next >= (this.#plan.ends.get(place) ?? 0)) this.#waiting.delete(place)
  }

  /** True for a message that was processed before the start. */
  isAnswered(topic: string, partition: number, offset: number): boolean {
    return offset < (this.#plan.committed.get(placeKey(topic, partition)) ?? 0)
  }
}

/** A plan for a reader without committed offsets: records from `sinceMs` on, or all of a topic that is in `whole`. */
export async function planSince(
  admin: Admin,
  topics: readonly string[],
  sinceMs: number,
  whole: ReadonlySet<string>,
): Promise<ResumePlan> {
  const startAt = new Map<string, number>()
  const ends = new Map<string, number>()
  for (const topic of topics) {
    for (const [partition, { low, high, since }] of await readLogSince(admin, topic, sinceMs)) {
      const place = placeKey(topic, partition)
      startAt.set(place, whole.has(topic) ? low : (since ?? high))
      ends.set(place, high)
    }
  }
  return { startAt, committed: new Map(), ends, metadata: [] }
}
