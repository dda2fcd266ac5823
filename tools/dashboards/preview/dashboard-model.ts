// Reads fields of parsed JSON that is not validated yet.

/** The value as an object; an empty object for anything else. */
export function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {}
}

/** The value as a list; an empty list for anything else. */
export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

/** The value as text, or `otherwise`. */
export function textOf(value: unknown, otherwise = ''): string {
  return typeof value === 'string' ? value : otherwise
}

/** The value as a number, or null. */
export function numberOf(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null
}

/** Follows names into nested objects. */
export function at(value: unknown, ...names: readonly string[]): unknown {
  return names.reduce<unknown>((inner, name) => recordOf(inner)[name], value)
}

// The parts of a Grafana dashboard that the preview needs, read from its JSON (schema v1).

export const PANEL_TYPES = ['timeseries', 'stat', 'table', 'bargauge', 'heatmap'] as const
export type PanelType = (typeof PANEL_TYPES)[number]

export interface Target {
  readonly refId: string
  readonly expr: string
  readonly legend: string
  readonly isInstant: boolean
}

/** From `value` upwards the colour holds; null is minus infinity. */
export interface ThresholdStep {
  readonly value: number | null
  readonly color: string
}

/** Changes by a panel's override to the series it matches; null changes nothing. */
export interface Override {
  readonly matches: (seriesName: string) => boolean
  readonly color: string | null
  readonly unit: string | null
  readonly isDashed: boolean
}

export interface PanelModel {
  readonly id: number
  readonly type: PanelType
  readonly title: string
  readonly description: string
  /** In the grid of 24 columns. */
  readonly place: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets: readonly Target[]
  readonly unit: string
  readonly decimals: number | null
  readonly max: number | null
  readonly softMax: number | null
  readonly thresholds: readonly ThresholdStep[]
  readonly showsThresholds: boolean
  readonly isStacked: boolean
  /** Words for values, by the value as text. */
  readonly words: ReadonlyMap<string, string>
  readonly overrides: readonly Override[]
  /** Columns of a table in order, as their name in the data and their heading. */
  readonly columns: readonly (readonly [name: string, heading: string])[]
  /** Exponent of a heatmap: below 1 it makes rare values visible. */
  readonly exponent: number
}

export interface Mark {
  readonly name: string
  readonly expr: string
  readonly text: string
  readonly color: string
}

export interface DashboardModel {
  readonly uid: string
  readonly title: string
  readonly description: string
  readonly panels: readonly PanelModel[]
  readonly annotations: readonly Mark[]
  /** Queries of variables, as name and text. */
  readonly variableQueries: readonly (readonly [name: string, query: string])[]
}

/** Reads a dashboard. Null without a uid or panels, or with a panel of an unknown kind. */
export function readDashboard(json: unknown): DashboardModel | null {
  const uid = textOf(at(json, 'uid'))
  const panels = listOf(at(json, 'panels')).map(readPanel)
  if (uid === '' || panels.length === 0 || panels.includes(null)) return null
  return {
    uid,
    title: textOf(at(json, 'title'), uid),
    description: textOf(at(json, 'description')),
    panels: panels.filter((panel) => panel !== null),
    annotations: listOf(at(json, 'annotations', 'list')).map((mark) => ({
      name: textOf(at(mark, 'name')),
      expr: textOf(at(mark, 'expr')),
      text: textOf(at(mark, 'textFormat')),
      color: textOf(at(mark, 'iconColor'), 'gray'),
    })),
    variableQueries: listOf(at(json, 'templating', 'list'))
      .filter((variable) => at(variable, 'type') === 'query')
      .map((variable) => [textOf(at(variable, 'name')), textOf(at(variable, 'query'))]),
  }
}

function readPanel(json: unknown): PanelModel | null {
  const type = PANEL_TYPES.find((known) => known === at(json, 'type'))
  if (type === undefined) return null
  const place = (side: string): number => numberOf(at(json, 'gridPos', side)) ?? 0
  const field = (...names: readonly string[]): unknown =>
    at(json, 'fieldConfig', 'defaults', ...names)
  const thresholdStyle = textOf(field('custom', 'thresholdsStyle', 'mode'), 'off')
  return {
    id: numberOf(at(json, 'id')) ?? 0,
    type,
    title: textOf(at(json, 'title')),
    description: textOf(at(json, 'description')),
    place: { x: place('x'), y: place('y'), w: place('w'), h: place('h') },
    targets: listOf(at(json, 'targets')).map((target) => ({
      refId: textOf(at(target, 'refId')),
      expr: textOf(at(target, 'expr')),
      legend: textOf(at(target, 'legendFormat')),
      isInstant: at(target, 'instant') === true,
    })),
    unit: textOf(field('unit'), 'none'),
    decimals: numberOf(field('decimals')),
    max: numberOf(field('max')),
    softMax: numberOf(field('custom', 'axisSoftMax')),
    thresholds: listOf(field('thresholds', 'steps')).map((step) => ({
      value: numberOf(at(step, 'value')),
      color: textOf(at(step, 'color')),
    })),
    showsThresholds: thresholdStyle !== 'off',
    isStacked: field('custom', 'stacking', 'mode') === 'normal',
    words: wordsOf(field('mappings')),
    overrides: listOf(at(json, 'fieldConfig', 'overrides')).map(readOverride),
    columns: columnsOf(at(json, 'transformations')),
    exponent: numberOf(at(json, 'options', 'color', 'exponent')) ?? 1,
  }
}

function wordsOf(mappings: unknown): ReadonlyMap<string, string> {
  const options = listOf(mappings).flatMap((mapping) =>
    Object.entries(recordOf(at(mapping, 'options'))),
  )
  return new Map(options.map(([value, result]) => [value, textOf(at(result, 'text'), value)]))
}

function readOverride(json: unknown): Override {
  const pattern = textOf(at(json, 'matcher', 'options'))
  const property = (id: string): unknown =>
    at(
      listOf(at(json, 'properties')).find((each) => at(each, 'id') === id),
      'value',
    )
  const isPattern = at(json, 'matcher', 'id') === 'byRegexp'
  const expression = isPattern ? new RegExp(pattern.replace(/^\/|\/$/g, '')) : null
  return {
    matches: (name) => (expression === null ? name === pattern : expression.test(name)),
    color: textOf(at(property('color'), 'fixedColor')) || null,
    unit: textOf(property('unit')) || null,
    isDashed: at(property('custom.lineStyle'), 'fill') === 'dash',
  }
}

function columnsOf(transformations: unknown): PanelModel['columns'] {
  const organize = listOf(transformations).find((each) => at(each, 'id') === 'organize')
  const order = recordOf(at(organize, 'options', 'indexByName'))
  return Object.entries(order)
    .sort(([, a], [, b]) => (numberOf(a) ?? 0) - (numberOf(b) ?? 0))
    .map(([name]) => [name, textOf(at(organize, 'options', 'renameByName', name), name)])
}
