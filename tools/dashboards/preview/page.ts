// The whole preview as one HTML file: dashboards, rows, panels. No script, nothing loaded from elsewhere.

import type { PanelType } from './dashboard-model.ts'
import { escapeHtml, safeColour } from '../../../services/cli/charts/html.ts'
import { heatmapFigure } from './heatmap-figure.ts'
import { barsFigure, statFigure, tableFigure } from './number-figures.ts'
import { PAGE_STYLE } from './page-style.ts'
import type { TimeRange } from '../../../services/cli/charts/axes.ts'
import type { MarkedMoment } from '../../../services/cli/charts/plot-frame.ts'
import type { DashboardData, PanelData } from './panel-data.ts'
import { timeSeriesFigure } from './time-series-figure.ts'

/** Height of one unit of Grafana's grid, and what a panel needs beside its figure. */
const GRID_UNIT_PX = 30
const PANEL_EXTRA_PX = 78

export interface PageContent {
  readonly dashboards: readonly DashboardData[]
  readonly range: TimeRange
  /** Where the data came from. */
  readonly source: string
}

/** Whether a panel shows data, and if not, why. */
export type PanelState = 'data' | 'no data' | 'failed'

/** The state of a panel and its figure as HTML. */
export interface DrawnPanel {
  readonly state: PanelState
  readonly html: string
}

/** Draws one panel. A query that failed is shown as such, even if others of the panel succeeded. */
export function drawPanel(
  data: PanelData,
  range: TimeRange,
  moments: readonly MarkedMoment[],
): DrawnPanel {
  const { panel, problems } = data
  const heightPx = panel.place.h * GRID_UNIT_PX - PANEL_EXTRA_PX
  const figure = problems.length > 0 ? null : FIGURES[panel.type](data, range, moments, heightPx)
  const state = problems.length > 0 ? 'failed' : figure === null ? 'no data' : 'data'
  const problem = `<p class="nothing failed">query failed: ${escapeHtml(problems.join('; '))}</p>`
  const instead = state === 'failed' ? problem : '<p class="nothing">no data</p>'
  const about = escapeHtml(panel.description)
  const html = [
    `<section class="panel ${panel.type}" style="--w:${panel.place.w}">`,
    `<header><h3 title="${about}">${escapeHtml(panel.title)}</h3>`,
    `<details><summary aria-label="About this panel" title="${about}">?</summary><p>${about}</p></details></header>`,
    figure ?? instead,
    '</section>',
  ]
  return { state, html: html.join('') }
}

type Figure = (
  data: PanelData,
  range: TimeRange,
  moments: readonly MarkedMoment[],
  heightPx: number,
) => string | null

const FIGURES: Readonly<Record<PanelType, Figure>> = {
  timeseries: timeSeriesFigure,
  heatmap: heatmapFigure,
  stat: statFigure,
  bargauge: barsFigure,
  table: tableFigure,
}

/** The page, with the state of every panel by dashboard uid and title. */
export function drawPage({ dashboards, range, source }: PageContent): {
  readonly html: string
  readonly panels: readonly {
    readonly dashboard: string
    readonly panel: string
    readonly state: PanelState
  }[]
} {
  const panels: { dashboard: string; panel: string; state: PanelState }[] = []
  const sections = dashboards.map((data) => {
    const drawn = data.panels.map((panel) => {
      const { state, html } = drawPanel(panel, range, data.moments)
      panels.push({ dashboard: data.dashboard.uid, panel: panel.panel.title, state })
      return { y: panel.panel.place.y, html }
    })
    return dashboardSection(data, drawn)
  })
  const links = dashboards
    .map(
      ({ dashboard }) =>
        `<a href="#${escapeHtml(dashboard.uid)}">${escapeHtml(dashboard.title)}</a>`,
    )
    .join('')
  const html = [
    '<!doctype html><html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width,initial-scale=1">',
    `<title>Sluice dashboards, a preview</title><style>${PAGE_STYLE}</style></head><body>`,
    '<header class="page"><h1>Sluice dashboards</h1>',
    '<p class="notice"><b>This is not Grafana.</b> It is Sluice’s own preview of its Grafana dashboards: the same committed panels ',
    `and queries, answered by ${escapeHtml(source)}.</p>`,
    `<p>${moment(range.fromS)} to ${moment(range.toS)} UTC</p><nav>${links}</nav></header>`,
    `<main>${sections.join('')}</main></body></html>\n`,
  ]
  return { html: html.join(''), panels }
}

function dashboardSection(
  { dashboard, moments }: DashboardData,
  drawn: readonly { readonly y: number; readonly html: string }[],
): string {
  const rows = [...new Set(drawn.map(({ y }) => y))].sort((a, b) => a - b)
  const annotations = moments.map(
    ({ timeS, name, text, color }) =>
      `<li><i style="--c:${safeColour(color)}"></i>${moment(timeS).slice(11)} ${escapeHtml(name)}: ${escapeHtml(text)}</li>`,
  )
  return [
    `<section class="dashboard" id="${escapeHtml(dashboard.uid)}"><h2>${escapeHtml(dashboard.title)}</h2>`,
    `<p>${escapeHtml(dashboard.description)}</p>`,
    annotations.length === 0 ? '' : `<ul class="annotations">${annotations.join('')}</ul>`,
    ...rows.map((row) => {
      const panels = drawn.filter(({ y }) => y === row).map(({ html }) => html)
      return `<div class="row">${panels.join('')}</div>`
    }),
    '</section>',
  ].join('')
}

function moment(timeS: number): string {
  return new Date(timeS * 1_000).toISOString().slice(0, 19).replace('T', ' ')
}
