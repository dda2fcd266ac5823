// Goal: the figures of a backtest follow from the rows. Method: the same figures from lists of rows
// in memory, by the simplest algorithm, over random rows.

import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { BacktestRow } from '../../../../services/core/backtest/backtest-row.ts'
import {
  POLICIES_MAX,
  Backtest,
  type BacktestCounts,
  type BacktestSettings,
} from '../../../../services/core/backtest/backtest.ts'
import { figuresOf } from '../../../../services/core/backtest/figures.ts'
import type { AlertCosts } from '../../../../services/core/scoring/alert-costs.ts'
import { type Outcome, OUTCOMES } from '../../../../services/core/wire/records.ts'
import { holds } from '../../../support/property.ts'
import {
  BEGIN_MS,
  DAY_MS,
  outcomeAt,
  policyAt,
  backtestRow,
  rows,
} from '../../../support/backtest-rows.ts'

const COSTS: AlertCosts = {
  alertMinor: 250,
  wrongBlockFixedMinor: 1_000,
  wrongBlockShare: 0.05,
  flagSavesShare: 0.8,
}
const BLOCKS_AT = [0.6, 0.9]
const MATURITY_DAYS = 30
const AS_OF_MS = BEGIN_MS + 50 * DAY_MS

const OPTIONS: BacktestSettings = {
  policies: BLOCKS_AT.map((at) => ({
    name: `at ${at}`,
    compiledFor: () => policyAt(at),
    guard: null,
  })),
  live: null,
  maturity: { asOfMs: AS_OF_MS, maturityMs: MATURITY_DAYS * DAY_MS },
  costs: COSTS,
  examplesMax: 3,
}

function backtest(all: readonly BacktestRow[], more: Partial<BacktestSettings> = {}) {
  const run = new Backtest({ ...OPTIONS, ...more })
  for (const row of all) run.add(row)
  return run.counts
}

/** The truth by the simplest algorithm. */
function slowTruth({ input, label }: BacktestRow): 'fraud' | 'genuine' | 'unknown' {
  const ageMs = AS_OF_MS - input.transaction.eventTimeMs
  if (ageMs < MATURITY_DAYS * DAY_MS) return 'unknown'
  const isKnown = label !== null && label.knownAtMs <= AS_OF_MS
  return isKnown && label.verdict === 'fraud' ? 'fraud' : 'genuine'
}

/** All figures of one policy from lists. */
function slowFigures(all: readonly BacktestRow[], outcomeOf: (row: BacktestRow) => Outcome) {
  const cardsOf = (of: readonly BacktestRow[]): number =>
    new Set(of.map(({ input }) => input.transaction.card)).size
  const money = (of: readonly BacktestRow[]): bigint =>
    of.reduce((sum, { input }) => sum + BigInt(input.referenceMinor), 0n)
  const rounded = (of: readonly BacktestRow[], cost: (minor: number) => number): bigint =>
    of.reduce((sum, { input }) => sum + BigInt(Math.round(cost(input.referenceMinor))), 0n)
  const those = (truth: string, outcomes: readonly Outcome[]): readonly BacktestRow[] =>
    all.filter((row) => slowTruth(row) === truth && outcomes.includes(outcomeOf(row)))
  const alerting: readonly Outcome[] = ['flag', 'block']
  const [hits, wrong] = [those('fraud', alerting), those('genuine', alerting)]
  const wrongBlocks = those('genuine', ['block'])
  const frauds = those('fraud', OUTCOMES)
  const saves = rounded(those('fraud', ['flag']), (minor) => 0.8 * minor)
  const alertCost = BigInt(250 * (hits.length + wrong.length))
  const wrongCost = rounded(wrongBlocks, (minor) => 1_000 + 0.05 * minor)
  return {
    outcomes: OUTCOMES.map((outcome) => all.filter((row) => outcomeOf(row) === outcome).length),
    precision: hits.length + wrong.length === 0 ? null : hits.length / (hits.length + wrong.length),
    recall: frauds.length === 0 ? null : hits.length / frauds.length,
    blockedCards: cardsOf(wrongBlocks),
    alertedCards: cardsOf(wrong),
    blockedMinor: money(those('fraud', ['block'])),
    flaggedMinor: money(those('fraud', ['flag'])),
    savedMinor: money(those('fraud', ['block'])) + saves - alertCost - wrongCost,
  }
}

function fastFigures({ facts }: BacktestCounts, tallied: BacktestCounts['live']) {
  const { outcomes, labelled } = figuresOf(tallied, facts, COSTS, null)
  return {
    outcomes: OUTCOMES.map((outcome) => outcomes[outcome].count),
    precision: labelled?.alerts.precision.share,
    recall: labelled?.alerts.recall.share,
    blockedCards: labelled?.blockedGoodCards.cards,
    alertedCards: labelled?.alertedGoodCards.cards,
    blockedMinor: labelled?.value.blockedFraudMinor,
    flaggedMinor: labelled?.value.flaggedFraudMinor,
    savedMinor: labelled?.value.savedMinor,
  }
}

test('all figures equal those computed from lists of rows', () => {
  holds(
    150,
    fc.property(rows(60), (all) => {
      const counts = backtest(all)
      fc.pre(counts.facts.labelled > 0)
      const live = (row: BacktestRow): Outcome => row.decided?.outcome ?? 'approve'
      deepStrictEqual(fastFigures(counts, counts.live), slowFigures(all, live))
      for (const [index, at] of BLOCKS_AT.entries()) {
        const tallied = counts.policies[index]?.tallied
        ok(tallied !== undefined)
        deepStrictEqual(
          fastFigures(counts, tallied),
          slowFigures(all, ({ input }) => outcomeAt(at, input)),
        )
      }
    }),
  )
})

