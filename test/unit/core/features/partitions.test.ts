// Goal: partitions that share entities compute features as defined. Method: several partitions against the oracle in
// the order in which everything was sent; and live partitions in any interleaving, with crashes, against a computation
// from the logs and the recorded frontiers alone.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DEFAULT_RATES } from '../../../../services/core/rates/default-rates.ts'
import {
  dealOut,
  foldInOrder,
  withStretches,
  type Turn,
} from '../../../support/aligned-partitions.ts'
import { compareRow } from '../../../support/compared-rows.ts'
import {
  DAY_MS,
  edgesMs,
  HOUR_MS,
  itemsOf,
  stepsOf,
  type StreamShape,
} from '../../../support/feature-streams.ts'
import { foldLive, recomputeLive } from '../../../support/live-partitions.ts'
import { NaiveFeatures } from '../../../support/naive-features.ts'
import { holds, holdsForLong } from '../../../support/property.ts'
import { logsOf } from '../../../support/stored-partitions.ts'

const PARTITION_COUNT = 3
const partitionOf = (card: string): number => Number(card.slice('card-'.length)) % PARTITION_COUNT

const everyEdge: StreamShape = {
  stepsMax: 40,
  cards: 2 * PARTITION_COUNT,
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
    partition: fc.integer({ min: 0, max: PARTITION_COUNT - 1 }),
    labels: fc.constantFrom(0, 1, 5, 50),
    entries: fc.constantFrom(0, 1, 3, 20, 100),
    looks: fc.constant(true),
    crashes: fc.constantFrom(false, false, false, true),
  }),
  { maxLength: 80 },
)

test('several partitions with watermarks, late labels and late transactions are as the oracle says', () => {
  holds(
    150,
    fc.property(stepsOf(everyEdge), fc.constantFrom(1, 3, 20), (steps, stretchItems) => {
      const stream = dealOut(
        withStretches(itemsOf(steps), stretchItems),
        PARTITION_COUNT,
        partitionOf,
      )
      const rows = foldInOrder(stream)
      const oracle = new NaiveFeatures(DEFAULT_RATES)
      for (const { partition, kind, index } of stream.sent) {
        const log = stream.logs[partition]
        const entry = kind === 'entry' ? log?.entries[index] : log?.labels[index]
        assert.ok(entry !== undefined)
        if (entry.kind === 'label') oracle.label(partition, entry.offset, entry.label)
        else if (entry.kind === 'transaction') {
          const folded = rows.get(`${partition}/${entry.offset}`)
          assert.ok(folded !== undefined)
          compareRow(folded, oracle.transaction(partition, entry.offset, entry.transaction))
        } else if (kind === 'label') oracle.labelWatermark(partition, entry.timeMs)
        else oracle.watermark(partition, entry.timeMs)
      }
    }),
  )
})

for (const [name, shape] of Object.entries({ 'at every edge': everyEdge, 'in crowds': crowded })) {
  test(`live rows follow from the logs and the recorded cuts, however partitions interleave: ${name}`, () => {
    const runs = shape === crowded ? 15 : 150
    const check = shape === crowded ? holdsForLong : holds
    check(
      runs,
      fc.property(stepsOf(shape), turns, (steps, plan) => {
        const logs = logsOf(itemsOf(steps), PARTITION_COUNT, partitionOf)
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
    const logs = logsOf(itemsOf(steps), PARTITION_COUNT, partitionOf)
    const { rows, batches } = foldLive({ logs }, plan)
    const blind = batches.map((batch) => ({ ...batch, frontiers: batch.frontiers.map(() => null) }))
    const again = recomputeLive(logs, blind)
    return [...rows].some(([key, { row }]) => String(row) !== String(again.get(key)?.row))
  })
  assert.ok(differing.length > 0)
})
