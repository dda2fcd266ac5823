// Goal: the dashboards work in a Grafana that is not available here: every panel explains itself, nothing overlaps,
// links lead somewhere. Method: rules over the committed JSON; those that could miss something are tried on a broken
// example.

import { deepStrictEqual, match, notDeepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse as parseYaml } from 'yaml'
import { DASHBOARD_TAG } from '../../../tools/dashboards/definitions/dashboard-definition.ts'
import { DASHBOARDS_FOLDER, dashboardFiles } from '../../../tools/dashboards/dashboard-files.ts'

interface PanelJson {
  readonly id: number
  readonly type: string
  readonly title?: string
  readonly description?: string
  readonly datasource?: { readonly uid?: string }
  readonly gridPos: {
    readonly x: number
    readonly y: number
    readonly w: number
    readonly h: number
  }
  readonly fieldConfig: { readonly defaults: { readonly unit?: string } }
  readonly targets: readonly { readonly datasource?: { readonly uid?: string } }[]
}

interface DashboardJson {
  readonly uid: string
  readonly title: string
  readonly tags: readonly string[]
  readonly schemaVersion: number
  readonly editable: boolean
  readonly panels: readonly PanelJson[]
  readonly links: readonly {
    readonly type: string
    readonly tags: readonly string[]
    readonly keepTime: boolean
    readonly includeVars: boolean
  }[]
  readonly templating: {
    readonly list: readonly {
      readonly name: string
      readonly type: string
      readonly current: { readonly value: string }
    }[]
  }
}

const GRID_COLUMNS = 24
const DESCRIPTION_LENGTH_MIN = 60
const root = join(import.meta.dirname, '../../..')
const dashboards = readdirSync(DASHBOARDS_FOLDER).map((file) => ({
  file,
  dashboard: JSON.parse(readFileSync(join(DASHBOARDS_FOLDER, file), 'utf8')) as DashboardJson,
}))
const panels = dashboards.flatMap(({ dashboard }) =>
  dashboard.panels.map((panel) => ({ dashboard, panel })),
)

function yamlOf(path: string): unknown {
  return parseYaml(readFileSync(join(root, 'infra/grafana/provisioning', path), 'utf8'))
}

test('the committed dashboards are what the sources make', () => {
  const committed = dashboards.map(({ file }) => [
    file,
    readFileSync(join(DASHBOARDS_FOLDER, file), 'utf8'),
  ])
  const made = [...dashboardFiles()].sort(([a], [b]) => (a < b ? -1 : 1))
  deepStrictEqual(
    committed.map(([file]) => file),
    made.map(([file]) => file),
  )
  for (const [index, [file, text]] of made.entries())
    ok(committed[index]?.[1] === text, `${file} differs from its source: run "npm run dashboards"`)
})

test('there are the five dashboards, each under a uid of its own that follows from its file', () => {
  deepStrictEqual(
    dashboards.map(({ file, dashboard }) => `${dashboard.uid} in ${file}`),
    ['connections', 'fraud', 'models', 'runtime', 'state-and-models', 'stream'].map(
      (name) => `sluice-${name} in ${name}.json`,
    ),
  )
  for (const { dashboard } of dashboards) {
    ok(
      dashboard.schemaVersion >= 36 && dashboard.schemaVersion <= 42,
      'schema v1, as Grafana 10 to 13 read',
    )
    strictEqual(dashboard.editable, false)
  }
})

test('every panel has a title, a description that explains it, a unit and the chosen datasource', () => {
  const problems = (panel: PanelJson): readonly string[] => {
    const found: string[] = []
    if ((panel.title ?? '') === '') found.push('no title')
    if ((panel.description ?? '').length < DESCRIPTION_LENGTH_MIN) found.push('no description')
    if ((panel.fieldConfig.defaults.unit ?? '') === '') found.push('no unit')
    for (const each of [panel, ...panel.targets])
      if (each.datasource?.uid !== '${datasource}') found.push('another datasource')
    if (panel.targets.length === 0) found.push('no query')
    return found
  }
  for (const { dashboard, panel } of panels)
    deepStrictEqual(problems(panel), [], `${dashboard.title}: ${panel.title ?? ''}`)
  const [first] = panels
  ok(first !== undefined)
  for (const broken of [
    { ...first.panel, title: '' },
    { ...first.panel, description: 'Decisions.' },
    { ...first.panel, fieldConfig: { defaults: {} } },
    { ...first.panel, targets: [{ datasource: { uid: 'other' } }] },
    { ...first.panel, targets: [] },
  ])
    notDeepStrictEqual(problems(broken), [])
})

test('panels have ids of their own and lie in the grid without overlaps', () => {
  const overlaps = (places: readonly PanelJson[]): number => {
    const cells = places.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)},${y + Math.floor(cell / w)}`),
    )
    return cells.length - new Set(cells).size
  }
  for (const { dashboard } of dashboards) {
    const ids = dashboard.panels.map(({ id }) => id)
    strictEqual(new Set(ids).size, ids.length, dashboard.title)
    strictEqual(overlaps(dashboard.panels), 0, dashboard.title)
    for (const { gridPos } of dashboard.panels) ok(gridPos.x + gridPos.w <= GRID_COLUMNS)
    ok(
      overlaps([...dashboard.panels, ...dashboard.panels.slice(0, 1)]) > 0,
      'the rule sees an overlap',
    )
  }
})

test('titles are said once per dashboard', () => {
  for (const { dashboard } of dashboards) {
    const titles = dashboard.panels.map(({ title }) => title)
    strictEqual(new Set(titles).size, titles.length, dashboard.title)
  }
})

test('dashboards link to each other by a tag that all of them carry, and keep time and variables', () => {
  for (const { dashboard } of dashboards) {
    ok(dashboard.tags.includes(DASHBOARD_TAG))
    ok(dashboard.links.length > 0)
    for (const link of dashboard.links) {
      strictEqual(link.type, 'dashboards')
      deepStrictEqual(link.tags, [DASHBOARD_TAG])
      ok(link.keepTime && link.includeVars)
    }
  }
})

test('the provisioned datasource is the one that dashboards choose by default, and dashboards are read only', () => {
  const { datasources } = yamlOf('datasources/prometheus.yaml') as {
    readonly datasources: readonly { readonly uid: string; readonly type: string }[]
  }
  deepStrictEqual(
    datasources.map(({ uid, type }) => `${uid} ${type}`),
    ['sluice-prometheus prometheus'],
  )
  for (const { dashboard } of dashboards) {
    const variable = dashboard.templating.list.find(({ name }) => name === 'datasource')
    strictEqual(variable?.type, 'datasource')
    strictEqual(variable.current.value, 'sluice-prometheus')
  }
  const { providers } = yamlOf('dashboards/sluice.yaml') as {
    readonly providers: readonly { readonly allowUiUpdates: boolean }[]
  }
  deepStrictEqual(
    providers.map(({ allowUiUpdates }) => allowUiUpdates),
    [false],
  )
})

test('every description has more than one sentence, so that it can say what to do', () => {
  for (const { panel } of panels) match(panel.description ?? '', /[.:;] .+[.]$/, panel.title)
})
