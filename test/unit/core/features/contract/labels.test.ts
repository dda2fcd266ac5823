// The contract of docs/feature-contract.md: labels. Each test is named by one of its sentences.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../../../support/feature-streams.ts'
import { Story, type Told } from '../../../../support/story.ts'

const START_MS = 100 * DAY_MS
const terminal = 't'

/** A payment at the terminal this long after the first events, by a new card, that leaves nothing behind. */
function look(story: Story, afterMs: number): Told {
  const told = story.pay({ atMs: START_MS + afterMs, terminal, card: `look-${afterMs}` })
  return told
}

function frauds(story: Story, afterMs: number): number {
  const told = look(story, afterMs)
  return Math.round(told.value('terminal_fraud_share_30d') * told.value('terminal_count_30d'))
}

test('A label counts from its known-at time.', () => {
  const story = new Story()
  const { transaction } = story.pay({ atMs: START_MS, terminal })
  const knownAtMs = START_MS + 8 * DAY_MS
  story.label({ of: transaction, verdict: 'fraud', knownAtMs })
  const seen = [8 * DAY_MS - 1, 8 * DAY_MS].map((afterMs) => frauds(story, afterMs))
  assert.deepEqual(seen, [0, 1])
})

test('The last word on a transaction counts: a genuine label undoes a fraud label that comes before it in the log.', () => {
  const story = new Story()
  const { transaction } = story.pay({ atMs: START_MS, terminal })
  for (const [verdict, days] of [
    ['fraud', 7],
    ['genuine', 8],
    ['fraud', 9],
  ] as const) {
    story.label({ of: transaction, verdict, knownAtMs: START_MS + days * DAY_MS })
  }
  const seen = [7, 8, 9].map((days) => frauds(story, days * DAY_MS))
  assert.deepEqual(seen, [1, 0, 1])
  const alone = new Story()
  const other = alone.pay({ atMs: START_MS, terminal }).transaction
  alone.label({ of: other, verdict: 'genuine', knownAtMs: START_MS + 8 * DAY_MS })
  alone.label({ of: other, verdict: 'fraud', knownAtMs: START_MS + 7 * DAY_MS })
  assert.equal(frauds(alone, 9 * DAY_MS), 1, 'what comes first in the log undoes nothing')
})

test('Of two words known at the same time the later one of the log counts.', () => {
  for (const [words, expected] of [
    [['fraud', 'genuine'], 0],
    [['fraud', 'genuine', 'fraud'], 1],
  ] as const) {
    const story = new Story()
    const { transaction } = story.pay({ atMs: START_MS, terminal })
    const knownAtMs = START_MS + DAY_MS
    for (const verdict of words) story.label({ of: transaction, verdict, knownAtMs })
    assert.equal(frauds(story, 7 * DAY_MS), expected)
  }
})

test('A fraud share is known frauds over attempts in the same window, at most 1, and 0 when there was no attempt.', () => {
  const story = new Story()
  const told = story.payAt(
    [0, 1, 2, 3].map((minutes) => START_MS + minutes * MINUTE_MS),
    {
      terminal,
    },
  )
  const [first, second] = told
  assert.ok(first !== undefined && second !== undefined)
  const knownAtMs = START_MS + DAY_MS
  story.label({ of: first.transaction, verdict: 'fraud', knownAtMs })
  assert.equal(look(story, 7 * DAY_MS + HOUR_MS).value('terminal_fraud_share_1d'), 0.25)
  assert.equal(look(story, 7 * DAY_MS).value('terminal_fraud_share_1d'), 1)
  // Labels of transactions that never arrived: more frauds than attempts.
  for (const id of ['a', 'b']) {
    story.label({ of: { ...second.transaction, id }, verdict: 'fraud', knownAtMs })
  }
  assert.equal(look(story, 7 * DAY_MS + MINUTE_MS).value('terminal_fraud_share_1d'), 1)
  assert.equal(look(story, 20 * DAY_MS).value('terminal_fraud_share_1d'), 0)
})

