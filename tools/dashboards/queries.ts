// Every query of the committed dashboards, for tests that ask a real Prometheus or compare names.

import { join } from 'node:path'
import { readDashboards } from './preview/dashboard-files.ts'
import type { DashboardModel } from './preview/dashboard-model.ts'

/**
 * One query as Grafana would send it, variables not yet replaced; `fillVariables` of
 * tools/dashboards/preview/dashboard-variables.ts does that.
 */
export interface DashboardQuery {
  /** Uid of the dashboard, such as `sluice-fraud`. */
  readonly dashboard: string
  /** Title of the panel, or the name of the annotation or variable. */
  readonly panel: string
  readonly kind: 'panel' | 'annotation' | 'variable'
  readonly expr: string
  /** Legend with `{{label}}` in it; empty for variables. */
  readonly legend: string
  /** Asked for one moment, not for a range. */
  readonly isInstant: boolean
}

/** All queries of all dashboards, dashboard by dashboard: its panels in order, then annotations, then variables. */
export function queriesOfDashboards(): readonly DashboardQuery[] {
  return readDashboards(join(import.meta.dirname, '../..')).flatMap(queriesOf)
}

function queriesOf({
  uid,
  panels,
  annotations,
  variableQueries,
}: DashboardModel): readonly DashboardQuery[] {
  const dashboard = uid
  return [
    ...panels.flatMap(({ title, targets }) =>
      targets.map(
        ({ expr, legend, isInstant }) =>
          ({ dashboard, panel: title, kind: 'panel', expr, legend, isInstant }) as const,
      ),
    ),
    ...annotations.map(
      ({ name, expr, text }) =>
        ({
          dashboard,
          panel: name,
          kind: 'annotation',
          expr,
          legend: text,
          isInstant: false,
        }) as const,
    ),
    ...variableQueries.map(
      ([name, query]) =>
        ({
          dashboard,
          panel: name,
          kind: 'variable',
          expr: selectorOf(query),
          legend: '',
          isInstant: false,
        }) as const,
    ),
  ]
}

/** The selector in `label_values(selector, label)`. */
function selectorOf(query: string): string {
  return /^label_values\((.*), \w+\)$/.exec(query)?.[1] ?? query
}