test('the outcomes of each policy, and its changes against live, add up to the rows', () => {
  holds(
    100,
    fc.property(rows(60), (all) => {
      const { facts, policies } = backtest(all)
      strictEqual(facts.rows, all.length)
      strictEqual(
        facts.days.reduce((sum, { rows: ofDay }) => sum + ofDay, 0),
        all.length,
      )
      for (const { tallied, changes } of policies) {
        const cells = OUTCOMES.flatMap((outcome) => Object.values(tallied.outcomes[outcome]))
        strictEqual(
          cells.reduce((sum, { count }) => sum + count, 0),
          all.length,
        )
        strictEqual(
          cells.reduce((sum, { minor }) => sum + minor, 0n),
          facts.minor,
        )
        const moved = OUTCOMES.flatMap((from) => OUTCOMES.map((to) => changes.matrix[from][to]))
        strictEqual(
          moved.reduce((sum, count) => sum + count, 0),
          all.length,
        )
        const same = OUTCOMES.reduce((sum, outcome) => sum + changes.matrix[outcome][outcome], 0)
        strictEqual(same + changes.stricter.count + changes.milder.count, all.length)
      }
    }),
  )
})

test('the order of the rows changes nothing, examples included', () => {
  const shuffled = rows(60).chain((all) =>
    fc.tuple(fc.constant(all), fc.shuffledSubarray([...all], { minLength: all.length })),
  )
  holds(
    100,
    fc.property(shuffled, ([all, other]) => {
      deepStrictEqual(backtest(other), backtest(all))
    }),
  )
})

test('examples are the most expensive changes, with the outcomes of both sides', () => {
  const all = [
    backtestRow({ id: 'a', amountMinor: 500 }, 0.95, 'approve'),
    backtestRow({ id: 'b', amountMinor: 900 }, 0.95, 'flag'),
    backtestRow({ id: 'c', amountMinor: 900, eventTimeMs: BEGIN_MS - 1 }, 0.95, 'flag'),
    backtestRow({ id: 'd', amountMinor: 100 }, 0.95, 'flag'),
    backtestRow({ id: 'e', amountMinor: 9_000 }, 0.95, 'block'),
    backtestRow({ id: 'f', amountMinor: 7 }, 0.1, 'block'),
  ]
  const [, strict] = backtest(all).policies
  deepStrictEqual(
    strict?.changes.stricter.examples.map(({ transactionId }) => transactionId),
    ['c', 'b', 'a'],
  )
  const [milder] = strict.changes.milder.examples
  deepStrictEqual(milder?.live, { outcome: 'block', rules: [{ name: 'old', text: '' }] })
  deepStrictEqual(milder.policy, { outcome: 'approve', rules: [] })
  deepStrictEqual(strict.changes.stricter.examples[0]?.policy.rules, [
    { name: 'to_block', text: 'since' },
  ])
})

test('a label counts when it was known in time; young rows count as neither', () => {
  const old = { eventTimeMs: AS_OF_MS - 40 * DAY_MS }
  const young = { eventTimeMs: AS_OF_MS - 5 * DAY_MS }
  const fraudAt = (knownAtMs: number) => ({ verdict: 'fraud', knownAtMs }) as const
  const { facts } = backtest([
    backtestRow({ id: 'in time', ...old }, 0.1, 'approve', fraudAt(old.eventTimeMs + DAY_MS)),
    backtestRow({ id: 'late', ...old }, 0.1, 'approve', fraudAt(AS_OF_MS)),
    backtestRow({ id: 'too late', ...old }, 0.1, 'approve', fraudAt(AS_OF_MS + 1)),
    backtestRow({ id: 'early', ...young }, 0.1, 'approve', fraudAt(AS_OF_MS)),
    backtestRow({ id: 'young', ...young }, 0.1, 'approve'),
  ])
  const { mature, frauds, lateFrauds, earlyFrauds, labelled } = facts
  deepStrictEqual([mature, frauds.count, lateFrauds, earlyFrauds, labelled], [3, 2, 1, 1, 3])
})

test('without labels there are no figures about truth', () => {
  const counts = backtest([backtestRow({ id: 'a' }, 0.95, 'block')])
  strictEqual(figuresOf(counts.live, counts.facts, COSTS, null).labelled, null)
})

test('alerts are per day with rows, and per analyst', () => {
  const at = (day: number, id: string, score: number) =>
    backtestRow({ id, eventTimeMs: BEGIN_MS + day * DAY_MS }, score, 'approve')
  const all = [at(0, 'a', 0.95), at(0, 'b', 0.5), at(0, 'c', 0.1), at(1, 'd', 0.95), at(7, 'e', 0)]
  const { facts, policies } = backtest(all)
  const tallied = policies[1]?.tallied
  ok(tallied !== undefined)
  deepStrictEqual(figuresOf(tallied, facts, COSTS, 2).load, {
    alerts: 3,
    meanPerDay: 1,
    maxPerDay: 2,
    maxDay: BEGIN_MS / DAY_MS,
    meanPerAnalystDay: 0.5,
    maxPerAnalystDay: 1,
  })
})

test('a live policy replaces recorded decisions; without one a row must have a decision', () => {
  const row = { ...backtestRow({ id: 'a' }, 0.95, 'approve'), decided: null }
  const live = { compiledFor: () => policyAt(0.9), guard: null }
  strictEqual(backtest([row], { live }).policies[1]?.changes.matrix.block.block, 1)
  throws(() => backtest([row]), TypeError)
})

test('more policies than the limit are refused', () => {
  const policy = { name: 'x', compiledFor: () => policyAt(0.5), guard: null }
  const policies = Array.from({ length: POLICIES_MAX + 1 }, () => policy)
  throws(() => backtest([], { policies }), RangeError)
})
