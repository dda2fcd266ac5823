// Where the rows of a backtest come from, as the run sees it.

import type { BacktestRow } from '../../core/backtest/backtest-row.ts'

/** Rows in the order of event time, taken once. */
export interface RowSource {
  /** In words, for the report. */
  readonly name: string
  /** When labels count; Infinity where they are final. */
  readonly asOfMs: number
  /** Chunks; a row's arrays are its own until the next chunk is asked for. */
  rows(signal: AbortSignal): AsyncGenerator<readonly BacktestRow[], void, undefined>
  /** Rows that were left out so far, by reason. */
  leftOut(): Readonly<Record<string, number>>
  /** What a reader of the figures must know of the rows. */
  readonly warnings: readonly string[]
  /** Why there may be no rows, and what to do. */
  emptyProblem(): string
  close(): Promise<void>
}
