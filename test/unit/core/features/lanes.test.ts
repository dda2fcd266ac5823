// Goal: lanes that share entities see what the definitions say. Method: several lanes against the oracle in the order
// in which everything was sent; and live lanes in any interleaving, with crashes, against a computation from the logs
// and the recorded cuts alone.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DEFAULT_RATES } from '../../../../services/core/currency.ts'
import { dealOut, foldInOrder, withStretches, type Turn } from '../../../support/aligned-lanes.ts'
import { compareRow } from '../../../support/compared-rows.ts'
import {
  DAY_MS,
  edgesMs,
  HOUR_MS,
  itemsOf,
  stepsOf,
  type StreamShape,
} from '../../../support/feature-streams.ts'
import { foldLive, recomputeLive } from '../../../support/live-lanes.ts'
import { NaiveFeatures } from '../../../support/naive-features.ts'
import { holds, holdsForLong } from '../../../support/property.ts'
import { logsOf } from '../../../support/stored-lanes.ts'

const LANE_COUNT = 3
const laneOf = (card: string): number => Number(card.slice('card-'.length)) % LANE_COUNT

const everyEdge: StreamShape = {
  stepsMax: 40,
  cards: 2 * LANE_COUNT,
  terminals: 1,
  labelEarliesMs: fc.constantFrom(0, 0, HOUR_MS, 8 * DAY_MS, -1, -2 * DAY_MS),
}

const crowded: StreamShape = {
  ...everyEdge,
  stepsMin: 120,
  stepsMax: 200,
  labelShare: 0.2,
  backs: fc.oneof({ weight: 20, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 9 })),
  gapsMs: fc.oneof(
    { weight: 150, arbitrary: fc.constantFrom(0, 1, 30_000) },
    { weight: 3, arbitrary: fc.integer({ min: 0, max: 4 * HOUR_MS }) },
    edgesMs,
  ),
  latesMs: fc.oneof({ weight: 20, arbitrary: fc.constant(0) }, edgesMs),
}

const turns = fc.array(
  fc.record<Turn>({
    lane: fc.integer({ min: 0, max: LANE_COUNT - 1 }),
    labels: fc.constantFrom(0, 1, 5, 50),
    entries: fc.constantFrom(0, 1, 3, 20, 100),
    looks: fc.constant(true),
    crashes: fc.constantFrom(false, false, false, true),
  }),
  { maxLength: 80 },
)

test('several lanes with watermarks, late labels and late transactions are as the oracle says', () => {
  holds(
    150,
    fc.property(stepsOf(everyEdge), fc.constantFrom(1, 3, 20), (steps, stretchItems) => {
      const stream = dealOut(withStretches(itemsOf(steps), stretchItems), LANE_COUNT, laneOf)
      const rows = foldInOrder(stream)
      const oracle = new NaiveFeatures(DEFAULT_RATES)
      for (const { lane, kind, index } of stream.sent) {
        const log = stream.logs[lane]
        const entry = kind === 'entry' ? log?.entries[index] : log?.labels[index]
        assert.ok(entry !== undefined)
        if (entry.kind === 'label') oracle.label(lane, entry.offset, entry.label)
        else if (entry.kind === 'transaction') {
          const folded = rows.get(`${lane}/${entry.offset}`)
          assert.ok(folded !== undefined)
          compareRow(folded, oracle.transaction(lane, entry.offset, entry.transaction))
        } else if (kind === 'label') oracle.labelWatermark(lane, entry.timeMs)
        else oracle.watermark(lane, entry.timeMs)
      }
    }),
  )
})

for (const [name, shape] of Object.entries({ 'at every edge': everyEdge, 'in crowds': crowded })) {
  test(`live rows follow from the logs and the recorded cuts, however lanes interleave: ${name}`, () => {
    const runs = shape === crowded ? 15 : 150
    const check = shape === crowded ? holdsForLong : holds
    check(
      runs,
      fc.property(stepsOf(shape), turns, (steps, plan) => {
        const logs = logsOf(itemsOf(steps), LANE_COUNT, laneOf)
        const { rows, batches } = foldLive({ logs }, plan)
        const again = recomputeLive(logs, batches)
        assert.equal(again.size, rows.size)
        for (const [key, row] of rows) assert.deepEqual(row, again.get(key), `row ${key}`)
      }),
    )
  })
}

test('control: with other cuts than the recorded ones other rows come out', () => {
  const samples = fc.sample(fc.tuple(stepsOf(crowded), turns), { numRuns: 5, seed: 42 })
  const differing = samples.filter(([steps, plan]) => {
    const logs = logsOf(itemsOf(steps), LANE_COUNT, laneOf)
    const { rows, batches } = foldLive({ logs }, plan)
    const blind = batches.map((batch) => ({ ...batch, cuts: batch.cuts.map(() => null) }))
    const again = recomputeLive(logs, blind)
    return [...rows].some(([key, { row }]) => String(row) !== String(again.get(key)?.row))
  })
  assert.ok(differing.length > 0)
})
