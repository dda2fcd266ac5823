// What features cost without I/O and model: per batch decode the stored values, fold, compact and encode them again.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simulate } from '../../services/producer/index.ts'
import { bench, benchSize } from '../support/bench.ts'
import { StoredLane, StoredLanes, logsOf } from '../support/stored-lanes.ts'

const BATCH_ENTRIES = 256

test('benchmark: fold and state codec', () => {
  const count = benchSize({ smoke: 2_000, full: 100_000 })
  const [log] = logsOf([...simulate({ seed: 42, transactionsMax: count })], 1, () => 0)
  assert.ok(log !== undefined)
  const { entries, labels } = log
  assert.equal(entries.length, count)
  const checksum = bench('fold and state codec', count, () => {
    const lane = new StoredLane(new StoredLanes(1), 0, log)
    let sum = 0
    for (let from = 0; from < count; from += BATCH_ENTRIES) {
      const entryCount = Math.min(from + BATCH_ENTRIES, count)
      const labelCount = Math.floor((labels.length * entryCount) / count)
      for (const { row } of lane.step({ entryCount, labelCount })) {
        for (const value of row) sum += Number.isNaN(value) ? 1 : value
      }
      lane.commit()
    }
    return sum
  })
  assert.ok(checksum > 0)
})
