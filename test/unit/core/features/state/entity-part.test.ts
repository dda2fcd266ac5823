// What a part of an entity holds, and what of it a reader sees: labels where an id is used again (a word on its first use
// says nothing about the second), and nothing beyond the frontier, whatever was compacted.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FEATURES } from '../../../../../services/core/features/catalogue/feature-list.ts'
import { EntityAggregates } from '../../../../../services/core/features/engine/entity-aggregates.ts'
import { compileFeaturePlan } from '../../../../../services/core/features/engine/feature-plan.ts'
import { ByteWriter } from '../../../../../services/core/features/state/bytes.ts'
import {
  decodeEntityPart,
  encodeEntityPart,
} from '../../../../../services/core/features/state/entity-codec.ts'
import { ENTITY_STRIDE } from '../../../../../services/core/features/state/entity-event.ts'
import { EntityPart, LABELS_MAX } from '../../../../../services/core/features/state/entity-part.ts'
import { KnownFrauds } from '../../../../../services/core/features/state/known-frauds.ts'
import { DAY_MS, STREAM_START_MS } from '../../../../support/feature-streams.ts'
import { holds } from '../../../../support/property.ts'

const START_MS = STREAM_START_MS

function word(labelOffset: number, timeMs: number, isFraud: boolean, idHash = 1) {
  return { timeMs, knownAtMs: timeMs + DAY_MS, idHash, labelOffset, isFraud }
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

/** How much later an event comes, or what happens between batches. */
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant('event' as const), sinceMs: fc.nat(DAY_MS) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('late' as const), sinceMs: fc.nat(2 * DAY_MS) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('compact' as const), back: fc.nat(9) }) },
)

const eventsOf = ({ data, count }: EntityPart): readonly number[] =>
  Array.from(data.subarray(0, count * ENTITY_STRIDE))

test('an entity is stored as it is held, and read as if it held nothing beyond the frontier', () => {
  const writer = new ByteWriter()
  const plan = compileFeaturePlan(FEATURES).entities.terminal ?? assert.fail('no terminal')
  const readings = [new EntityAggregates(plan), new EntityAggregates(plan)] as const
  const steps = fc.array(step, { minLength: 10, maxLength: 100, size: 'max' })
  let ahead = 0
  holds(
    60,
    fc.property(steps, fc.nat(6), fc.nat(3 * DAY_MS), (all, behind, aheadMs) => {
      const kept = new EntityPart()
      const within: [number, number][] = []
      let timeMs = START_MS
      let offset = 0
      let committed = 0
      for (const each of all) {
        if (each.kind === 'compact') {
          committed = Math.max(committed, offset - each.back)
          const frontier = { nextOffset: committed, labelNextOffset: 0 }
          kept.compact(frontier)
        } else {
          const atMs = each.kind === 'event' ? timeMs + each.sinceMs : timeMs - each.sinceMs
          kept.insert(atMs, offset, offset + 1, offset % 13)
          within.push([atMs, offset])
          if (each.kind === 'event') timeMs += each.sinceMs
          offset += 1
        }
        const again = decodeEntityPart(encodeEntityPart(kept, writer))
        assert.deepEqual(eventsOf(again), eventsOf(kept))
        const frontier = { nextOffset: Math.max(committed, offset - behind), labelNextOffset: 0 }
        const seen = new EntityPart()
        for (const [ofMs, of] of within)
          if (of < frontier.nextOffset) seen.insert(ofMs, of, of + 1, of % 13)
        for (const [at, part] of [kept, seen].entries()) {
          const reading = readings[at] ?? readings[0]
          reading.begin(timeMs - DAY_MS + aheadMs)
          reading.add(part, frontier)
          reading.finish()
        }
        if (kept.seenBy(frontier, timeMs - DAY_MS) === kept && behind > 0) ahead += 1
        assert.deepEqual(readings[0].groups, readings[1].groups)
        assert.equal(readings[0].distinctCards, readings[1].distinctCards)
        assert.equal(readings[0].isApproximate, readings[1].isApproximate)
      }
    }),
  )
  assert.ok(ahead > 100, `${ahead} times a part was read that held more`)
})
