// The contract of docs/feature-contract.md: states. Each test is named by one of its sentences.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_RATES } from '../../../../../services/core/rates/default-rates.ts'
import {
  FEATURES,
  FEATURE_COUNT,
} from '../../../../../services/core/features/catalogue/feature-list.ts'
import { FEATURE_STATES } from '../../../../../services/core/features/engine/feature-states.ts'
import {
  PARTITION_START,
  PartitionFold,
} from '../../../../../services/core/features/engine/partition-fold.ts'
import { entityAgeMsOf } from '../../../../../services/core/stream/alignment.ts'
import { builtInPolicy } from '../../../../../services/core/policy/score-ruling.ts'
import { DAY_MS, HOUR_MS } from '../../../../support/feature-streams.ts'
import { PlainState } from '../../../../support/fold-entries.ts'
import { Story } from '../../../../support/story.ts'

const START_MS = 100 * DAY_MS

test('Every value has a state: present, absent, expired or degraded.', () => {
  assert.deepEqual(FEATURE_STATES, ['present', 'absent', 'expired', 'degraded'])
  const story = new Story()
  story.pay({ atMs: START_MS })
  const told = [START_MS + 1, START_MS - 20 * DAY_MS].map((atMs) =>
    story.pay({ atMs, terminal: 't' }),
  )
  const met = new Set(told.flatMap((each) => FEATURES.map(({ name }) => each.state(name))))
  assert.deepEqual(met, new Set(['present', 'absent', 'expired']))
  for (const each of told) {
    for (const { name } of FEATURES) {
      assert.equal(each.state(name) === 'present', !Number.isNaN(each.value(name)), name)
    }
  }
  const row = new Float64Array(FEATURE_COUNT)
  const states = new Uint8Array(FEATURE_COUNT)
  const [first] = told
  assert.ok(first !== undefined)
  const fold = new PartitionFold({ rates: DEFAULT_RATES }, PARTITION_START)
  const state = Object.assign(new PlainState(), { otherEntities: () => null })
  const entry = { transaction: first.transaction, offset: 0 }
  const { annotations } = fold.applyTransaction(entry, 0, state, { row, states, position: 0 })
  assert.deepEqual(annotations, ['degraded'])
  for (const [index, { name, entity }] of FEATURES.entries()) {
    const isOfTerminal = entity === 'terminal'
    assert.equal(FEATURE_STATES[states[index] ?? 0] === 'degraded', isOfTerminal, name)
    if (isOfTerminal) assert.ok(Number.isNaN(row[index]), name)
  }
})

test('Without state every feature of card and entities is degraded, and such a decision never blocks.', () => {
  const row = new Float64Array(FEATURE_COUNT)
  const states = new Uint8Array(FEATURE_COUNT)
  const { transaction } = new Story().pay({ atMs: START_MS, terminal: 't' })
  const fold = new PartitionFold({ rates: DEFAULT_RATES }, PARTITION_START)
  const folded = fold.applyDegraded(transaction, 0, { row, states, position: 0 })
  assert.deepEqual(folded.annotations, ['degraded'])
  for (const [index, { name, entity, absence }] of FEATURES.entries()) {
    const state = FEATURE_STATES[states[index] ?? 0]
    if (entity !== 'transaction') assert.equal(state, 'degraded', name)
    else assert.equal(state, absence === 'never' ? 'present' : 'absent', name)
  }
  const policy = builtInPolicy({ mode: 'enforce', leaseMs: 1, unscoredOutcome: 'block' })
  const outcomeFor = (score: number, ownStates: Uint8Array): string =>
    policy.rule({
      ...{ transaction, row, states: ownStates, score, referenceMinor: 1, annotations: [] },
      modelThresholds: { flag: 0.5, block: 0.9 },
    }).outcome
  assert.equal(outcomeFor(1, states), 'flag')
  assert.equal(outcomeFor(NaN, states), 'flag')
  assert.equal(outcomeFor(1, new Uint8Array(FEATURE_COUNT)), 'block')
})

test('Entity values carry their age: how far the slowest partition is behind the end of the windows.', () => {
  const partition = (newestEventMs: number) => ({
    ...PARTITION_START,
    newestEventMs,
    generation: 1,
    nextOffset: 0,
    labelNextOffset: 0,
  })
  const ageOf = (...others: readonly number[]): number | null =>
    entityAgeMsOf(START_MS, 0, [null, ...others.map(partition)])
  assert.equal(ageOf(START_MS, START_MS - 2 * HOUR_MS), 0)
  assert.equal(ageOf(START_MS, START_MS - 2 * HOUR_MS - 5), 5)
  assert.equal(ageOf(START_MS, -1), null, 'a partition that has not begun')
})
