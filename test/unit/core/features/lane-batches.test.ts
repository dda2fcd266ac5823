// Goal: a row depends on the log alone. Method: the same log folded one by one into state that is never stored,
// and in random batches through encoded, compacted values, with crashes after the state was written and before
// the commit; every bit of every row and every mark must be equal.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DEFAULT_RATES } from '../../../../services/core/currency.ts'
import { LANE_START, LaneFold } from '../../../../services/core/features/lane-fold.ts'
import { foldBatch, type LaneEntry } from '../../../../services/scorer/micro-batch.ts'
import {
  DAY_MS,
  HOUR_MS,
  itemsOf,
  stepsOf,
  type StreamItem,
  type StreamShape,
} from '../../../support/feature-streams.ts'
import { holds } from '../../../support/property.ts'
import {
  PlainState,
  StoredLane,
  StoredLanes,
  logsOf,
  type FoldedRow,
  type LaneLog,
} from '../../../support/stored-lanes.ts'

/** How a batch goes. */
interface Cut {
  readonly entries: number
  /** Labels taken beyond those that must be known. */
  readonly labelsAhead: number
  readonly end: 'commit' | 'crash' | 'none'
}

const cuts = fc.array(
  fc.record<Cut>({
    entries: fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 4, max: 60 })),
    labelsAhead: fc.constantFrom(0, 0, 1, 100),
    end: fc.constantFrom('commit', 'commit', 'crash', 'none'),
  }),
  { minLength: 1, maxLength: 40 },
)

const shapes: Readonly<Record<string, StreamShape>> = {
  'with every edge and lateness': { stepsMax: 60, cards: 2, terminals: 2 },
  'with crowded hours and crowded cards': {
    stepsMin: 500,
    stepsMax: 700,
    cards: 1,
    terminals: 1,
    labelShare: 0.05,
    gapsMs: fc.oneof(
      { weight: 60, arbitrary: fc.integer({ min: 0, max: 60_000 }) },
      fc.constantFrom(0, HOUR_MS, DAY_MS, 7 * DAY_MS),
    ),
    latesMs: fc.oneof(
      { weight: 30, arbitrary: fc.constant(0) },
      fc.constantFrom(1, HOUR_MS, DAY_MS, 8 * DAY_MS, 36 * DAY_MS, 44 * DAY_MS),
    ),
  },
}

function logOf(items: readonly StreamItem[]): LaneLog {
  const [log] = logsOf(items, 1, () => 0)
  assert.ok(log !== undefined)
  return log
}

/** Per entry: how many labels must come before it, so that it sees all that are known by its time. */
function labelsNeeded({ entries, labels }: LaneLog): readonly number[] {
  let newestMs = -1
  return entries.map((entry) => {
    const timeMs = entry.kind === 'transaction' ? entry.transaction.eventTimeMs : -1
    newestMs = Math.max(newestMs, timeMs)
    const last = labels.findLastIndex(
      (label) => label.kind === 'label' && label.label.knownAtMs <= newestMs,
    )
    return last + 1
  })
}

function rowsOneByOne(log: LaneLog): readonly FoldedRow[] {
  const fold = new LaneFold(DEFAULT_RATES, LANE_START)
  const state = new PlainState()
  const needed = labelsNeeded(log)
  let labelCount = 0
  return log.entries.flatMap((entry, index) => {
    const labels = log.labels.slice(labelCount, needed[index])
    labelCount = Math.max(labelCount, needed[index] ?? 0)
    const { rows, features } = foldBatch(labels, [entry], Infinity, fold, state, 'aligned')
    return rows.map(({ offset, folded }) => ({ offset, row: Array.from(features), folded }))
  })
}

function rowsInBatches(log: LaneLog, plan: readonly Cut[]): ReadonlyMap<number, FoldedRow> {
  const lane = new StoredLane(new StoredLanes(1), 0, log)
  const needed = labelsNeeded(log)
  const rows = new Map<number, FoldedRow>()
  for (let turn = 0; !lane.isAtEnd; turn += 1) {
    const cut = plan[turn % plan.length]
    assert.ok(cut !== undefined)
    // Past the plan's first round everything is taken, so that the loop ends.
    const size = turn < 4 * plan.length ? cut.entries : 50
    const entryCount = Math.min(lane.at.entryCount + size, log.entries.length)
    const due = needed[entryCount - 1] ?? 0
    const labelsAhead = entryCount === log.entries.length ? log.labels.length : cut.labelsAhead
    const labelCount = Math.min(Math.max(lane.at.labelCount, due) + labelsAhead, log.labels.length)
    for (const row of lane.step({ entryCount, labelCount })) {
      const before = rows.get(row.offset)
      if (before !== undefined) assert.deepEqual(row, before, 'decided differently after a crash')
      rows.set(row.offset, row)
    }
    if (cut.end === 'crash' && turn < 4 * plan.length) lane.crash()
    else if (cut.end !== 'none') lane.commit()
  }
  return rows
}

for (const [name, shape] of Object.entries(shapes)) {
  test(`batches, storage and crashes change no bit of any row: streams ${name}`, () => {
    holds(
      (shape.stepsMin ?? 0) > 100 ? 8 : 150,
      fc.property(stepsOf(shape), cuts, (steps, plan) => {
        const log = logOf(itemsOf(steps))
        const rows = rowsInBatches(log, plan)
        for (const expected of rowsOneByOne(log)) {
          assert.deepEqual(rows.get(expected.offset), expected)
        }
      }),
    )
  })
}

test('control: were offsets not looked at, what was written before a crash would count twice', () => {
  const [steps] = fc.sample(stepsOf({ stepsMin: 20, stepsMax: 20, cards: 1, terminals: 1 }), {
    numRuns: 1,
    seed: 42,
  })
  assert.ok(steps !== undefined)
  const { entries } = logOf(itemsOf(steps))
  const state = new PlainState()
  const rowsOf = (taken: readonly LaneEntry[]): readonly number[] => {
    const fold = new LaneFold(DEFAULT_RATES, LANE_START)
    return Array.from(foldBatch([], taken, Infinity, fold, state, 'aligned').features)
  }
  const first = rowsOf(entries)
  assert.deepEqual(rowsOf(entries), first, 'the same offsets see the same')
  // Later offsets see everything that is stored, as a reader without the filter would.
  const moved = entries.map((entry) => ({ ...entry, offset: entry.offset + 1_000 }))
  assert.notDeepEqual(rowsOf(moved), first)
})
