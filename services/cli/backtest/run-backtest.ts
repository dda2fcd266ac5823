// Runs the policies over all rows once, and reports.

import { SluiceError } from '../../core/errors.ts'
import type { AlertCosts } from '../../core/scoring/alert-costs.ts'
import type { Changes, DayCount, RuleCount } from '../../core/backtest/tallies.ts'
import type { CompiledFor } from '../../core/backtest/guarded-policy.ts'
import { figuresOf, type PolicyFigures } from '../../core/backtest/figures.ts'
import { Backtest, type RowFacts } from '../../core/backtest/backtest.ts'
import { printProgress } from '../command.ts'
import type { ListOrigin, ListsOfRows, LoadedPolicy } from './load-policies.ts'
import type { RowSource } from './row-source.ts'

type GuardedParts = Pick<LoadedPolicy, 'document' | 'digest' | 'compiledFor'>

export interface BacktestOptions {
  readonly policies: readonly LoadedPolicy[]
  /** The baseline of the comparison: a policy, the built-in one, or the recorded decisions. */
  readonly live: {
    readonly name: string
    readonly policy: GuardedParts | null
    /** Replaces a policy document; it has no breaker. */
    readonly builtIn: CompiledFor | null
  }
  /** Time after which operators reset a tripped breaker; null leaves out breakers and budgets. */
  readonly breakerResetMs: number | null
  readonly maturityMs: number
  readonly costs: AlertCosts
  /** Origin of the costs, in words. */
  readonly costsFrom: string
  readonly analysts: number | null
  readonly examplesMax: number
  /** Origins of the lists; complete when the run is over. */
  readonly lists: Pick<ListsOfRows, 'origins' | 'warnings'>
}

/** One side of the comparison. */
export interface ReportedPolicy extends PolicyFigures {
  readonly name: string
  readonly days: readonly DayCount[]
  readonly rules: readonly RuleCount[]
  readonly annotations: Readonly<Record<string, number>>
}

/** The result of a backtest. */
export interface BacktestReport {
  readonly source: string
  readonly facts: RowFacts
  /** Rows left out, by reason. */
  readonly leftOut: Readonly<Record<string, number>>
  /** Null when labels are final. */
  readonly asOfMs: number | null
  readonly maturityMs: number
  readonly costs: AlertCosts
  readonly costsFrom: string
  readonly analysts: number | null
  /** Lists that policies use. */
  readonly lists: readonly ListOrigin[]
  readonly warnings: readonly string[]
  readonly live: ReportedPolicy
  readonly policies: readonly (ReportedPolicy & {
    readonly changes: Changes
    /** Number of times that its breakers have tripped. */
    readonly trips: number
  })[]
  /** Null when breakers and budgets were left out. */
  readonly breakerResetMs: number | null
}

/** Rows between two lines of progress. */
const PROGRESS_ROWS = 250_000

/**
 * Reads every row once.
 * @throws SluiceError SLUICE_INPUT_INVALID when there is none; what the source throws; or the signal's reason.
 */
export async function runBacktest(
  source: RowSource,
  options: BacktestOptions,
  signal: AbortSignal,
): Promise<BacktestReport> {
  const { live, maturityMs, costs, analysts, examplesMax, breakerResetMs } = options
  const guarded = ({ compiledFor, document, digest }: GuardedParts) => ({
    compiledFor,
    guard: breakerResetMs === null ? null : { document, digest, resetAfterMs: breakerResetMs },
  })
  const backtest = new Backtest({
    policies: options.policies.map((policy) => ({ name: policy.name, ...guarded(policy) })),
    live:
      live.policy !== null
        ? guarded(live.policy)
        : live.builtIn === null
          ? null
          : { compiledFor: live.builtIn, guard: null },
    maturity: { asOfMs: source.asOfMs, maturityMs },
    costs,
    examplesMax,
  })
  let told = 0
  for await (const rows of source.rows(signal)) {
    for (const row of rows) backtest.add(row)
    if (backtest.rows - told < PROGRESS_ROWS) continue
    told = backtest.rows
    printProgress(`${told} rows ruled`)
  }
  const { facts, live: liveCounts, policies: counts } = backtest.counts
  const leftOut = Object.fromEntries(
    Object.entries(source.leftOut()).filter(([, count]) => count > 0),
  )
  if (facts.rows === 0) throw nothing(source, leftOut)
  const reported = (name: string, tallied: typeof liveCounts): ReportedPolicy => {
    const { days, rules, annotations } = tallied
    return { name, ...figuresOf(tallied, facts, costs, analysts), days, rules, annotations }
  }
  return {
    source: source.name,
    facts,
    leftOut,
    asOfMs: Number.isFinite(source.asOfMs) ? source.asOfMs : null,
    maturityMs,
    costs,
    costsFrom: options.costsFrom,
    analysts,
    lists: options.lists.origins,
    warnings: [...options.lists.warnings, ...source.warnings, ...warningsOf(facts)],
    live: reported(live.name, liveCounts),
    policies: counts.map(({ name, tallied, changes, trips }) => ({
      ...reported(name, tallied),
      changes,
      trips,
    })),
    breakerResetMs,
  }
}

function warningsOf(facts: RowFacts): readonly string[] {
  if (facts.labelled === 0) {
    return [
      'No label is known of any of these transactions: precision, recall, value and customers hurt cannot be told.',
    ]
  }
  if (facts.mature === 0) {
    return [
      'No transaction is mature yet, so nothing is known for sure: choose an earlier range, or a shorter --label-maturity-days.',
    ]
  }
  return []
}

function nothing(source: RowSource, leftOut: Readonly<Record<string, number>>): SluiceError {
  const reasons = Object.entries(leftOut).map(([reason, count]) => `${count} ${reason}`)
  const text =
    reasons.length === 0
      ? `There is no row to rule. ${source.emptyProblem()}`
      : `No row can be ruled; left out: ${reasons.join(', ')} (docs/backtest.md says why).`
  return new SluiceError('SLUICE_INPUT_INVALID', text, { details: { leftOut } })
}
