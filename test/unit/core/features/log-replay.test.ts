// Goal: what a replay recomputes from the log and the recorded cuts is what live lanes used, bit for bit, and nothing
// else is. Method: live lanes that take turns in any order, with old cuts, crashes and lost state, leave blocks; a
// replay gets messages and blocks in any interleaving. Controls: a lost event, a wrong clock, an altered row and a
// lost label each show.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DEFAULT_RATES } from '../../../../services/core/currency.ts'
import { FEATURE_COUNT, FEATURE_NAMES } from '../../../../services/core/features/feature-list.ts'
import { LogReplay } from '../../../../services/core/features/log-replay.ts'
import type {
  RecordedBlock,
  ReplayEntry,
} from '../../../../services/core/features/replay-records.ts'
import { HashSample, type ReplaySample } from '../../../../services/core/features/replay-sample.ts'
import { reasonOf, VERDICT } from '../../../../services/core/features/row-comparison.ts'
import {
  crowdedGapsMs,
  HOUR_MS,
  itemsOf,
  STREAM_START_MS,
  stepsOf,
  type StreamItem,
  type StreamShape,
} from '../../../support/feature-streams.ts'
import { holdsForLong } from '../../../support/property.ts'
import {
  dealLive,
  entriesOf,
  inMemory,
  labelsOf,
  readRecord,
  runLive,
  stepAt,
  type LiveTurn,
  type RecordedLog,
} from '../../../support/recorded-lanes.ts'

const LANES = 4

/** What a replay said. */
interface Tally {
  compared: number
  readonly mismatches: Map<string, number>
  readonly notCompared: Map<string, number>
  rows: number
  revisions: number
  waiting: number
}