test('A run of frauds is the attempts of an entity that are known frauds, counted back from the newest in the window to the first that is not, or to a crowded hour.', () => {
  const told = (isFraud: readonly boolean[], afterMs = 7 * DAY_MS + HOUR_MS): Told => {
    const story = new Story()
    for (const [index, each] of isFraud.entries()) {
      const atMs = START_MS + index * MINUTE_MS
      const { transaction } = story.pay({ atMs, terminal, card: `card-${index}` })
      if (each) story.label({ of: transaction, verdict: 'fraud', knownAtMs: atMs + DAY_MS })
    }
    return look(story, afterMs)
  }
  const run = told([true, false, true, true])
  assert.equal(run.value('terminal_fraud_run'), 2)
  assert.equal(run.value('terminal_fraud_run_age'), (7 * DAY_MS + HOUR_MS - 2 * MINUTE_MS) / 1_000)
  const none = told([true, false])
  assert.deepEqual(none.values('terminal_fraud_run', 'terminal_fraud_run_age'), [0, NaN])
  assert.equal(told([true, true, false], 7 * DAY_MS + MINUTE_MS).value('terminal_fraud_run'), 2)
  const crowd = told(Array.from({ length: 17 }, () => true))
  assert.deepEqual(
    [crowd.value('terminal_fraud_run'), crowd.annotations],
    [0, ['windows_approximate']],
  )
})

test('A label in time is a label whatever offset it has: labels may come before their transaction.', () => {
  const story = new Story()
  const { transaction } = new Story().pay({ atMs: START_MS, terminal, id: 'to come' })
  story.label({ of: transaction, verdict: 'fraud', knownAtMs: START_MS + DAY_MS })
  story.pay({ atMs: START_MS, terminal, id: 'to come' })
  assert.equal(frauds(story, 7 * DAY_MS), 1)
})

test('A label that comes after a watermark of labels which excluded it counts from a millisecond after that watermark.', () => {
  const story = new Story()
  const { transaction } = story.pay({ atMs: START_MS, terminal })
  story.labelWatermark(START_MS + 8 * DAY_MS)
  story.label({ of: transaction, verdict: 'fraud', knownAtMs: START_MS + DAY_MS })
  const seen = [8 * DAY_MS, 8 * DAY_MS + 1].map((afterMs) => frauds(story, afterMs))
  assert.deepEqual(seen, [0, 1], 'other partitions have decided without it')
})

test('A label is about the transaction that has its id and its event time: of another use of that id it says nothing.', () => {
  const againMs = START_MS + 38 * DAY_MS
  const twice = (): readonly [Story, Told, Told] => {
    const story = new Story()
    const first = story.pay({ atMs: START_MS, terminal, id: 'used again' })
    // Otherwise it would be a duplicate.
    story.pay({ atMs: againMs - DAY_MS })
    const second = story.pay({ atMs: againMs, terminal, id: 'used again' })
    return [story, first, second]
  }
  const [story, first] = twice()
  story.label({ of: first.transaction, verdict: 'fraud', knownAtMs: againMs })
  const seen = look(story, 45 * DAY_MS)
  assert.deepEqual(seen.values('terminal_count_30d', 'terminal_fraud_run'), [1, 0])
  for (const verdict of ['fraud', 'genuine'] as const) {
    const [other, old, fresh] = twice()
    other.label({ of: old.transaction, verdict: 'fraud', knownAtMs: START_MS + DAY_MS })
    other.label({ of: fresh.transaction, verdict: 'fraud', knownAtMs: againMs + DAY_MS })
    other.label({ of: old.transaction, verdict, knownAtMs: againMs + 2 * DAY_MS })
    const told = look(other, 45 * DAY_MS)
    const values = told.values('terminal_fraud_share_30d', 'terminal_fraud_run')
    assert.deepEqual(values, [1, 1], `a last word ${verdict} on the first use`)
  }
})
