// Common parts of all dashboards: the datasource variable, links to each other, annotations of changes, and the grid.

/* eslint-disable @typescript-eslint/no-deprecated -- The SDK prefers schema v2, which only Grafana 13 reads; Grafana 10 to
   13 read v1. */

import {
  AnnotationQueryBuilder,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  type Dashboard,
  type VariableModel,
} from '@grafana/grafana-foundation-sdk/dashboard'
import type { Builder } from '@grafana/grafana-foundation-sdk/cog'
import { COLOURS, DATASOURCE, type WidePanel, policyInfo } from './panels.ts'

/** Every dashboard carries it; the links between dashboards are by this tag. */
export const DASHBOARD_TAG = 'sluice'
const GRID_COLUMNS = 24

/** Panels side by side; their widths add up to the grid's 24 columns. */
export interface Row {
  readonly height: number
  readonly panels: readonly WidePanel[]
}

export interface DashboardOptions {
  /** Also the file name of the committed JSON. */
  readonly name: string
  readonly title: string
  readonly description: string
  /** Beside the datasource. */
  readonly variables?: readonly Builder<VariableModel>[]
  readonly rows: readonly Row[]
}

export interface DashboardDefinition {
  readonly name: string
  readonly dashboard: Dashboard
}

/** Builds a dashboard. Panel ids count from 1 in reading order. */
export function dashboard(options: DashboardOptions): DashboardDefinition {
  const builder = new DashboardBuilder(options.title)
    .uid(`sluice-${options.name}`)
    .description(options.description)
    .tags([DASHBOARD_TAG])
    .readonly()
    .timezone('browser')
    .time({ from: 'now-1h', to: 'now' })
    .refresh('30s')
    .tooltip(DashboardCursorSync.Crosshair)
    .withVariable(
      new DatasourceVariableBuilder('datasource')
        .label('Prometheus')
        .type('prometheus')
        .current({ text: 'Sluice Prometheus', value: 'sluice-prometheus' }),
    )
    .link(
      new DashboardLinkBuilder('Sluice dashboards')
        .type(DashboardLinkType.Dashboards)
        .tags([DASHBOARD_TAG])
        .keepTime(true)
        .includeVars(true),
    )
  for (const variable of options.variables ?? []) builder.withVariable(variable)
  for (const annotation of changeAnnotations()) builder.annotation(annotation)
  const dashboard = builder.build()
  dashboard.panels = placed(options)
  return { name: options.name, dashboard }
}

/**
 * Annotates each moment at which a series of an info metric exists that did not exist a minute before. `changes()`
 * cannot see it, since another label value is another series. The series are grouped, so a rollout over many processes
 * is one annotation.
 */
function changeAnnotations(): readonly AnnotationQueryBuilder[] {
  const mark = (name: string, info: (offset: string) => string, labels: string, color: string) => {
    const seen = (offset: string): string => `group by (${labels}) (${info(offset)})`
    return new AnnotationQueryBuilder()
      .name(name)
      .datasource(DATASOURCE)
      .enable(true)
      .iconColor(color)
      .expr(`${seen('')} unless ${seen(' offset 1m')}`)
      .step('15s')
      .titleFormat(name)
      .textFormat(labels.replaceAll(/(\w+),?/g, '{{$1}}'))
  }
  const model = (offset: string): string => `sluice_scoring_backend_info${offset}`
  return [
    mark('Model changed', model, 'model_version, backend', COLOURS.neutral),
    mark('Policy changed', policyInfo, 'mode, policy', COLOURS.before),
  ]
}

function placed({ name, rows }: DashboardOptions): NonNullable<Dashboard['panels']> {
  const panels: NonNullable<Dashboard['panels']> = []
  let y = 0
  for (const { height, panels: row } of rows) {
    let x = 0
    for (const { width, panel } of row) {
      const built = panel.build()
      panels.push({ ...built, id: panels.length + 1, gridPos: { x, y, w: width, h: height } })
      x += width
    }
    if (x !== GRID_COLUMNS)
      throw new Error(
        `A row of the dashboard ${name} at ${y} is ${x} columns wide, not ${GRID_COLUMNS}.`,
      )
    y += height
  }
  return panels
}
