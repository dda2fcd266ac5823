import { deepStrictEqual, rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import type { RowSource } from '../../../../services/cli/backtest/row-source.ts'
import {
  runBacktest,
  type BacktestOptions,
} from '../../../../services/cli/backtest/run-backtest.ts'
import { Interrupted } from '../../../../services/cli/command.ts'
import { DAY_MS, policyAt, backtestRow } from '../../../support/backtest-rows.ts'

const OPTIONS: BacktestOptions = {
  policies: [],
  live: { name: 'live', policy: null, builtIn: () => policyAt(0.9) },
  breakerResetMs: null,
  maturityMs: DAY_MS,
  costs: { alertMinor: 0, wrongBlockFixedMinor: 0, wrongBlockShare: 0, flagSavesShare: 1 },
  costsFrom: 'none given',
  analysts: null,
  examplesMax: 5,
  lists: { origins: [], warnings: [] },
}

/** An endless source, which must be abandoned early. */
function endless(onChunk: (chunk: number) => void): RowSource {
  return {
    name: 'endless',
    asOfMs: Infinity,
    warnings: [],
    async *rows(signal) {
      for (let chunk = 0; ; chunk += 1) {
        signal.throwIfAborted()
        onChunk(chunk)
        yield await Promise.resolve([backtestRow({ id: `tx-${chunk}` }, 0.95, 'block')])
      }
    },
    leftOut: () => ({}),
    emptyProblem: () => '',
    close: () => Promise.resolve(),
  }
}

test('a signal ends the run at the next chunk, with its own reason', async () => {
  const controller = new AbortController()
  const seen: number[] = []
  const source = endless((chunk) => {
    seen.push(chunk)
    if (chunk === 3) controller.abort(new Interrupted('SIGINT'))
  })
  await rejects(
    runBacktest(source, OPTIONS, controller.signal),
    (error) => error instanceof Interrupted && error.exitCode === 130,
  )
  strictEqual(seen.length, 4)
  deepStrictEqual(seen, [0, 1, 2, 3])
})
