// The style sheet of the preview; one column of panels on a phone, dashboards side by side on a wide screen.

import type { TimeRange } from '../../../services/cli/charts/plot-frame.ts'
import { escapeHtml, safeColour } from '../../../services/cli/charts/plot-frame.ts'
import { CHART_STYLE } from '../../../services/cli/charts/plot-frame.ts'
import type { MarkedMoment } from '../../../services/cli/charts/plot-frame.ts'
import type { PanelType } from './dashboard-model.ts'
import type { DashboardData, PanelData } from './panel-data.ts'
import {
  barsFigure,
  heatmapFigure,
  statFigure,
  tableFigure,
  timeSeriesFigure,
} from './panel-figures.ts'

export const PAGE_STYLE = `${CHART_STYLE}
:root{--heat:#2563a8;--strength:0%;--layer:.62}
@media(prefers-color-scheme:dark){:root{--heat:#6db3f2;--strength:22%;--layer:.7}}
body{font-size:13px;line-height:1.45}
.page,main{max-width:1400px;margin:0 auto;padding:0 16px}
.page{padding-top:18px}
h1{font-size:22px;margin:0 0 8px}
h2{font-size:18px;margin:28px 0 0}
h3{font-size:13px;font-weight:600;margin:0;overflow-wrap:anywhere}
p{margin:4px 0;color:var(--soft)}
nav{display:flex;flex-wrap:wrap;gap:4px 18px;margin-top:8px}
a{color:var(--heat)}
.annotations{display:flex;flex-wrap:wrap;gap:2px 14px;color:var(--soft);font-size:12px}
.row{display:grid;grid-template-columns:repeat(24,minmax(0,1fr));gap:10px;margin-top:10px}
.panel{grid-column:span var(--w);padding:8px 12px 10px;position:relative;display:flex;flex-direction:column}
.panel>header{display:flex;justify-content:space-between;gap:8px;margin-bottom:6px}
details summary{list-style:none;cursor:pointer;color:var(--soft);width:16px;height:16px;line-height:15px;text-align:center;border:1px solid var(--edge);border-radius:50%;font-size:11px}
summary::-webkit-details-marker{display:none}
details p{position:absolute;z-index:2;left:8px;right:8px;top:30px;background:var(--panel);color:var(--text);border:1px solid var(--soft);border-radius:6px;padding:8px 10px;margin:0}
.cells{fill:var(--heat)}
.annotations i{display:inline-block;border-top:2px dashed var(--c);width:18px;vertical-align:middle;margin-right:5px}
.ranking b{font-weight:600;font-variant-numeric:tabular-nums}
.shades{color:var(--soft);font-size:12px}
.shades i{display:inline-block;width:12px;height:10px;background:var(--heat);margin-right:1px}
.big{margin:auto;padding:8px 0 10px;font-size:30px;line-height:1.15;font-weight:600;color:color-mix(in srgb,var(--c),white var(--strength))}
.nothing{margin:auto;padding:14px;font-size:14px}
.nothing.failed{color:#c0392b;overflow-wrap:anywhere}
.ranking li{display:grid;grid-template-columns:minmax(0,38%) 1fr 4em;gap:10px;align-items:center;padding:2px 0}
.ranking span{overflow-wrap:anywhere;line-height:1.2}
.ranking i{height:14px;background:var(--c);border-radius:2px;min-width:2px}
.ranking b{text-align:right}
th,td{text-align:left;padding:4px 10px 4px 0;border-bottom:1px solid var(--grid);font-variant-numeric:tabular-nums}
th{white-space:nowrap}
@media(min-width:2000px){.page,main{max-width:2400px}main{display:grid;grid-template-columns:1fr 1fr;gap:0 40px}}
@media(max-width:800px){.row{grid-template-columns:minmax(0,1fr)}.panel{grid-column:auto}.page,main{padding-left:8px;padding-right:8px}}`

// The whole preview as one HTML file: dashboards, rows, panels. It has no script and loads nothing.

/** Height of one unit of Grafana's grid, and of a panel without its figure. */
const GRID_UNIT_PX = 30
const PANEL_EXTRA_PX = 78

export interface PageContent {
  readonly dashboards: readonly DashboardData[]
  readonly range: TimeRange
  /** Source of the data. */
  readonly source: string
}

/** State of a panel: data, or the reason why there is none. */
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