const turns: fc.Arbitrary<readonly LiveTurn[]> = fc.array(
  fc.record<LiveTurn>({
    lane: fc.integer({ min: 0, max: LANES - 1 }),
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

function begins(isWhole = true) {
  const begin = { nextOffset: 0, labelNextOffset: 0, isWhole, endOffset: Infinity }
  return Array.from({ length: LANES }, () => begin)
}

interface Fed {
  readonly logs: readonly RecordedLog[]
  readonly blocks: readonly RecordedBlock[]
  /** How many messages of each kind come at a time, used in turn. */
  readonly chunks: readonly number[]
  readonly sample?: ReplaySample
  readonly valuesMax?: number
  readonly isWhole?: boolean
}

function replayOf({ logs, blocks, chunks, sample = new HashSample(1), ...rest }: Fed): Tally {
  const tally: Tally = {
    compared: 0,
    mismatches: new Map(),
    notCompared: new Map(),
    rows: 0,
    revisions: 0,
    waiting: 0,
  }
  const replay = new LogReplay({
    rates: DEFAULT_RATES,
    sample,
    begins: begins(rest.isWhole).map((begin, lane) => ({
      ...begin,
      endOffset: (logs[lane]?.entries.at(-1)?.offset ?? -1) + 1,
    })),
    readRecord,
    ...(rest.valuesMax !== undefined && { valuesMax: rest.valuesMax }),
    onReplayed({ verdicts, recorded }) {
      tally.rows += 1
      if (recorded.decision.revision > 0) tally.revisions += 1
      for (let index = 0; index < FEATURE_COUNT; index += 1) {
        const verdict = verdicts[index] ?? -1
        const name = FEATURE_NAMES[index] ?? ''
        const reason = reasonOf(verdict)
        if (reason !== null) count(tally.notCompared, reason)
        else tally.compared += 1
        if (verdict === VERDICT.differs) count(tally.mismatches, name)
      }
    },
  })
  const queues: { readonly size: number; add(from: number, to: number): void; at: number }[] = []
  for (const [lane, log] of logs.entries()) {
    const entries = entriesOf(log)
    const labels = labelsOf(log)
    const own = blocks.filter(({ partition }) => partition === lane)
    queues.push(
      {
        size: entries.length,
        at: 0,
        add: (from, to) => {
          replay.addEntries(lane, entries.slice(from, to))
        },
      },
      {
        size: labels.length,
        at: 0,
        add: (from, to) => {
          replay.addLabels(lane, labels.slice(from, to))
        },
      },
      {
        size: own.length,
        at: 0,
        add: (from, to) => {
          for (const block of own.slice(from, to)) replay.addBlock(block)
        },
      },
    )
  }
  for (let turn = 0; queues.some(({ at, size }) => at < size); turn += 1) {
    const queue = queues[turn % queues.length]
    const chunk = chunks[turn % chunks.length] ?? 1
    if (queue === undefined) continue
    queue.add(queue.at, queue.at + chunk)
    queue.at += chunk
    replay.advance()
  }
  replay.finish()
  tally.waiting = replay.waitingBlocks
  return tally
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

const chunks = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 11 })

test('rows and revisions are recomputed bit for bit, whatever the turns, cuts, crashes and interleaving', () => {
  let revisions = 0
  holdsForLong(
    120,
    fc.property(stepsOf(shape), turns, chunks, (steps, plan, sizes) => {
      const logs = dealLive(inMemory(itemsOf(steps)), LANES)
      const blocks = runLive(logs, plan)
      const tally = replayOf({ logs, blocks, chunks: sizes })
      assert.deepEqual([...tally.mismatches], [])
      assert.equal(tally.waiting, 0)
      assert.equal(
        tally.rows,
        blocks.reduce((sum, { decisions }) => sum + decisions.length, 0),
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

test('crowded hours are merged only below what a cut may still ask for', () => {
  holdsForLong(
    10,
    fc.property(
      stepsOf({ ...shape, stepsMin: 600, stepsMax: 800, terminals: 1, gapsMs: crowdedGapsMs }),
      turns,
      chunks,
      (steps, plan, sizes) => {
        const logs = dealLive(inMemory(itemsOf(steps)), LANES)
        // Blocks are minutes apart, so that merging keeps up with them.
        const blocks = runLive(logs, plan, 40_000)
        const tally = replayOf({ logs, blocks, chunks: sizes })
        assert.deepEqual([...tally.mismatches], [])
        assert.ok(!tally.notCompared.has('cut_went_back'))
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
        const logs = dealLive(inMemory(itemsOf(steps)), LANES)
        // Duplicates that were decided without state are the stated exception.
        const sound = plan.map((turn) => ({ ...turn, isDegraded: false }))
        const blocks = runLive(logs, sound)
        const tally = replayOf({ logs, blocks, chunks: sizes, sample: new HashSample(share) })
        assert.deepEqual([...tally.mismatches], [])
        assert.equal(tally.waiting, 0)
        compared += tally.compared
      },
    ),
  )
  assert.ok(compared > 0)
})

test('a sample that outgrows its memory is halved, and what remains is still right', () => {
  const logs = dealLive(streamOf(300), LANES)
  const tally = replayOf({ logs, blocks: runLive(logs, []), chunks: [50], valuesMax: 8 })
  assert.deepEqual([...tally.mismatches], [])
  assert.ok((tally.notCompared.get('outside_sample') ?? 0) > 0)
  assert.ok(tally.compared > 0)
})

test('a log that begins in the middle is compared only where it knows everything', () => {
  const logs = dealLive(streamOf(200), LANES)
  const tally = replayOf({ logs, blocks: runLive(logs, []), chunks: [50], isWhole: false })
  assert.deepEqual([...tally.mismatches], [])
  assert.ok((tally.notCompared.get('warming_up') ?? 0) > 0)
})

/** Cards 1 to 6, an hour apart; every tenth is a fraud, known a week later. */
function streamOf(length: number): readonly StreamItem[] {
  const steps = Array.from({ length }, (_, index) =>
    stepAt({
      gapMs: HOUR_MS,
      card: index % 6,
      terminal: 1 + (index % 2),
      amountMinor: 1_000 + index,
      labelDelaysMs: index % 10 === 0 ? [7 * 24 * HOUR_MS] : [],
    }),
  )
  return itemsOf(steps)
}

/** Replays a sound live run, with its log or blocks changed. */
function withFault(
  change: (logs: readonly RecordedLog[], blocks: readonly RecordedBlock[]) => Partial<Fed>,
): Tally {
  const logs = dealLive(streamOf(600), LANES)
  const blocks = runLive(logs, [])
  assert.deepEqual([...replayOf({ logs, blocks, chunks: [50] }).mismatches], [])
  return replayOf({ logs, blocks, chunks: [50], ...change(logs, blocks) })
}

/** Changes entries of one lane. */
function changed(
  logs: readonly RecordedLog[],
  change: (log: RecordedLog) => Partial<RecordedLog>,
): readonly RecordedLog[] {
  const busiest = logs.reduce((most, log) =>
    log.entries.length > most.entries.length ? log : most,
  )
  return logs.map((log) => (log === busiest ? { ...log, ...change(log) } : log))
}

test('control: an event that the scorer lost shows in counts of its card and its terminal', () => {
  // Live state lacked it; the log has it. The same as: the log lacks what the state had.
  const tally = withFault((logs) => ({
    logs: changed(logs, ({ entries }) => ({ entries: entries.filter((_, index) => index !== 20) })),
  }))
  assert.ok((tally.mismatches.get('card_count_30d') ?? 0) > 0)
  assert.ok((tally.mismatches.get('terminal_count_30d') ?? 0) > 0)
})

test('control: a lane whose clock is wrong shows', () => {
  const tally = withFault((logs) => ({
    logs: changed(logs, ({ entries }) => ({
      entries: entries.map((entry) =>
        entry.kind === 'transaction'
          ? {
              ...entry,
              transaction: {
                ...entry.transaction,
                eventTimeMs: entry.transaction.eventTimeMs + 5 * HOUR_MS,
              },
            }
          : entry,
      ),
    })),
  }))
  assert.ok((tally.mismatches.get('hour_of_day') ?? 0) > 0)
  assert.ok((tally.mismatches.get('terminal_count_1d') ?? 0) > 0)
})

test('control: one altered value of one row is one mismatch', () => {
  const tally = withFault((_, blocks) => ({
    blocks: blocks.map((block, index) =>
      index !== 30
        ? block
        : {
            ...block,
            rowAt: (row) => {
              const recorded = block.rowAt(row)
              if (row === 0) recorded.values[5] = (recorded.values[5] ?? 0) + 1e-9
              return recorded
            },
          },
    ),
  }))
  assert.deepEqual([...tally.mismatches], [[FEATURE_NAMES[5], 1]])
})

test('control: a label that is left out shows in the features that count frauds', () => {
  const tally = withFault((logs) => ({
    logs: logs.map((log) => ({
      ...log,
      labels: log.labels.map((label) => ({
        kind: 'watermark' as const,
        offset: label.offset,
        timeMs: STREAM_START_MS,
      })),
    })),
  }))
  const names = [...tally.mismatches.keys()]
  assert.ok(names.includes('terminal_fraud_share_30d'))
  assert.ok(
    names.every((name) => /fraud/.test(name)),
    names.join(),
  )
})

test('a cut that goes back below what is merged is counted, and entities are not compared until it has caught up', () => {
  const logs = dealLive(streamOf(1_500), LANES)
  const blocks = runLive(logs, [], 600_000)
  const last = blocks.length - 1
  const rebuilt = blocks.map((block, index) =>
    index === last - 8
      ? { ...block, cut: block.cut.map((cut) => ({ ...cut, nextOffset: 1, labelNextOffset: 0 })) }
      : block,
  )
  const tally = replayOf({ logs, blocks: rebuilt, chunks: [50] })
  assert.ok((tally.notCompared.get('cut_went_back') ?? 0) > 0)
  assert.deepEqual([...tally.mismatches], [])
})

test('who feeds a replay is told to wait when a lane has too much, and what comes twice is dropped', () => {
  const logs = dealLive(streamOf(50), 1)
  const [log] = logs
  assert.ok(log !== undefined)
  const replay = new LogReplay({
    rates: DEFAULT_RATES,
    sample: new HashSample(1),
    begins: begins().slice(0, 1),
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
