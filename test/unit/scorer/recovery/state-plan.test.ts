import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import type { PartitionProgress } from '../../../../services/core/stream/partition-progress.ts'
import {
  AHEAD_OFFSETS_MAX,
  planState,
  type StatePlanInput,
} from '../../../../services/scorer/recovery/state-plan.ts'

const LOW = { nextOffset: 100, labelNextOffset: 10 }
const COMMITTED = { nextOffset: 500, labelNextOffset: 50 }
const EPOCH = 1_700_000_000_000

function at(nextOffset: number, generation = 1, labelNextOffset = 50): PartitionProgress {
  const times = { newestEventMs: 7, watermarkMs: -1, labelWatermarkMs: -1 }
  return { generation, nextOffset, labelNextOffset, ...times }
}

function plan(
  progress: PartitionProgress | null,
  restore: PartitionProgress | null = null,
  more: Partial<StatePlanInput> = {},
) {
  return planState({
    standing: { progress, restore },
    committed: COMMITTED,
    low: LOW,
    corruptGeneration: null,
    epoch: EPOCH,
    ...more,
  })
}

/** Start of a rebuild when nothing of an earlier one is usable. */
const FROM_START = {
  generation: EPOCH,
  ...LOW,
  newestEventMs: -1,
  watermarkMs: -1,
  labelWatermarkMs: -1,
}

test('state that holds what is committed, or a batch more, is used as it is', () => {
  for (const progress of [at(500), at(532), at(500 + AHEAD_OFFSETS_MAX)]) {
    deepStrictEqual(plan(progress), { kind: 'current', from: progress })
  }
})

test('state that is behind in either topic is applied again from there', () => {
  for (const progress of [at(499), at(500, 1, 49), at(100)]) {
    deepStrictEqual(plan(progress), { kind: 'reapply', from: progress, loss: 'behind' })
  }
})

test('state that is missing is built again from the start of the log', () => {
  deepStrictEqual(plan(null), { kind: 'rebuild', from: FROM_START, loss: 'emptied' })
})

test('state that is too far ahead is of another log', () => {
  const { kind, from } = plan(at(501 + AHEAD_OFFSETS_MAX))
  deepStrictEqual([kind, from], ['rebuild', FROM_START])
})

test('state whose next messages are gone from the log would keep a hole', () => {
  const planned = plan(at(99))
  deepStrictEqual(planned, { kind: 'rebuild', from: FROM_START, loss: 'behind' })
  strictEqual(plan(at(500, 1, 9)).kind, 'rebuild')
  // Nothing decided is missing.
  strictEqual(plan(at(500, 1, 50), null, { low: { ...LOW, nextOffset: 600 } }).kind, 'current')
})

test('a damaged generation is not used, and the new one never had values before', () => {
  const damaged = at(500, EPOCH + 5)
  const { kind, from } = plan(damaged, null, { corruptGeneration: EPOCH + 5 })
  strictEqual(kind, 'rebuild')
  ok(from.generation > damaged.generation)
})

test('a rebuild that was begun is gone on with, whoever began it', () => {
  const restore = at(300, 2)
  const planned = plan(at(500), restore)
  deepStrictEqual(planned, { kind: 'rebuild', from: restore, loss: 'corrupt' })
  deepStrictEqual(plan(null, restore).from, restore)
})

test('a rebuild that is damaged itself, or has a hole, begins anew', () => {
  const damaged = plan(at(500), at(300, 2), { corruptGeneration: 2 })
  deepStrictEqual(damaged, { kind: 'rebuild', from: FROM_START, loss: 'corrupt' })
  deepStrictEqual(plan(at(500), at(50, 2)).from, FROM_START)
})

test('a rebuild of a generation that was left since does not count', () => {
  deepStrictEqual(plan(at(500, 3), at(300, 2)), { kind: 'current', from: at(500, 3) })
})

test('where nothing is decided yet, or the log holds nothing of it, there is nothing to build', () => {
  deepStrictEqual(plan(null, null, { committed: LOW }), { kind: 'current', from: FROM_START })
})
