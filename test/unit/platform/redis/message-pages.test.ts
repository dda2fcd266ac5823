// Goal: a message stands in Redis as long as a late transaction may ask for it, and not much longer, also over restarts;
// and memory holds the newest pages only. Method: pages of random streams, written to a map as the partition store does.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { revisableFromMs } from '../../../../services/core/features/engine/late-revisions.ts'
import { PAGE_OFFSETS, pageOf } from '../../../../services/core/features/state/message-page.ts'
import {
  DAY_MS,
  HOUR_MS,
  LATENESS_MS,
  MINUTE_MS,
} from '../../../../services/core/features/catalogue/time.ts'
import {
  encodeProgress,
  PAGE_RUNS_MAX,
  pageRunsOf,
  type PageRun,
} from '../../../../services/core/stream/partition-progress.ts'
import { MessagePages } from '../../../../services/platform/redis/message-pages.ts'
import { ValueCache } from '../../../../services/platform/redis/value-cache.ts'
import { holds } from '../../../support/property.ts'

const MESSAGE = Buffer.from('message')
const START_MS = Date.UTC(2024, 0, 1)

/** A partition with one transaction after the other, and what of its messages stands in Redis. */
class PartitionProcessor {
  readonly standing = new Set<number>()
  nextOffset = 0
  newestEventMs = -1
  readonly #cache: ValueCache
  pages: MessagePages

  constructor(bytesMax = 2 ** 24) {
    this.#cache = new ValueCache(bytesMax)
    this.pages = this.#open([])
  }

  #open(runs: readonly PageRun[]): MessagePages {
    const { newestEventMs } = this
    return new MessagePages({ runs, newestEventMs, kept: this.#cache.open() })
  }

  /** What a session leaves is its progress. */
  restart(): void {
    const { nextOffset, newestEventMs } = this
    const times = { newestEventMs, watermarkMs: -1, labelWatermarkMs: -1 }
    const progress = { generation: 1, nextOffset, labelNextOffset: 0, ...times }
    const runs = pageRunsOf(encodeProgress(progress, this.pages.runs), 1)
    this.pages.close()
    this.pages = this.#open(runs)
  }

  /** Others take all of the memory. */
  forget(): void {
    this.#cache.open().put(0, null, Infinity)
  }

  /** A batch of transactions of these times. Duplicates keep no message. */
  write(timesMs: readonly number[], areDuplicates = false): void {
    const committedMs = this.newestEventMs
    for (const timeMs of timesMs) {
      if (!areDuplicates) this.pages.keep(this.nextOffset, timeMs, MESSAGE)
      this.nextOffset += 1
      this.newestEventMs = Math.max(this.newestEventMs, timeMs)
    }
    const { changed, dropped } = this.pages.takeWrite(committedMs)
    for (const page of changed) this.standing.add(page.index)
    for (const index of dropped) this.standing.delete(index)
  }
}

test('a page stands until every message in it is older than what may be computed again', () => {
  const partition = new PartitionProcessor()
  const full = Array.from({ length: PAGE_OFFSETS }, () => START_MS)
  partition.write([...full.slice(1), START_MS + HOUR_MS])
  const endMs = START_MS + HOUR_MS + LATENESS_MS
  partition.write([endMs])
  partition.write([endMs + 1])
  assert.ok(partition.standing.has(0), 'what is just not older is kept')
  partition.write([endMs + 2])
  assert.ok(!partition.standing.has(0), 'older than the newest committed one by more')
  assert.equal(partition.pages.runs[0]?.from, 1)
})

test('a page that is written is not dropped by that write, though the partition has come far since it was written last', () => {
  const partition = new PartitionProcessor()
  partition.write([START_MS])
  // A duplicate keeps no message.
  partition.newestEventMs = START_MS + 8 * DAY_MS
  partition.write([START_MS + 8 * DAY_MS])
  assert.deepEqual([...partition.standing], [0])
})

test('whatever a late transaction may ask for stands, in any order of times and over restarts', () => {
  const times = fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 0, max: 20 * MINUTE_MS }) },
    { weight: 2, arbitrary: fc.integer({ min: -2 * LATENESS_MS, max: 0 }) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 2 * DAY_MS }) },
  )
  const batches = fc.array(
    fc.record({ steps: fc.array(times, { maxLength: 90, size: 'max' }), restarts: fc.boolean() }),
    { minLength: 5, maxLength: 40, size: 'max' },
  )
  let dropped = 0
  holds(
    60,
    fc.property(batches, (plan) => {
      const partition = new PartitionProcessor()
      const all: number[] = []
      let nowMs = START_MS
      for (const { steps, restarts } of plan) {
        const timesMs = steps.map((step) => {
          nowMs += Math.max(0, step)
          return nowMs + Math.min(0, step)
        })
        if (restarts) partition.restart()
        // What the next batch may ask for, decided again after a crash or not.
        const fromMs = revisableFromMs(partition.newestEventMs)
        partition.write(timesMs)
        all.push(...timesMs)
        for (const [offset, timeMs] of all.entries()) {
          if (timeMs < fromMs) continue
          assert.ok(partition.standing.has(pageOf(offset)), `the message at ${offset} is gone`)
        }
      }
      dropped += pageOf(all.length) - partition.standing.size
    }),
  )
  assert.ok(dropped > 100, 'and what nobody asks for is dropped')
})

