// The committed dashboards of this installation.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { SluiceError } from '../../../services/core/errors.ts'
import { type DashboardModel, readDashboard } from './dashboard-model.ts'

/** Folder of the dashboards, from the root of the checkout. */
export const DASHBOARDS_PATH = 'infra/grafana/dashboards'
/** The order in which people read the dashboards; others follow by name. */
const ORDER = ['sluice-fraud', 'sluice-stream', 'sluice-state-and-models', 'sluice-runtime']

/**
 * Reads all dashboards. @throws SluiceError SLUICE_INPUT_INVALID when the folder is missing or a file in it is not a
 * dashboard.
 */
export function readDashboards(root: string): readonly DashboardModel[] {
  const folder = join(root, DASHBOARDS_PATH)
  const dashboards = listJson(folder).map((name) => {
    const dashboard = readDashboard(parse(readFileSync(join(folder, name), 'utf8')))
    if (dashboard !== null) return dashboard
    throw new SluiceError(
      'SLUICE_INPUT_INVALID',
      `${DASHBOARDS_PATH}/${name} is not a dashboard that the preview can read; generate it again with "npm run dashboards".`,
    )
  })
  const place = ({ uid }: DashboardModel): number =>
    ORDER.includes(uid) ? ORDER.indexOf(uid) : ORDER.length
  return [...dashboards].sort((a, b) => place(a) - place(b))
}

function listJson(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith('.json'))
      .sort()
  } catch (error) {
    throw new SluiceError(
      'SLUICE_INPUT_INVALID',
      `The folder ${DASHBOARDS_PATH} cannot be read; it belongs to a checkout of Sluice.`,
      { cause: error },
    )
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

// Every query of the committed dashboards, for tests that query a real Prometheus or compare names.

/**
 * One query as Grafana would send it, before its variables are replaced; `fillVariables` of panel-data.ts replaces
 * them.
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
  /** True for an instant query, false for a range query. */
  readonly isInstant: boolean
}

/** All queries of all dashboards, dashboard by dashboard: its panels in order, then annotations, then variables. */
export function queriesOfDashboards(): readonly DashboardQuery[] {
  return readDashboards(join(import.meta.dirname, '../../..')).flatMap(queriesOf)
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
