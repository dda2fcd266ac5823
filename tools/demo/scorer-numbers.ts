// The figures of the status line, read from the scorer's /metrics as Prometheus would.

import { fetchMetricsPage, metricsUrl, sumOfSeries } from '../../services/cli/metrics-page.ts'

/** Totals since the scorer's start. */
export interface ScorerNumbers {
  readonly decisions: number
  readonly lagMessages: number
  readonly deadLetters: number
}

/** Asks the scorer; null when it does not answer in time, as while it starts or stops. */
export async function readScorerNumbers(port: number): Promise<ScorerNumbers | null> {
  try {
    return parseScorerNumbers(await fetchMetricsPage(metricsUrl(`127.0.0.1:${port}`), 'the scorer'))
  } catch {
    return null // the next second asks again; a scorer that has died is told elsewhere
  }
}

/** Reads the figures from the text of /metrics; what has not been counted yet is 0. */
export function parseScorerNumbers(text: string): ScorerNumbers {
  return {
    decisions: sumOfSeries(text, 'sluice_decisions_total') ?? 0,
    lagMessages: sumOfSeries(text, 'sluice_lag_messages') ?? 0,
    deadLetters: sumOfSeries(text, 'sluice_dead_letters_total') ?? 0,
  }
}
