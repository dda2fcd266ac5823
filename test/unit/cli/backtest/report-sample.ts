// A small report for tests of its formats.

import type { BacktestReport } from '../../../../services/cli/backtest/run-backtest.ts'
import { figuresOf } from '../../../../services/core/backtest/figures.ts'
import { Backtest } from '../../../../services/core/backtest/backtest.ts'
import { BEGIN_MS, DAY_MS, policyAt, backtestRow } from '../../../support/backtest-rows.ts'

export const HOSTILE = `</title></style><script>alert("1")</script><img src=x onerror='1'>`

const COSTS = {
  alertMinor: 250,
  wrongBlockFixedMinor: 1_000,
  wrongBlockShare: 0.05,
  flagSavesShare: 0.8,
}

/** Three rows on two days; `text` is the name of everything that has one. */
export function sampleReport(
  text: string,
  { isLabelled = true, reason = text }: { isLabelled?: boolean; reason?: string } = {},
): BacktestReport {
  const plain = policyAt(0.9)
  const compiled = {
    ...plain,
    rule: (input: Parameters<typeof plain.rule>[0]) => ({
      ...plain.rule(input),
      rules: [{ name: text, outcome: 'block', text: reason } as const],
    }),
  }
  const backtest = new Backtest({
    policies: [{ name: text, compiledFor: () => compiled, guard: null }],
    live: null,
    maturity: { asOfMs: Infinity, maturityMs: DAY_MS },
    costs: COSTS,
    examplesMax: 5,
  })
  const label = isLabelled ? ({ verdict: 'fraud', knownAtMs: BEGIN_MS + DAY_MS } as const) : null
  const row = (id: string, day: number) =>
    backtestRow(
      { id, merchant: text, eventTimeMs: BEGIN_MS + day * DAY_MS },
      0.95,
      'approve',
      label,
    )
  for (const [at, id] of [`${text}1`, `${text}2`, `${text}3`].entries()) backtest.add(row(id, at))
  const { facts, live, policies } = backtest.counts
  const named = (tallied: typeof live) => ({
    ...figuresOf(tallied, facts, COSTS, 2),
    days: tallied.days,
    rules: tallied.rules,
    annotations: { [text]: 1 },
  })
  return {
    source: text,
    facts,
    leftOut: { [text]: 3 },
    asOfMs: null,
    maturityMs: DAY_MS,
    costs: COSTS,
    costsFrom: text,
    analysts: 2,
    lists: [{ name: text, from: text }],
    warnings: isLabelled ? [text] : ['No label is known'],
    breakerResetMs: null,
    live: { name: text, ...named(live) },
    policies: policies.map(({ tallied, changes, trips }) => ({
      name: text,
      ...named(tallied),
      changes,
      trips,
    })),
  }
}
