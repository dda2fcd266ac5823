// What the queries of dashboards and rules find in a Prometheus.

import type { DashboardQuery } from '../../tools/dashboards/preview/dashboard-files.ts'
import { fillVariables } from '../../tools/dashboards/preview/panel-data.ts'
import type { LocalPrometheus } from '../../tools/servers/local-prometheus.ts'

const RATE_INTERVAL_S = 4
const RANGE_S = 60

/** Queries without a value in the last half minute. Annotations show changes, of which there are none. */
export async function emptyQueries(
  prometheus: LocalPrometheus,
  queries: readonly DashboardQuery[],
): Promise<readonly string[]> {
  const empty: string[] = []
  for (const { dashboard, panel, kind, expr } of queries) {
    const query = fillVariables(expr, RATE_INTERVAL_S, RANGE_S)
    const toS = Date.now() / 1_000
    const range = { fromS: toS - 30, toS, stepS: 1 }
    const series = await prometheus.queryRange(query, range)
    const hasData = series.some(({ points }) => points.some(([, value]) => !Number.isNaN(value)))
    if (!hasData && kind !== 'annotation') empty.push(`${dashboard}: ${panel}: ${expr}`)
  }
  return empty
}

/** Names of metrics in an expression: any name before a selector, a range or an operator. */
export function metricNamesIn(expression: string): readonly string[] {
  const withoutLabels = expression.replace(/\{[^}]*\}/g, '{}').replace(/"[^"]*"/g, '""')
  return withoutLabels.match(/\b(?:sluice|nodejs|process)_[a-z0-9_]+/g) ?? []
}
