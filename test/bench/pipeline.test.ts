// Goal: the benchmarks keep working, and still refuse to count faulty runs. Method: each at smoke size against the real
// broker, Redis and model. No time is asserted: the speed of a machine is not a property of the code.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { openBenchServers, type BenchServers } from '../../tools/bench/bench-servers.ts'
import { runLiveBench } from '../../tools/bench/live-bench.ts'
import { runReplayBench } from '../../tools/bench/replay-bench.ts'
import { SCORING_BATCHES, runScoringBench } from '../../tools/bench/scoring-bench.ts'
import { readUntil } from '../support/poll.ts'

const brokers = process.env['SLUICE_KAFKA_BROKERS'] ?? ''
const redisUrl = process.env['SLUICE_REDIS_URL'] ?? ''
const skip =
  brokers === '' || redisUrl === ''
    ? 'SLUICE_KAFKA_BROKERS and SLUICE_REDIS_URL are not set; "npm test" provides both'
    : false
const LIMIT_MS = 90_000

async function withServers(work: (servers: BenchServers) => Promise<void>): Promise<void> {
  const servers = await openBenchServers({ brokers: brokers.split(',') }, { url: redisUrl })
  try {
    await work(servers)
  } finally {
    await servers.close()
  }
}

async function leftBehind({ admin, redis }: BenchServers, since: ReadonlySet<string>) {
  const topics = (await admin.listTopics()).filter((topic) => topic.startsWith('bench-'))
  const keys = await redis.keys('sluice:{bench-*')
  return [...topics, ...keys].filter((name) => !since.has(name))
}

function depsOf(servers: BenchServers) {
  return {
    servers,
    onProgress: () => undefined,
    signal: AbortSignal.timeout(LIMIT_MS),
  }
}

test('the replay benchmark answers every transaction and leaves nothing behind', { skip }, () =>
  withServers(async (servers) => {
    const before = new Set(await leftBehind(servers, new Set()))
    const { runs } = await runReplayBench(
      { transactions: 2_000, cards: 200, batchSizeMax: 256, runs: 1, profileFile: null },
      depsOf(servers),
    )
    const [run] = runs
    ok(run !== undefined)
    deepStrictEqual(run.problems, [])
    strictEqual(run.fill.transactions, 2_000)
    strictEqual(run.batches.decisions, 2_000)
    strictEqual(run.batches.scored, 2_000)
    ok(run.eventsPerSecond > 0 && run.ratioToConsume > 0)
    // Kafka's controller reports that a topic is deleted before the broker that lists topics has caught up.
    await readUntil(
      'nothing is left behind',
      () => leftBehind(servers, before),
      (left) => left.length === 0,
    )
  }),
)

test('the live benchmark sees an alert for every decision that calls for one', { skip }, () =>
  withServers(async (servers) => {
    const result = await runLiveBench(
      { ratePerSecond: 1_000, durationMs: 2_000, warmUpMs: 500, cards: 500, batchSizeMax: 512 },
      depsOf(servers),
    )
    deepStrictEqual(result.problems, [])
    strictEqual(result.transactions, 2_500)
    strictEqual(result.decisions, 2_500)
    // Transactions of the half-second warm-up do not count.
    const timed = result.decisionLatency?.samples ?? 0
    ok(timed > 0 && timed < 2_500, `${timed} decisions have a latency`)
    ok(result.alerts > 0)
  }),
)

test('the scoring benchmark measures every backend that works, with the same bits at every size', async () => {
  const results = await runScoringBench({ measureMs: 5 }, () => undefined)
  const usable = results.filter(({ batches }) => batches !== null)
  ok(usable.some(({ backend }) => backend === 'wasm'))
  for (const { backend, batches, hasSameBits, detail } of results) {
    if (batches === null) {
      ok(detail.length > 0, `${backend} says why it cannot be used`)
      continue
    }
    deepStrictEqual(
      batches.map(({ rows }) => rows),
      [...SCORING_BATCHES],
    )
    ok(batches.every(({ calls, rowsPerSecond }) => calls > 0 && rowsPerSecond > 0))
    strictEqual(hasSameBits, true, backend)
  }
})
