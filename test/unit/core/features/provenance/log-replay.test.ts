// Goal: a replay recomputes from the log and the recorded frontiers exactly the inputs that live partitions used, bit for
// bit. Method: live partitions that take turns in any order, with old frontiers, crashes and lost state, leave decision
// batches; a replay gets messages and decision batches in any interleaving. Controls are in log-replay-faults.test.ts.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DEFAULT_RATES } from '../../../../../services/core/rates/default-rates.ts'
import { LogReplay } from '../../../../../services/core/features/provenance/log-replay.ts'
import type { ReplayEntry } from '../../../../../services/core/features/provenance/replay-records.ts'
import { HashSample } from '../../../../../services/core/features/provenance/replay-sample.ts'
import {
  crowdedGapsMs,
  HOUR_MS,
  itemsOf,
  stepsOf,
  type StreamShape,
} from '../../../../support/feature-streams.ts'
import { streamOf } from '../../../../support/plain-steps.ts'
import { holdsForLong } from '../../../../support/property.ts'
import {
  dealLive,
  inMemory,
  readRecord,
  runLive,
  type LiveTurn,
} from '../../../../support/recorded-partitions.ts'
import { beginOf, replayOf } from '../../../../support/replay-tally.ts'

const PARTITIONS = 4

const turns: fc.Arbitrary<readonly LiveTurn[]> = fc.array(
  fc.record<LiveTurn>({
    partition: fc.integer({ min: 0, max: PARTITIONS - 1 }),
    labels: fc.integer({ min: 0, max: 5 }),
    entries: fc.integer({ min: 0, max: 12 }),
    looks: fc.boolean(),
    crashes: fc.constantFrom(false, false, false, true),
    isDegraded: fc.constantFrom(false, false, false, false, false, true),
  }),
  { maxLength: 60 },
)

const shape: StreamShape = {
  stepsMin: 20,
  stepsMax: 120,
  cards: 6,
  terminals: 2,
  latesMs: fc.oneof(
    { weight: 8, arbitrary: fc.constant(0) },
    fc.constantFrom(1, HOUR_MS, 24 * HOUR_MS, 60 * HOUR_MS),
  ),
}

const chunks = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 11 })

test('rows and revisions are recomputed bit for bit, whatever the turns, cuts, crashes and interleaving', () => {
  let revisions = 0
  holdsForLong(
    120,
    fc.property(stepsOf(shape), turns, chunks, (steps, plan, sizes) => {
      const logs = dealLive(inMemory(itemsOf(steps)), PARTITIONS)
      const batches = runLive(logs, plan)
      const tally = replayOf({ logs, batches, chunks: sizes })
      assert.deepEqual([...tally.mismatches], [])
      assert.equal(tally.waiting, 0)
      assert.equal(
        tally.rows,
        batches.reduce((sum, { decisions }) => sum + decisions.length, 0),
      )
      const allowed = ['degraded', 'expired', 'behind_reach']
      assert.deepEqual(
        [...tally.notCompared.keys()].filter((why) => !allowed.includes(why)),
        [],
      )
      revisions += tally.revisions
    }),
  )
  assert.ok(revisions > 0, 'revisions were among them')
})

test('crowded hours are merged only below what a frontier may still ask for', () => {
  holdsForLong(
    10,
    fc.property(
      stepsOf({ ...shape, stepsMin: 600, stepsMax: 800, terminals: 1, gapsMs: crowdedGapsMs }),
      turns,
      chunks,
      (steps, plan, sizes) => {
        const logs = dealLive(inMemory(itemsOf(steps)), PARTITIONS)
        // Decision batches are minutes apart, so that merging keeps up with them.
        const batches = runLive(logs, plan, 40_000)
        const tally = replayOf({ logs, batches, chunks: sizes })
        assert.deepEqual([...tally.mismatches], [])
        assert.ok(!tally.notCompared.has('frontier_went_back'))
      },
    ),
  )
})

test('a sample compares its cards and its entities, and says of the rest that it is outside', () => {
  let compared = 0
  holdsForLong(
    60,
    fc.property(
      stepsOf(shape),
      turns,
      chunks,
      fc.constantFrom(0.7, 0.4, 0.2),
      (steps, plan, sizes, share) => {
        const logs = dealLive(inMemory(itemsOf(steps)), PARTITIONS)
        // Duplicates that were decided without state are the stated exception.
        const sound = plan.map((turn) => ({ ...turn, isDegraded: false }))
        const batches = runLive(logs, sound)
        const tally = replayOf({ logs, batches, chunks: sizes, sample: new HashSample(share) })
        assert.deepEqual([...tally.mismatches], [])
        assert.equal(tally.waiting, 0)
        compared += tally.compared
      },
    ),
  )
  assert.ok(compared > 0)
})

test('a sample that outgrows its memory is halved, and what remains is still right', () => {
  const logs = dealLive(streamOf(300), PARTITIONS)
  const tally = replayOf({ logs, batches: runLive(logs, []), chunks: [50], valuesMax: 8 })
  assert.deepEqual([...tally.mismatches], [])
  assert.ok((tally.notCompared.get('outside_sample') ?? 0) > 0)
  assert.ok(tally.compared > 0)
})

test('a log that begins in the middle is compared only where it knows everything', () => {
  const logs = dealLive(streamOf(200), PARTITIONS)
  const tally = replayOf({ logs, batches: runLive(logs, []), chunks: [50], isWhole: false })
  assert.deepEqual([...tally.mismatches], [])
  assert.ok((tally.notCompared.get('warming_up') ?? 0) > 0)
})

test('a frontier that goes back below what is merged is counted, and entities are not compared until it has caught up', () => {
  const logs = dealLive(streamOf(1_500), PARTITIONS)
  const batches = runLive(logs, [], 600_000)
  const last = batches.length - 1
  const rebuilt = batches.map((batch, index) =>
    index === last - 8
      ? {
          ...batch,
          frontier: batch.frontier.map((frontier) => ({
            ...frontier,
            nextOffset: 1,
            labelNextOffset: 0,
          })),
        }
      : batch,
  )
  const tally = replayOf({ logs, batches: rebuilt, chunks: [50] })
  assert.ok((tally.notCompared.get('frontier_went_back') ?? 0) > 0)
  assert.deepEqual([...tally.mismatches], [])
})

test('who feeds a replay is told to wait when a partition has too much, and what comes twice is dropped', () => {
  const logs = dealLive(streamOf(50), 1)
  const [log] = logs
  assert.ok(log !== undefined)
  const replay = new LogReplay({
    ratesOf: () => DEFAULT_RATES,
    sample: new HashSample(1),
    begins: [beginOf(log)],
    readRecord,
    onReplayed: () => undefined,
  })
  const many: ReplayEntry[] = Array.from({ length: 16_384 }, (_, offset) => ({
    kind: 'watermark',
    offset,
    timeMs: 0,
  }))
  replay.addEntries(0, many.slice(0, 16_383))
  replay.addEntries(0, many.slice(0, 16_383))
  assert.equal(replay.isFull('transactions', 0), false)
  replay.addEntries(0, many)
  assert.equal(replay.isFull('transactions', 0), true)
})
