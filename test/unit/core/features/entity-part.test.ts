// Labels of a terminal: which word counts, from when on, and how many are kept.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ENTITY_RETAIN_MS,
  HOUR_RAW_MAX,
  EntityPart,
  LABELS_MAX,
  type Cut,
} from '../../../../services/core/features/entity-part.ts'
import { DAY_MS, HOUR_MS, STREAM_START_MS } from '../../../support/feature-streams.ts'

const TIME_MS = STREAM_START_MS
const ALL: Cut = { nextOffset: Infinity, labelNextOffset: Infinity }

function fraudsOf(part: EntityPart, asOfMs: number, cut: Cut = ALL): number {
  const window = { count: 0, frauds: 0, isApproximate: false }
  part.addWindow(TIME_MS - DAY_MS, TIME_MS + DAY_MS, asOfMs, cut, window)
  return window.frauds
}

function label(labelOffset: number, knownAtMs: number, isFraud: boolean, idRef = 1) {
  return { timeMs: TIME_MS, knownAtMs, idRef, labelOffset, isFraud }
}

test('a label counts from its known-at time on, and only within the cut', () => {
  const part = new EntityPart()
  part.insertLabel(label(3, TIME_MS + 5, true))
  assert.equal(fraudsOf(part, TIME_MS + 4), 0)
  assert.equal(fraudsOf(part, TIME_MS + 5), 1)
  assert.equal(fraudsOf(part, TIME_MS + 5, { nextOffset: 0, labelNextOffset: 3 }), 0)
  assert.equal(fraudsOf(part, TIME_MS + 5, { nextOffset: 0, labelNextOffset: 4 }), 1)
})

test('a correction undoes a fraud from when it is known, and can be undone again', () => {
  const part = new EntityPart()
  part.insertLabel(label(0, TIME_MS + 1, true))
  part.insertLabel(label(1, TIME_MS + 2, false))
  part.insertLabel(label(2, TIME_MS + 3, true))
  assert.deepEqual(
    [1, 2, 3].map((delayMs) => fraudsOf(part, TIME_MS + delayMs)),
    [1, 0, 1],
  )
})

test('a genuine word on its own is not kept', () => {
  const part = new EntityPart()
  part.insertLabel(label(0, TIME_MS + 1, false))
  assert.equal(part.labels.length, 0)
})

test('only the last labels of the log count, whether the others are still stored or not', () => {
  const part = new EntityPart()
  for (let offset = 0; offset < LABELS_MAX + 10; offset += 1) {
    part.insertLabel(label(offset, TIME_MS, true, offset + 1))
  }
  assert.equal(fraudsOf(part, TIME_MS), LABELS_MAX)
  const cut = { nextOffset: 0, labelNextOffset: LABELS_MAX + 5 }
  assert.equal(fraudsOf(part, TIME_MS, cut), LABELS_MAX)
  part.compact({ nextOffset: 0, labelNextOffset: LABELS_MAX + 5 })
  assert.equal(part.labels.length, LABELS_MAX + 5)
  assert.equal(fraudsOf(part, TIME_MS, cut), LABELS_MAX)
  assert.equal(fraudsOf(part, TIME_MS), LABELS_MAX)
})

test('what is out of reach does not count, whether it is still stored or already forgotten', () => {
  const part = new EntityPart()
  const newestMs = TIME_MS + HOUR_MS + ENTITY_RETAIN_MS
  part.insert(TIME_MS, 0)
  part.insertLabel(label(0, TIME_MS, true))
  part.insert(newestMs, 1)
  const read = (nextOffset: number): number[] => {
    const window = { count: 0, frauds: 0, isApproximate: false }
    part.addWindow(TIME_MS - 1, TIME_MS, newestMs, { nextOffset, labelNextOffset: 9 }, window)
    return [window.count, window.frauds]
  }
  assert.deepEqual(read(1), [1, 1])
  assert.deepEqual(read(2), [0, 0])
  part.compact({ nextOffset: 2, labelNextOffset: 9 })
  assert.deepEqual(part.offsets, [1])
  assert.deepEqual(read(2), [0, 0])
})

test('an hour with as many events as are kept singly is exact, one with more is not', () => {
  const part = new EntityPart()
  const read = (): readonly [number, boolean] => {
    const window = { count: 0, frauds: 0, isApproximate: false }
    part.addWindow(TIME_MS, TIME_MS + 5, TIME_MS, ALL, window)
    return [window.count, window.isApproximate]
  }
  for (let offset = 0; offset < HOUR_RAW_MAX; offset += 1) part.insert(TIME_MS + offset, offset)
  assert.deepEqual(read(), [5, false])
  part.compact({ nextOffset: HOUR_RAW_MAX, labelNextOffset: 0 })
  assert.deepEqual(read(), [5, false])
  part.insert(TIME_MS + HOUR_MS - 1, HOUR_RAW_MAX)
  assert.deepEqual(read(), [0, true])
  part.compact({ nextOffset: HOUR_RAW_MAX + 1, labelNextOffset: 0 })
  assert.deepEqual(read(), [0, true])
})
