// Goal: the boards work in a Grafana that is not at hand: every panel explains itself, every query parses and asks
// for something that a process of ours exports, nothing overlaps, links lead somewhere.
// Method: rules over the committed JSON, each tried on a broken example as well.

import { deepStrictEqual, match, notDeepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parser } from '@prometheus-io/lezer-promql'
import { parse as parseYaml } from 'yaml'
import { COLOURS } from '../../../infra/grafana/boards/colours.ts'
import { BOARD_TAG } from '../../../infra/grafana/boards/board.ts'
import { DASHBOARDS_FOLDER, dashboardFiles } from '../../../infra/grafana/dashboard-files.ts'
import { queriesOfBoards, type BoardQuery } from '../../../infra/grafana/queries.ts'
import { fillVariables } from '../../../services/cli/boards/board-variables.ts'
import { createAlertsTelemetry } from '../../../services/platform/metrics/alerts-telemetry.ts'
import { createProducerTelemetry } from '../../../services/platform/metrics/producer-telemetry.ts'
import {
  LATENCY_BUCKETS_S,
  createScorerTelemetry,
} from '../../../services/platform/metrics/scorer-telemetry.ts'

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

interface BoardJson {
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

/** Metrics of the shared list that another change brings; the rule below says when one can go. */
const BEING_ADDED: readonly string[] = [
  'sluice_alert_reasons_total',
  'sluice_alert_segments_total',
  'sluice_build_info',
  'sluice_decided_amount_reference_total',
  'sluice_decision_marks_total',
  'sluice_label_delay_seconds_bucket',
  'sluice_labelled_decisions_total',
  'sluice_lane_up',
  'sluice_not_scored_total',
  'sluice_policy_info',
  'sluice_redis_command_duration_seconds_bucket',
  'sluice_redis_evicted_keys_total',
  'sluice_redis_max_memory_bytes',
  'sluice_redis_used_memory_bytes',
  'sluice_score_bucket',
  'sluice_scoring_backend_refused',
  'sluice_scoring_fallback',
]

/** Panels whose queries look back over a window of their own, with the reason. */
const OWN_WINDOWS: Readonly<Record<string, string>> = {
  'Burn rate of the alert objective': 'burn rates are defined over 5 m, 1 h and 6 h',
  'Precision as labels mature': 'labels are too few for the rate interval; a day of them',
  'Delay of labels': 'the same day as the precision beside it',
}

const GRID_COLUMNS = 24
const DESCRIPTION_LENGTH_MIN = 60
const root = join(import.meta.dirname, '../../..')
const boards = readdirSync(DASHBOARDS_FOLDER).map((file) => ({
  file,
  board: JSON.parse(readFileSync(join(DASHBOARDS_FOLDER, file), 'utf8')) as BoardJson,
}))
const panels = boards.flatMap(({ board }) => board.panels.map((panel) => ({ board, panel })))
const queries = queriesOfBoards()

function yamlOf(path: string): unknown {
  return parseYaml(readFileSync(join(root, 'infra/grafana/provisioning', path), 'utf8'))
}

function where({ board, panel }: BoardQuery): string {
  return `${board}: ${panel}`
}

/** Nodes of a query by name; an error node is one named ⚠. */
function nodesOf(expr: string): readonly { readonly name: string; readonly text: string }[] {
  const filled = fillVariables(expr, 60, 3_600)
  const nodes: { name: string; text: string }[] = []
  parser.parse(filled).iterate({
    enter: ({ name, from, to }) => {
      nodes.push({ name, text: filled.slice(from, to) })
    },
  })
  return nodes
}

function problemsOfSyntax(expr: string): readonly string[] {
  return nodesOf(expr)
    .filter(({ name }) => name === '⚠')
    .map(({ text }) => `does not parse at "${text}"`)
}

function metricsOf(expr: string): readonly string[] {
  return nodesOf(expr)
    .filter(({ name }) => name === 'VectorSelector')
    .map(({ text }) => /^[a-zA-Z_:][\w:]*/.exec(text)?.[0] ?? text)
}

async function exportedNames(): Promise<ReadonlySet<string>> {
  const names = new Set<string>()
  for (const { registry } of [
    createScorerTelemetry(),
    createAlertsTelemetry(),
    createProducerTelemetry(),
  ]) {
    for (const { name, type } of await registry.getMetricsAsJSON()) {
      // prom-client gives the kind as a word in JSON, whatever its types say.
      const isHistogram = String(type) === 'histogram'
      const parts = isHistogram ? ['_bucket', '_sum', '_count'] : ['']
      for (const part of parts) names.add(`${name}${part}`)
    }
  }
  return names
}

test('the committed dashboards are what the sources make', () => {
  const committed = boards.map(({ file }) => [
    file,
    readFileSync(join(DASHBOARDS_FOLDER, file), 'utf8'),
  ])
  const made = [...dashboardFiles()].sort(([a], [b]) => (a < b ? -1 : 1))
  deepStrictEqual(
    committed.map(([file]) => file),
    made.map(([file]) => file),
  )
  for (const [index, [file, text]] of made.entries())
    ok(committed[index]?.[1] === text, `${file} differs from its source: run "npm run boards"`)
})

test('there are the four boards, each under a uid of its own that follows from its file', () => {
  deepStrictEqual(
    boards.map(({ file, board }) => `${board.uid} in ${file}`),
    ['fraud', 'runtime', 'state-and-models', 'stream'].map(
      (name) => `sluice-${name} in ${name}.json`,
    ),
  )
  for (const { board } of boards) {
    ok(
      board.schemaVersion >= 36 && board.schemaVersion <= 42,
      'schema v1, as Grafana 10 to 13 read',
    )
    strictEqual(board.editable, false)
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
  for (const { board, panel } of panels)
    deepStrictEqual(problems(panel), [], `${board.title}: ${panel.title ?? ''}`)
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
  for (const { board } of boards) {
    const ids = board.panels.map(({ id }) => id)
    strictEqual(new Set(ids).size, ids.length, board.title)
    strictEqual(overlaps(board.panels), 0, board.title)
    for (const { gridPos } of board.panels) ok(gridPos.x + gridPos.w <= GRID_COLUMNS)
    ok(overlaps([...board.panels, ...board.panels.slice(0, 1)]) > 0, 'the rule sees an overlap')
  }
})

test('titles are said once per board', () => {
  for (const { board } of boards) {
    const titles = board.panels.map(({ title }) => title)
    strictEqual(new Set(titles).size, titles.length, board.title)
  }
})

test('boards link to each other by a tag that all of them carry, and keep time and variables', () => {
  for (const { board } of boards) {
    ok(board.tags.includes(BOARD_TAG))
    ok(board.links.length > 0)
    for (const link of board.links) {
      strictEqual(link.type, 'dashboards')
      deepStrictEqual(link.tags, [BOARD_TAG])
      ok(link.keepTime && link.includeVars)
    }
  }
})

test('the provisioned datasource is the one that boards choose by default, and boards are read only', () => {
  const { datasources } = yamlOf('datasources/prometheus.yaml') as {
    readonly datasources: readonly { readonly uid: string; readonly type: string }[]
  }
  deepStrictEqual(
    datasources.map(({ uid, type }) => `${uid} ${type}`),
    ['sluice-prometheus prometheus'],
  )
  for (const { board } of boards) {
    const variable = board.templating.list.find(({ name }) => name === 'datasource')
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

test('every query of panels, annotations and variables parses', () => {
  ok(queries.length > 50)
  for (const query of queries) deepStrictEqual(problemsOfSyntax(query.expr), [], where(query))
  for (const broken of [
    'sum(rate(a[5m])',
    'rate(a[$__rate_intervall])',
    'sum by outcome (a) (b)',
    '',
  ])
    notDeepStrictEqual(problemsOfSyntax(broken), [], broken)
})

test('rates look back over the interval that Grafana chooses, or over a window that has a reason', () => {
  const isGood = ({ panel, kind, expr, isInstant }: BoardQuery): boolean =>
    [...expr.matchAll(/\[([^\]]*)\]/g)].every(
      ([, window]) =>
        window === '$__rate_interval' ||
        (window === '$__range' && isInstant) ||
        (kind === 'panel' && panel in OWN_WINDOWS),
    )
  for (const query of queries) ok(isGood(query), `${where(query)}: ${query.expr}`)
  const [query] = queries
  ok(query !== undefined)
  ok(!isGood({ ...query, expr: 'rate(sluice_decisions_total[5m])' }))
  ok(!isGood({ ...query, expr: 'rate(sluice_decisions_total[$__range])', isInstant: false }))
  for (const title of Object.keys(OWN_WINDOWS))
    ok(
      queries.some(({ panel, expr }) => panel === title && /\[\d+[mhd]\]/.test(expr)),
      title,
    )
})

test('no query names a metric that no process exports', async () => {
  const exported = await exportedNames()
  const unknown = (expr: string): readonly string[] =>
    metricsOf(expr).filter((name) => !exported.has(name) && !BEING_ADDED.includes(name))
  for (const query of queries) {
    ok(metricsOf(query.expr).length > 0, where(query))
    deepStrictEqual(unknown(query.expr), [], where(query))
  }
  deepStrictEqual(unknown('sum(rate(sluice_decision_total[1m])) / sluice_lanes'), [
    'sluice_decision_total',
  ])
  const asked = new Set(queries.flatMap(({ expr }) => metricsOf(expr)))
  deepStrictEqual(
    BEING_ADDED.filter((name) => !asked.has(name)),
    [],
    'names that no board asks for need not be listed',
  )
  deepStrictEqual(
    BEING_ADDED.filter((name) => exported.has(name)),
    [],
    'names that are exported by now: take them from the list',
  )
})

test('labels in legends are labels that the query keeps', () => {
  const lost = ({ expr, legend }: BoardQuery): readonly string[] =>
    [...legend.matchAll(/\{\{(\w+)\}\}/g)]
      .map(([, name = '']) => name)
      .filter(
        (name) => /\b(sum|max|min|group)\b/.test(expr) && !new RegExp(`\\b${name}\\b`).test(expr),
      )
  for (const query of queries) deepStrictEqual(lost(query), [], where(query))
  const [query] = queries
  ok(query !== undefined)
  deepStrictEqual(lost({ ...query, expr: 'sum(up)', legend: '{{job}}' }), ['job'])
})

test('an objective is asked for at an edge of the buckets, since there is no other', () => {
  const asked = queries.flatMap(({ expr }) =>
    [...expr.matchAll(/event_to_alert_seconds_bucket\{le="([\d.]+)"/g)].map(([, le]) => Number(le)),
  )
  ok(asked.length > 0)
  for (const le of asked) ok(LATENCY_BUCKETS_S.includes(le), `${le} s`)
})

test('every description has more than one sentence, so that it can say what to do', () => {
  for (const { panel } of panels) match(panel.description ?? '', /[.:;] .+[.]$/, panel.title)
})

// Colour blindness: linear RGB through the matrices of Viénot, Brettel and Mollon (1999), then the distance in
// CIE Lab. Below about 10 two colours are hard to tell apart.
const DISTANCE_MIN = 15
const VISION = {
  normal: [1, 0, 0, 0, 1, 0, 0, 0, 1],
  protan: [0.11238, 0.88762, 0, 0.11238, 0.88762, 0, 0.00401, -0.00401, 1],
  deutan: [0.29275, 0.70725, 0, 0.29275, 0.70725, 0, -0.02234, 0.02234, 1],
} as const

function labOf(color: string, matrix: readonly number[]): readonly number[] {
  const linear = [1, 3, 5].map((start) => {
    const share = Number.parseInt(color.slice(start, start + 2), 16) / 255
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
  })
  const times = (rows: readonly number[], vector: readonly number[]): readonly number[] =>
    [0, 3, 6].map((row) =>
      [0, 1, 2].reduce((sum, column) => sum + (rows[row + column] ?? 0) * (vector[column] ?? 0), 0),
    )
  const seen = times(matrix, linear).map((value) => Math.min(1, Math.max(0, value)))
  const toXyz = [0.4124, 0.3576, 0.1805, 0.2126, 0.7152, 0.0722, 0.0193, 0.1192, 0.9505]
  const white = [0.95047, 1, 1.08883]
  const [x = 0, y = 0, z = 0] = times(toXyz, seen).map((value, index) => {
    const share = value / (white[index] ?? 1)
    return share > 0.008856 ? Math.cbrt(share) : 7.787 * share + 16 / 116
  })
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)]
}

function distance(a: string, b: string, matrix: readonly number[]): number {
  const [first, second] = [labOf(a, matrix), labOf(b, matrix)]
  return Math.hypot(...first.map((value, index) => value - (second[index] ?? 0)))
}

test('approve, flag and block can be told apart with every common kind of vision', () => {
  const pairs = [
    [COLOURS.approve, COLOURS.flag],
    [COLOURS.flag, COLOURS.block],
    [COLOURS.approve, COLOURS.block],
  ] as const
  for (const [kind, matrix] of Object.entries(VISION))
    for (const [a, b] of pairs)
      ok(distance(a, b, matrix) > DISTANCE_MIN, `${a} and ${b}, ${kind}: ${distance(a, b, matrix)}`)
  // A plain green and a plain red of one lightness fail.
  ok(distance('#669900', '#b87a3d', VISION.deutan) < DISTANCE_MIN)
})