for (const [what, restartEvery] of [
  ['of one process', Infinity],
  ['of processes that are started again and again', 7],
] as const) {
  test(`years of a stream ${what} leave the pages of some days`, () => {
    const partition = new PartitionProcessor()
    let most = 0
    for (let batch = 0; batch < 4_000; batch += 1) {
      const fromMs = START_MS + batch * 6 * HOUR_MS
      if (batch % restartEvery === restartEvery - 1) partition.restart()
      partition.write(Array.from({ length: 100 }, (_, index) => fromMs + index * MINUTE_MS))
      most = Math.max(most, partition.standing.size)
    }
    // Three days of batches, one that is not committed, and what is counted with others.
    assert.ok(most <= Math.ceil((4 * 4 * 100) / PAGE_OFFSETS), `${most} pages`)
    assert.ok(partition.pages.runs.length <= 10)
  })
}

test('a page that was dropped and is gone on with, after duplicates for days, is dropped again', () => {
  const partition = new PartitionProcessor()
  partition.write([START_MS])
  for (const days of [4, 5]) partition.write([START_MS + days * DAY_MS], true)
  assert.deepEqual([...partition.standing], [])
  partition.restart()
  for (const days of [6, 7]) partition.write([START_MS + days * DAY_MS])
  assert.deepEqual([...partition.standing], [0])
  partition.write(Array.from({ length: PAGE_OFFSETS }, () => START_MS + 11 * DAY_MS))
  partition.write([START_MS + 11 * DAY_MS])
  assert.deepEqual([...partition.standing], [0, 1], 'the first holds a message of that day')
  partition.write([START_MS + 15 * DAY_MS])
  partition.write([START_MS + 15 * DAY_MS])
  assert.deepEqual([...partition.standing], [1])
})

test('pages in memory need not be read, and others are at hand for the batch that reads them', () => {
  const partition = new PartitionProcessor(2 ** 17)
  for (let batch = 0; batch < 60; batch += 1) {
    partition.pages.begin(partition.nextOffset)
    partition.write(Array.from({ length: PAGE_OFFSETS }, () => START_MS))
  }
  const { pages } = partition
  const newest = partition.nextOffset - 1
  pages.begin(partition.nextOffset)
  assert.deepEqual(pages.unreadOf([0, 1, PAGE_OFFSETS, newest]), [0, 1])
  assert.deepEqual(pages.find(newest), MESSAGE)
  assert.equal(pages.find(0), null)
  pages.take(0, null, partition.nextOffset)
  assert.deepEqual(pages.unreadOf([0, PAGE_OFFSETS]), [1])
  pages.begin(partition.nextOffset)
  assert.deepEqual(pages.unreadOf([0]), [0], 'for one batch only')
})

test('what a batch has at hand stays so when others take the memory', () => {
  const partition = new PartitionProcessor()
  partition.write(Array.from({ length: PAGE_OFFSETS + 1 }, () => START_MS))
  partition.pages.begin(partition.nextOffset)
  assert.deepEqual(partition.pages.unreadOf([0]), [])
  partition.forget()
  assert.deepEqual(partition.pages.find(0), MESSAGE)
  partition.pages.begin(partition.nextOffset)
  assert.deepEqual(partition.pages.unreadOf([0]), [0])
})

test('the page that a partition goes on with stays in memory, also where there is none for others', () => {
  const partition = new PartitionProcessor(0)
  for (let batch = 0; batch < PAGE_OFFSETS; batch += 1) {
    assert.equal(partition.pages.begin(partition.nextOffset), null)
    partition.write([START_MS])
  }
  assert.deepEqual(partition.pages.unreadOf([0]), [])
  partition.write([START_MS])
  partition.pages.begin(partition.nextOffset)
  assert.deepEqual(partition.pages.unreadOf([0]), [0])
})

test('a partition that goes on in the middle of a page reads it first, and one at its begin does not', () => {
  const partition = new PartitionProcessor()
  partition.write([START_MS, START_MS])
  assert.equal(partition.pages.begin(2), null, 'at hand')
  partition.restart()
  assert.equal(partition.pages.begin(2), 0)
  assert.equal(partition.pages.begin(PAGE_OFFSETS), null)
})

test('a partition whose pages come faster than they are taken away keeps count of them in so many runs, over restarts too', () => {
  const partition = new PartitionProcessor()
  const pagesAtOnce = 1_000
  const rounds = 3 * PAGE_RUNS_MAX
  for (let round = 0; round < rounds; round += 1) {
    const timeMs = START_MS + round * 13 * HOUR_MS
    partition.write([timeMs])
    // Duplicates keep no message.
    partition.nextOffset += pagesAtOnce * PAGE_OFFSETS
    partition.write([timeMs])
    partition.nextOffset += PAGE_OFFSETS
    assert.ok(partition.pages.runs.length <= PAGE_RUNS_MAX)
    partition.restart()
    assert.ok(partition.pages.runs.length > 0)
  }
  const old = pageOf(partition.nextOffset)
  for (let batch = 0; batch < rounds * pagesAtOnce; batch += 1) {
    partition.write([START_MS + rounds * 13 * HOUR_MS + batch * MINUTE_MS])
  }
  assert.deepEqual(
    [...partition.standing].filter((index) => index < old),
    [],
  )
})

test('an event far ahead makes a partition lose count of no page', () => {
  const partition = new PartitionProcessor()
  partition.write([START_MS + 40 * DAY_MS])
  for (let batch = 0; batch < 100; batch += 1) {
    partition.write(Array.from({ length: PAGE_OFFSETS }, () => START_MS + batch * 13 * HOUR_MS))
    if (batch % 30 === 29) partition.restart()
  }
  partition.write([START_MS + 99 * DAY_MS])
  for (let batch = 0; batch < 3; batch += 1) partition.write([START_MS + 99 * DAY_MS])
  assert.deepEqual([...partition.standing], [pageOf(partition.nextOffset - 1)])
})
