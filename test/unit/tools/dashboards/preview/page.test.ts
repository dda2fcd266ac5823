import { deepStrictEqual, doesNotMatch, match, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { drawPage } from '../../../../../tools/dashboards/preview/page.ts'
import type {
  DashboardData,
  PanelData,
} from '../../../../../tools/dashboards/preview/panel-data.ts'
import { PANEL_TYPES } from '../../../../../tools/dashboards/preview/dashboard-model.ts'
import { sampleData, samplePanel } from './dashboard-sample.ts'

const RANGE = { fromS: 1_790_000_000, toS: 1_790_000_300 }
const HOSTILE = `</title></style><script>alert("1")</script><img src=x onerror='1'>`

function dashboardOf(panels: readonly PanelData[], text = 'plain'): DashboardData {
  return {
    dashboard: {
      uid: 'sluice-fraud',
      title: text,
      description: text,
      panels: panels.map(({ panel }) => panel),
      annotations: [],
      variableQueries: [],
    },
    panels,
    moments: [{ timeS: RANGE.fromS + 10, name: text, text, color: text }],
  }
}

test('the page says first that it is a preview of ours and not Grafana, and whose data it shows', () => {
  const { html } = drawPage({
    dashboards: [dashboardOf([])],
    range: RANGE,
    source: 'http://p:9090',
  })
  match(html, /<main>/)
  const top = html.slice(0, html.indexOf('<main>'))
  match(top, /This is not Grafana\./)
  match(top, /http:\/\/p:9090/)
  match(top, /2026-09-21 14:13:20 to 2026-09-21 14:18:20 UTC/)
})

test('no text from outside becomes markup, wherever it stands', () => {
  const points = [[RANGE.fromS + 5, 1]] as const
  const panels = PANEL_TYPES.map((type) =>
    sampleData([{ labels: { name: HOSTILE, le: '0.5' }, points }], {
      type,
      title: HOSTILE,
      description: HOSTILE,
      columns: [['name', HOSTILE]],
      words: new Map([['1', HOSTILE]]),
      thresholds: [{ value: null, color: HOSTILE }],
    }),
  )
  const failed: PanelData = { ...sampleData([]), problems: [HOSTILE] }
  const { html, panels: states } = drawPage({
    dashboards: [dashboardOf([...panels, failed], HOSTILE)],
    range: RANGE,
    source: HOSTILE,
  })
  strictEqual(states.filter(({ state }) => state === 'data').length, PANEL_TYPES.length)
  doesNotMatch(html, /<script|<img|onerror='/)
  // One style sheet and one title: no name has ended them early.
  strictEqual(html.split('</style>').length, 2)
  strictEqual(html.split('</title></style>').length, 1)
})

test('the page loads nothing from elsewhere and runs nothing', () => {
  const { html } = drawPage({
    dashboards: [dashboardOf([sampleData([{ labels: {}, points: [[RANGE.fromS, 1]] }])])],
    range: RANGE,
    source: 'here',
  })
  doesNotMatch(html, /<script|<link|<iframe|\bsrc=|url\(|@import|href="(?!#)/)
})

test('a panel without data says so, and one whose query was refused says why', () => {
  const refused: PanelData = {
    ...sampleData([], { title: 'B' }),
    problems: ['parse error: unexpected end'],
  }
  const { html, panels } = drawPage({
    dashboards: [dashboardOf([sampleData([], { title: 'A' }), refused])],
    range: RANGE,
    source: 'here',
  })
  deepStrictEqual(
    panels.map(({ panel, state }) => [panel, state]),
    [
      ['A', 'no data'],
      ['B', 'failed'],
    ],
  )
  match(html, /<p class="nothing">no data<\/p>/)
  match(html, /query failed: parse error: unexpected end/)
})

test('panels of one height of the grid share a row, as wide as in Grafana', () => {
  const at = (x: number, y: number, w: number): PanelData => ({
    ...sampleData([]),
    panel: samplePanel({ place: { x, y, w, h: 8 } }),
  })
  const { html } = drawPage({
    dashboards: [dashboardOf([at(0, 0, 16), at(16, 0, 8), at(0, 8, 24)])],
    range: RANGE,
    source: 'here',
  })
  const rows = html.split('<div class="row">').slice(1)
  deepStrictEqual(
    rows.map((row) => [...row.matchAll(/--w:(\d+)/g)].map(([, w]) => w)),
    [['16', '8'], ['24']],
  )
})

test('what a panel means can be read by touch and by pointer', () => {
  const { html } = drawPage({
    dashboards: [dashboardOf([sampleData([], { description: 'Call the desk.' })])],
    range: RANGE,
    source: 'here',
  })
  match(html, /<h3 title="Call the desk\.">/)
  match(html, /<details><summary[^>]*>\?<\/summary><p>Call the desk\.<\/p><\/details>/)
})
