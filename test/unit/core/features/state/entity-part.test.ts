// Labels of an entity where an id is used again: a word on its first use says nothing about the second.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EntityPart, LABELS_MAX } from '../../../../../services/core/features/state/entity-part.ts'
import { KnownFrauds } from '../../../../../services/core/features/state/known-frauds.ts'
import { DAY_MS, STREAM_START_MS } from '../../../../support/feature-streams.ts'

const START_MS = STREAM_START_MS

function word(labelOffset: number, timeMs: number, isFraud: boolean, idRef = 1) {
  return { timeMs, knownAtMs: timeMs + DAY_MS, idRef, labelOffset, isFraud }
}

test('a genuine word is kept where it follows a word on the same transaction, and only there', () => {
  const part = new EntityPart()
  part.insertLabel(word(0, START_MS, false))
  part.insertLabel(word(1, START_MS, true))
  part.insertLabel(word(2, START_MS, false))
  part.insertLabel(word(3, START_MS + 60 * DAY_MS, false))
  part.insertLabel(word(4, START_MS, false, 2))
  assert.deepEqual(
    part.labels.map(({ labelOffset }) => labelOffset),
    [1, 2],
  )
})

test('a word on another use of an id hides nothing, whether it is forgotten already or not', () => {
  const againMs = START_MS + 50 * DAY_MS
  const labels = [
    word(0, againMs, true),
    { ...word(1, START_MS, true), knownAtMs: START_MS + 54 * DAY_MS },
    { ...word(2, START_MS, false), knownAtMs: START_MS + 55 * DAY_MS },
  ]
  const frauds = new KnownFrauds()
  const asOfMs = START_MS + 60 * DAY_MS
  for (const horizonMs of [START_MS + 1, START_MS]) {
    frauds.read(labels, 0, labels.length, asOfMs, horizonMs)
    assert.deepEqual(frauds.found, labels.slice(0, 1))
    assert.deepEqual([frauds.has(1, againMs), frauds.has(1, START_MS)], [true, false])
  }
})

test('of labels the last of the log are kept, and only committed ones are forgotten', () => {
  const part = new EntityPart()
  for (let offset = 0; offset < LABELS_MAX + 10; offset += 1) {
    part.insertLabel(word(offset, START_MS, true, offset + 1))
  }
  part.compact({ nextOffset: 0, labelNextOffset: LABELS_MAX + 5 })
  assert.equal(part.labels.length, LABELS_MAX + 5)
  part.compact({ nextOffset: 0, labelNextOffset: LABELS_MAX + 10 })
  assert.equal(part.labels.length, LABELS_MAX)
  assert.equal(part.labels[0]?.labelOffset, 10)
})
