// Goal: a consistent run has no problems, and each inconsistency is one problem, in words.

import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { summarize, summaryLines, type RunFacts } from '../../../../tools/demo/summary.ts'
import type { TallyResult } from '../../../../tools/demo/topic-tally.ts'

const tally: TallyResult = {
  transactions: 100,
  watermarks: 8,
  decisions: 98,
  outcomes: { approve: 95, flag: 2, block: 1 },
  deadLetters: 2,
  labelDeadLetters: 0,
  deadLettersByReason: { malformed: 2 },
  alerts: { unknown: 0, flag: 2, block: 1, release: 0 },
  laterWords: 4,
  duplicates: 1,
  repeatedAnswers: 0,
  repeatedAlerts: 0,
  missing: 0,
  strays: 0,
  notRead: 0,
  firstBatchMs: 1_000,
  lastBatchMs: 3_000,
  lastBatch: {
    backend: 'wasm',
    modelVersion: 'm-1',
    modelDigest: 'd',
    mode: 'enforce',
    alignment: 'aligned',
  },
}

const run: RunFacts = {
  source: 'replay',
  startedAtMs: 0,
  finishedAtMs: 10_000,
  sent: { transactions: 100, labels: 4 },
  fault: null,
  isDecided: true,
  received: { alerts: 7, notRead: 0, p50Ms: 20, p99Ms: 60 },
}

test('a run that adds up has its figures and no problems', () => {
  const summary = summarize(tally, run)
  deepStrictEqual(summary.problems, [])
  strictEqual(summary.eventsPerSecond, 49)
  deepStrictEqual(summary.alerts, { total: 3, flag: 2, block: 1 })
  const text = summaryLines(summary).join('\n')
  match(text, /100 transactions in = 98 decisions \+ 2 dead letters/)
  match(text, /p50 20 ms, p99 60 ms/)
  ok(!text.includes('WRONG'))
})

test('each thing that does not add up is a problem of its own, shown to people', () => {
  const faults: readonly (readonly [Partial<TallyResult>, Partial<RunFacts>, RegExp])[] = [
    [{ missing: 1 }, {}, /1 transactions have no answer/],
    [{ repeatedAnswers: 2 }, {}, /2 answers are there twice/],
    [{ repeatedAlerts: 3 }, {}, /3 alert revisions/],
    [{ strays: 4 }, {}, /4 answers are about no transaction/],
    [{ notRead: 5 }, {}, /5 messages/],
    [{ decisions: 97 }, {}, /are not 97 decisions and 2 dead letters/],
    [{}, { sent: { transactions: 101, labels: 4 } }, /101 transactions were sent/],
    [{}, { isDecided: false }, /stopped before/],
    [{}, { received: { ...run.received, alerts: 6 } }, /received 6 alerts of 7/],
  ]
  for (const [tallyChange, runChange, expected] of faults) {
    const summary = summarize({ ...tally, ...tallyChange }, { ...run, ...runChange })
    strictEqual(summary.problems.length, 1, String(expected))
    match(summary.problems[0] ?? '', expected)
    match(summaryLines(summary).at(-1) ?? '', /^WRONG: /)
  }
})

test('figures that do not exist are absent and not zero', () => {
  const summary = summarize(
    { ...tally, firstBatchMs: null, lastBatchMs: null, lastBatch: null },
    { ...run, received: { ...run.received, p50Ms: null, p99Ms: null } },
  )
  strictEqual(summary.eventsPerSecond, null)
  strictEqual(summary.backend, null)
  match(summaryLines(summary).join('\n'), /p50 none, p99 none/)
})

test('a fault whose alert did not fire is a problem, and one that came and went is told', () => {
  const story = {
    fault: 'redis-away',
    alert: 'SluiceRedisAway',
    firedAfterMs: 4_100,
    clearedAfterMs: 2_000,
    messagesAdded: 0,
    problems: [],
  }
  const told = summaryLines(summarize(tally, { ...run, fault: story })).join('\n')
  match(told, /SluiceRedisAway fired 4.1 s after the fault and cleared 2.0 s after its mending/)
  const silent = { ...story, firedAfterMs: null, problems: ['SluiceRedisAway did not fire.'] }
  deepStrictEqual(summarize(tally, { ...run, fault: silent }).problems, silent.problems)
})
