// Goal: the cost of features stays measured, on correct rows. Method: per batch decode the stored values, compute,
// compact and encode them again; and `sluice bench features` in a small size, whose rows must equal those of a fold
// that stores nothing. No time is asserted.

import assert from 'node:assert/strict'
import { crc32 } from 'node:zlib'
import { test } from 'node:test'
import { openBenchServers } from '../../tools/bench/bench-servers.ts'
import { simulatedItems } from '../../tools/bench/feature-load.ts'
import {
  runFeaturesBench,
  type FeaturesOptions,
  featuresLines,
} from '../../tools/bench/features-bench.ts'
import { DEFAULT_RATES } from '../../services/core/rates/default-rates.ts'
import { FEATURE_COUNT } from '../../services/core/features/catalogue/feature-list.ts'
import { HistoryFold } from '../../services/core/features/engine/history-fold.ts'
import { createCodecs } from '../../services/core/wire/codecs.ts'
import { FileRegistry } from '../../services/platform/registry/file-registry.ts'
import { simulate } from '../../tools/simulator/simulate.ts'
import { bench, benchSize } from '../support/bench.ts'
import { StoredPartition, StoredPartitions, logsOf } from '../support/stored-partitions.ts'

const BATCH_ENTRIES = 256

test('benchmark: fold and state codec', () => {
  const count = benchSize({ smoke: 2_000, full: 100_000 })
  const [log] = logsOf([...simulate({ seed: 42, transactionsMax: count })], 1, () => 0)
  assert.ok(log !== undefined)
  const { entries, labels } = log
  assert.equal(entries.length, count)
  const checksum = bench('fold and state codec', count, () => {
    const partition = new StoredPartition(new StoredPartitions(1), 0, log)
    let sum = 0
    for (let from = 0; from < count; from += BATCH_ENTRIES) {
      const entryCount = Math.min(from + BATCH_ENTRIES, count)
      const labelCount = Math.floor((labels.length * entryCount) / count)
      for (const { row } of partition.step({ entryCount, labelCount })) {
        for (const value of row) sum += Number.isNaN(value) ? 1 : value
      }
      partition.commit()
    }
    return sum
  })
  assert.ok(checksum > 0)
})

const brokers = process.env['SLUICE_KAFKA_BROKERS'] ?? ''
const redisUrl = process.env['SLUICE_REDIS_URL'] ?? ''
const skip =
  brokers === '' || redisUrl === ''
    ? 'SLUICE_KAFKA_BROKERS and SLUICE_REDIS_URL are not set; "npm test" provides both'
    : false
const LIMIT_MS = 90_000
const codecs = createCodecs(await new FileRegistry().load())
// Long enough for two batches of the larger size, so that state is written and read again.
const OPTIONS: FeaturesOptions = {
  ...{ transactions: 5_000, cards: 200, runs: 1 },
  ...{ cacheBytesMax: 2 ** 20, growthEvents: 20, heldMax: 512 },
}

/** Checksum of the expected rows of all features, computed by a fold that neither stores nor batches. */
function checksumOfHistory({ transactions, cards }: FeaturesOptions): string {
  const fold = new HistoryFold({ rates: DEFAULT_RATES, partitionCount: 1 })
  const row = new Float64Array(FEATURE_COUNT)
  let crc = 0
  for (const item of simulatedItems(transactions, cards, codecs)) {
    if (item.kind === 'label') {
      fold.label(item.label)
      continue
    }
    fold.transaction(item.transaction, row, 0)
    crc = crc32(new Uint8Array(row.map((value) => (Number.isNaN(value) ? 0 : value)).buffer), crc)
  }
  return crc.toString(16).padStart(8, '0')
}

test('the features benchmark gets the rows of a fold that stores nothing, in every case', async () => {
  const result = await runFeaturesBench(OPTIONS, {
    ...{ codecs, servers: null, onProgress: () => undefined },
    signal: AbortSignal.timeout(LIMIT_MS),
  })
  assert.deepEqual(result.problems, [])
  const all = result.memory.filter(({ features }) => features === 'all')
  assert.equal(all.length, 4)
  const expected = checksumOfHistory(OPTIONS)
  for (const { checksum } of all) assert.equal(checksum.split('-')[0], expected)
  const most = result.growth.filter(({ held }) => held === 512)
  assert.ok(most.every(({ heldMax }) => heldMax >= 512))
  const [hot] = result.hotCard.filter(({ share }) => share > 0)
  assert.ok((hot?.heldMax ?? 0) >= 512)
  assert.ok(featuresLines(result).length > 20)
})

test(
  'features over Redis take at most two round trips per batch, and leave nothing behind',
  { skip },
  async () => {
    const servers = await openBenchServers({ brokers: brokers.split(',') }, { url: redisUrl })
    const keys = async (): Promise<readonly string[]> => servers.redis.keys('sluice:{bench-*')
    try {
      const before = new Set(await keys())
      const { store, problems } = await runFeaturesBench(
        // Enough that every partition has a batch of the larger size before the measured ones.
        { ...OPTIONS, transactions: 10_000, heldMax: 0 },
        { codecs, servers, onProgress: () => undefined, signal: AbortSignal.timeout(LIMIT_MS) },
      )
      assert.deepEqual(problems, [])
      assert.equal(store?.length, 8)
      for (const { readsPerBatchMax, writesPerBatchMax } of store) {
        assert.ok(readsPerBatchMax >= 1 && readsPerBatchMax <= 2)
        assert.ok(writesPerBatchMax >= 1 && writesPerBatchMax <= 2)
      }
      assert.deepEqual(
        (await keys()).filter((key) => !before.has(key)),
        [],
      )
    } finally {
      await servers.close()
    }
  },
)
