// Rows of backtests for tests, and a policy that reads its answer from the row.

import fc from 'fast-check'
import type { BacktestRow } from '../../services/core/backtest/backtest-row.ts'
import { FEATURE_COUNT } from '../../services/core/features/catalogue/feature-list.ts'
import type { CompiledPolicy, PolicyInput, Ruling } from '../../services/core/policy/ruling.ts'
import type { Transaction } from '../../services/core/transaction.ts'
import { type Outcome, OUTCOMES } from '../../services/core/wire/records.ts'
import { minimalTransaction } from '../unit/core/wire/samples.ts'

export const DAY_MS = 86_400_000
export const BEGIN_MS = Date.UTC(2026, 0, 1)

/** Rows with few cards and days, so that they collide; ids are positions. */
export function rows(countMax: number): fc.Arbitrary<readonly BacktestRow[]> {
  const row = fc.record({
    card: fc.integer({ min: 0, max: 5 }),
    hour: fc.integer({ min: 0, max: 24 * 60 }),
    amountMinor: fc.integer({ min: 0, max: 1_000_000 }),
    score: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: NaN }),
    live: fc.constantFrom(...OUTCOMES),
    verdict: fc.constantFrom('fraud', 'genuine', null),
    delayDays: fc.integer({ min: 0, max: 45 }),
  })
  return fc.array(row, { maxLength: countMax }).map((all) =>
    all.map(({ card, hour, amountMinor, score, live, verdict, delayDays }, index) => {
      const eventTimeMs = BEGIN_MS + hour * 3_600_000
      return backtestRow(
        { id: `tx-${index}`, card: `card-${card}`, eventTimeMs, amountMinor },
        score,
        live,
        verdict === null ? null : { verdict, knownAtMs: eventTimeMs + delayDays * DAY_MS },
      )
    }),
  )
}

const NO_LISTS: BacktestRow['lists'] = new Map()

export function backtestRow(
  transaction: Partial<Transaction> & Pick<Transaction, 'id'>,
  score: number,
  live: Outcome,
  label: BacktestRow['label'] = null,
): BacktestRow {
  const whole: Transaction = { ...PLAIN, ...transaction }
  return {
    input: {
      transaction: whole,
      row: new Float64Array(FEATURE_COUNT),
      states: new Uint8Array(FEATURE_COUNT),
      score,
      referenceMinor: whole.amountMinor,
      modelThresholds: { flag: 0.5, block: 0.9 },
      annotations: [],
    },
    lists: NO_LISTS,
    decided: { outcome: live, rules: ['old'], annotations: [] },
    label,
  }
}

const PLAIN: Transaction = {
  ...minimalTransaction,
  id: 'tx',
  card: 'card',
  eventTimeMs: BEGIN_MS,
  amountMinor: 100,
}

/** Blocks from this score on and flags from half of it; its one rule is named after the outcome. */
export function policyAt(block: number): CompiledPolicy {
  return { leaseMs: DAY_MS, rule: (input) => rulingOf(outcomeAt(block, input)) }
}

export function outcomeAt(block: number, { score }: Pick<PolicyInput, 'score'>): Outcome {
  if (Number.isNaN(score)) return 'flag'
  return score >= block ? 'block' : score >= block / 2 ? 'flag' : 'approve'
}

function rulingOf(outcome: Outcome): Ruling {
  return {
    outcome,
    mode: 'enforce',
    segment: null,
    rules: outcome === 'approve' ? [] : [{ name: `to_${outcome}`, outcome, text: 'since' }],
    grade: 'suspected',
    leaseMs: DAY_MS,
    annotations: [],
    failed: [],
    threshold: null,
  }
}
