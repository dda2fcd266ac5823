// Every query of the committed dashboards, for tests that ask a real Prometheus or compare names.

import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { DASHBOARDS_FOLDER } from './dashboard-files.ts'

/** One query as Grafana would send it, variables not yet replaced. */
export interface BoardQuery {
  /** Uid of the board, such as `sluice-fraud`. */
  readonly board: string
  /** Title of the panel, or the name of the annotation. */
  readonly panel: string
  readonly kind: 'panel' | 'annotation' | 'variable'
  readonly expr: string
  /** Legend with `{{label}}` in it; empty for annotations and variables. */
  readonly legend: string
  /** Asked for one moment, not for a range. */
  readonly isInstant: boolean
}

interface DashboardJson {
  readonly uid: string
  readonly panels: readonly {
    readonly title: string
    readonly targets: readonly {
      readonly expr: string
      readonly legendFormat: string
      readonly instant: boolean
    }[]
  }[]
  readonly annotations: {
    readonly list: readonly { readonly name: string; readonly expr: string }[]
  }
  readonly templating: {
    readonly list: readonly {
      readonly name: string
      readonly type: string
      readonly query: string
    }[]
  }
}

/** All queries of all boards, in the order of files, panels and targets. Annotations and variables come last. */
export function queriesOfBoards(): readonly BoardQuery[] {
  return readdirSync(DASHBOARDS_FOLDER)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .flatMap((name) => {
      const text = readFileSync(join(DASHBOARDS_FOLDER, name), 'utf8')
      return queriesOf(JSON.parse(text) as DashboardJson)
    })
}

function queriesOf(board: DashboardJson): readonly BoardQuery[] {
  const panels = board.panels.flatMap(({ title, targets }) =>
    targets.map(({ expr, legendFormat, instant }): BoardQuery => ({
      board: board.uid,
      panel: title,
      kind: 'panel',
      expr,
      legend: legendFormat,
      isInstant: instant,
    })),
  )
  const rest = (kind: 'annotation' | 'variable', panel: string, expr: string): BoardQuery => ({
    board: board.uid,
    panel,
    kind,
    expr,
    legend: '',
    isInstant: false,
  })
  return [
    ...panels,
    ...board.annotations.list.map(({ name, expr }) => rest('annotation', name, expr)),
    ...board.templating.list
      .filter(({ type }) => type === 'query')
      .map(({ name, query }) => rest('variable', name, seriesOf(query))),
  ]
}

/** The selector in `label_values(selector, label)`. */
function seriesOf(query: string): string {
  return /^label_values\((.*), \w+\)$/.exec(query)?.[1] ?? query
}

/**
 * Puts values for Grafana's variables into a query: everything for chosen labels, `intervalS` for the rate
 * interval, `rangeS` for the time range shown. Both in whole seconds.
 */
export function withoutVariables(expr: string, intervalS: number, rangeS: number): string {
  return expr
    .replaceAll('$__rate_interval', `${intervalS}s`)
    .replaceAll('$__range', `${rangeS}s`)
    .replaceAll(/\$(job|instance)\b/g, '.+')
}
