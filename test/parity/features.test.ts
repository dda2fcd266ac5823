// Goal: the trainer and the scorer compute the same features, bit for bit (P4). Method: one simulated stream is applied
// in memory as the trainer does, and in partitions through encoded state, in random batches with crashes, as far ahead
// of each other as an aligned replay allows. Live rows are recomputed from the logs and the recorded frontiers.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_RATES } from '../../services/core/rates/default-rates.ts'
import {
  FEATURE_COUNT,
  FEATURE_NAMES,
} from '../../services/core/features/catalogue/feature-list.ts'
import { HistoryFold } from '../../services/core/features/engine/history-fold.ts'
import { partitionOfText } from '../../services/core/murmur2.ts'
import { mayGoOn } from '../../services/core/stream/alignment.ts'
import { withWatermarks, type StreamEvent } from '../../services/producer/index.ts'
import { simulate } from '../../tools/simulator/simulate.ts'
import { dealOut, foldAligned, type SentItem, type Turn } from '../support/aligned-partitions.ts'
import { foldLive, recomputeLive } from '../support/live-partitions.ts'
import { seededNumbers } from '../support/seeded-numbers.ts'

const PARTITION_COUNT = 4
const TRANSACTION_COUNT = 10_000
/** A stolen device is used for days; labels on it count a week later, when it is gone. */
const NEVER_IN_THE_SIMULATOR = ['device_frauds_30d']
const partitionOf = (card: string): number => partitionOfText(card, PARTITION_COUNT)

/** Few cards, so that the stream spans weeks and terminals have a past. */
function simulated(): readonly StreamEvent[] {
  const world = { cards: 250, terminals: 60, merchants: 40, fraudShare: 0.03 }
  return [...simulate({ seed: 42, transactionsMax: TRANSACTION_COUNT, ...world })]
}

function turnsOf(seed: number): readonly Turn[] {
  const draw = seededNumbers(seed)
  return Array.from({ length: 600 }, () => ({
    partition: draw() % PARTITION_COUNT,
    labels: draw() % 40,
    entries: draw() % 3 === 0 ? draw() % 3 : draw() % 200,
    looks: draw() % 4 > 0,
    crashes: draw() % 8 === 0,
  }))
}

test('trainer and scorer compute bit-for-bit the same features', async () => {
  const events = simulated()
  const history = new HistoryFold({ rates: DEFAULT_RATES, partitionCount: PARTITION_COUNT })
  const row = new Float64Array(FEATURE_COUNT)
  const offline: { readonly id: string; readonly row: readonly number[] }[] = []
  const annotations: string[] = []
  for (const event of events) {
    if (event.kind === 'label') history.label(event.label)
    else {
      annotations.push(...history.transaction(event.transaction, row, 0).annotations)
      offline.push({ id: event.transaction.id, row: Array.from(row) })
    }
  }

  const sent: SentItem[] = []
  for await (const event of withWatermarks(events)) sent.push(event)
  const stream = dealOut(sent, PARTITION_COUNT, partitionOf)
  const rows = foldAligned(stream, turnsOf(7), mayGoOn)
  assert.ok(rows !== null, 'no partition may go on')
  const online = new Map<string, readonly number[]>()
  for (const [partition, log] of stream.logs.entries()) {
    for (const entry of log.entries) {
      const folded = rows.get(`${partition}/${entry.offset}`)
      if (entry.kind === 'transaction' && folded !== undefined) {
        online.set(entry.transaction.id, folded.row)
      }
    }
  }

  assert.equal(offline.length, TRANSACTION_COUNT)
  for (const { id, row: expected } of offline) assert.deepEqual(online.get(id), expected, id)
  // Every feature must vary in the stream, or equality means little.
  const silent = FEATURE_NAMES.filter((_, column) =>
    offline.every((each) => !((each.row[column] ?? 0) > 0)),
  )
  assert.deepEqual(silent, NEVER_IN_THE_SIMULATOR)
})

test('live rows are recomputed from the logs and the recorded frontiers, bit for bit', () => {
  const { logs } = dealOut(simulated(), PARTITION_COUNT, partitionOf)
  const { rows, batches } = foldLive({ logs }, turnsOf(11))
  const again = recomputeLive(logs, batches)
  assert.equal(rows.size, TRANSACTION_COUNT)
  for (const [key, row] of rows) assert.deepEqual(row, again.get(key), key)
  const aligned = foldAligned({ logs, sent: [] }, [], () => true)
  assert.notDeepEqual(rows, aligned, 'what partitions see depends on how they interleave')
})
