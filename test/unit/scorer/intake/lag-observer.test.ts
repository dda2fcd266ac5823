// Goal: the lag follows from the broker and the partitions, and has no value when they are unknown. Method: the broker
// behind a function, the clock moved by hand.

import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import {
  LagObserver,
  type PartitionStatus,
} from '../../../../services/scorer/intake/lag-observer.ts'
import { ManualClock } from '../../producer/manual-clock.ts'

const START_MS = 1_800_000_000_000
const IDLE: PartitionStatus = { nextOffset: 0, oldestTimestampMs: null, isIdle: true }

type Seen = readonly [messages: number, seconds: number] | null

/** One process with partitions as the test sets them. */
class Setting {
  readonly clock = new ManualClock(START_MS)
  readonly partitions = new Map<number, PartitionStatus>()
  readonly ends = new Map<number, { low: number; high: number }>()
  readonly committed = new Map<number, number>()
  /** By partition, the values of the series; null after they were removed. */
  readonly seen = new Map<number, Seen>()
  failures = 0
  committedReads = 0
  answer: () => Promise<void> = () => Promise.resolve()
  readonly observer = new LagObserver({
    clock: this.clock,
    telemetry: {
      lagObserved: (partition, messages, seconds) => {
        this.seen.set(partition, [messages, seconds])
      },
      lagUnknown: (partition) => {
        this.seen.set(partition, null)
      },
      lagObservationFailed: () => {
        this.failures += 1
      },
    },
    partitions: () => this.partitions,
    readLogEnds: async () => {
      await this.answer()
      return this.ends
    },
    readCommitted: () => {
      this.committedReads += 1
      return Promise.resolve(this.committed)
    },
  })

  partition(partition: number, standing: Partial<PartitionStatus>): void {
    this.partitions.set(partition, { ...IDLE, ...standing })
  }

  log(partition: number, high: number, low = 0): void {
    this.ends.set(partition, { low, high })
  }
}

test('the lag in messages is the end of the log less the partition’s next offset', async () => {
  const setting = new Setting()
  setting.partition(0, { nextOffset: 40 })
  setting.partition(1, { nextOffset: 7 })
  setting.log(0, 100)
  setting.log(1, 7)
  await setting.observer.observe()
  deepStrictEqual(setting.seen.get(0)?.[0], 60)
  deepStrictEqual(setting.seen.get(1), [0, 0])
  strictEqual(setting.committedReads, 0, 'partitions that know their place need no second question')
})

test('the lag in seconds is the age of the oldest transaction that the partition has', async () => {
  const setting = new Setting()
  setting.partition(0, { nextOffset: 5, oldestTimestampMs: START_MS - 2_500 })
  setting.log(0, 6)
  await setting.observer.observe()
  deepStrictEqual(setting.seen.get(0), [1, 2.5])
  setting.partition(0, { nextOffset: 5, oldestTimestampMs: START_MS + 60_000 })
  await setting.observer.observe()
  deepStrictEqual(setting.seen.get(0), [1, 0], 'a clock ahead of ours makes no negative age')
})

test('what no partition has fetched is as old as the first answer that showed it', async () => {
  const setting = new Setting()
  setting.partition(0, { nextOffset: 10 })
  const lagAt = async (high: number, nextOffset: number): Promise<Seen> => {
    setting.log(0, high)
    setting.partition(0, { nextOffset })
    await setting.observer.observe()
    setting.clock.advanceMs(2_000)
    return setting.seen.get(0) ?? null
  }
  deepStrictEqual(await lagAt(12, 10), [2, 0])
  deepStrictEqual(await lagAt(20, 10), [10, 2], 'grows while nothing is decided')
  deepStrictEqual(await lagAt(25, 10), [15, 4])
  deepStrictEqual(await lagAt(30, 12), [18, 4], 'offset 12 was first seen two answers ago')
  deepStrictEqual(await lagAt(40, 30), [10, 0], 'a partition that keeps up is never old')
  deepStrictEqual(await lagAt(40, 40), [0, 0])
  deepStrictEqual(await lagAt(41, 40), [1, 0])
})

test('a partition that has not yet read back its place is behind what its group committed', async () => {
  const setting = new Setting()
  setting.partition(0, { nextOffset: null, isIdle: false })
  setting.partition(1, { nextOffset: null, isIdle: false })
  setting.log(0, 100)
  setting.log(1, 100, 30)
  setting.committed.set(0, 90)
  await setting.observer.observe()
  strictEqual(setting.seen.get(0)?.[0], 10)
  strictEqual(setting.seen.get(1)?.[0], 70, 'nothing committed: all that the log holds')
})

test('a partition that starts over keeps its place, so its lag grows with the log', async () => {
  const setting = new Setting()
  setting.partition(0, { nextOffset: 50, oldestTimestampMs: START_MS, isIdle: false })
  for (const [high, lag] of [
    [60, 10],
    [90, 40],
  ] as const) {
    setting.log(0, high)
    await setting.observer.observe()
    strictEqual(setting.seen.get(0)?.[0], lag)
  }
  setting.clock.advanceMs(30_000)
  await setting.observer.observe()
  deepStrictEqual(setting.seen.get(0), [40, 30])
})

test('when the broker fails the series end and the failure is counted, until it answers again', async () => {
  const setting = new Setting()
  setting.partition(0, { nextOffset: 0 })
  setting.log(0, 3)
  await setting.observer.observe()
  strictEqual(setting.seen.get(0)?.[0], 3)
  setting.answer = () => Promise.reject(new Error('the broker is away'))
  await setting.observer.observe()
  deepStrictEqual([setting.seen.get(0), setting.failures], [null, 1])
  setting.answer = () => Promise.resolve()
  await setting.observer.observe()
  deepStrictEqual([setting.seen.get(0)?.[0], setting.failures], [3, 1])
})

test('an answer that is still due at the next question is a failure, and no second question is asked', async () => {
  const setting = new Setting()
  setting.partition(0, { nextOffset: 0 })
  setting.log(0, 3)
  await setting.observer.observe()
  let questions = 0
  let arrive: () => void = () => undefined
  setting.answer = () => {
    questions += 1
    return new Promise((resolve) => {
      arrive = resolve
    })
  }
  const late = setting.observer.observe()
  await setting.observer.observe()
  await setting.observer.observe()
  deepStrictEqual([questions, setting.failures, setting.seen.get(0)], [1, 2, null])
  arrive()
  await late
  strictEqual(setting.seen.get(0)?.[0], 3, 'what comes late is true when it comes')
})

test('partitions that are handed on lose their series, and others keep theirs', async () => {
  const setting = new Setting()
  for (const partition of [0, 1]) {
    setting.partition(partition, { nextOffset: 0 })
    setting.log(partition, 5)
  }
  await setting.observer.observe()
  setting.observer.keepOnly([1])
  strictEqual(setting.seen.get(0), null)
  strictEqual(setting.seen.get(1)?.[0], 5)
})

test('a partition that the broker does not know has no lag', async () => {
  const setting = new Setting()
  setting.partition(2, { nextOffset: 0 })
  await setting.observer.observe()
  deepStrictEqual([setting.seen.get(2), setting.failures], [null, 0])
})

test('what is remembered stays bounded, and a long stand-still keeps its age to the second', async () => {
  const setting = new Setting()
  setting.partition(0, { nextOffset: 0 })
  for (let step = 1; step <= 5_000; step += 1) {
    setting.log(0, step)
    await setting.observer.observe()
    setting.clock.advanceMs(2_000)
  }
  deepStrictEqual(setting.seen.get(0), [5_000, 2 * 4_999])
})
