// Colours that mean something on the dashboards; everything else takes the palette of Grafana.
//
// Outcomes keep their colour everywhere. The hues differ in lightness as well, so that they are distinct
// with every kind of colour blindness and on both themes; a test holds the distances.

import { PanelBuilder as BarGaugeBuilder } from '@grafana/grafana-foundation-sdk/bargauge'
import type { Builder } from '@grafana/grafana-foundation-sdk/cog'
import * as common from '@grafana/grafana-foundation-sdk/common'
import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard'
import * as heatmaps from '@grafana/grafana-foundation-sdk/heatmap'
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus'
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat'
import { PanelBuilder as TableBuilder } from '@grafana/grafana-foundation-sdk/table'
import { PanelBuilder as TimeSeriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries'

export const COLOURS = {
  approve: '#009e73',
  flag: '#e69f00',
  block: '#c0392b',
  /** The earlier value, for comparison. */
  before: '#8b949e',
  good: '#009e73',
  warning: '#e69f00',
  bad: '#c0392b',
  neutral: '#3b82c4',
} as const

/** Fixed colours by the label value that the series are named after. */
export const OUTCOME_COLOURS: Readonly<Record<string, string>> = {
  approve: COLOURS.approve,
  flag: COLOURS.flag,
  block: COLOURS.block,
}

// The few shapes of query that the dashboards are made of.

/** Per second, over the interval that Grafana finds right for the scrape interval and the zoom. */
export function rate(series: string): string {
  return `rate(${series}[$__rate_interval])`
}

/** Growth of a counter over the time range shown; for instant queries. */
export function inRange(series: string): string {
  return `increase(${series}[$__range])`
}

/** Sum over all processes, by the labels given. */
export function sum(inner: string, by: readonly string[] = []): string {
  return by.length === 0 ? `sum(${inner})` : `sum by (${by.join(', ')}) (${inner})`
}

/** Quantile of a histogram over all processes, by the labels given. */
export function quantile(q: number, histogram: string, by: readonly string[] = []): string {
  const name = /^[^{]*/.exec(histogram)?.[0] ?? histogram
  const buckets = `${name}_bucket${histogram.slice(name.length)}`
  return `histogram_quantile(${q}, ${sum(rate(buckets), ['le', ...by])})`
}

/**
 * Keeps the series that are not zero; while all are zero, returns one flat line named `none`. So a healthy panel shows
 * a line at zero, and an empty panel means that nothing is measured.
 */
export function nonZero(by: string, rates: string): string {
  return `${sum(rates, [by])} > 0 or label_replace(sum(${rates}) == 0, "${by}", "none", "", "")`
}

/**
 * The policies in use, with the first twelve digits of the digest as label `policy`: enough to tell them apart.
 * `offset` goes back in time, such as ` offset 1m`.
 */
export function policyInfo(offset = ''): string {
  return `label_replace(sluice_policy_info${offset}, "policy", "$1", "policy_digest", "(.{12}).*")`
}

// The five kinds of panel that the dashboards use, each from one plain description.
//
// A title says what is shown; a description says how to read it and what to do. Both, and a unit, are required
// here by type, so that no panel can go without.

/** The datasource that the dashboard's variable names. */
export const DATASOURCE: common.DataSourceRef = { type: 'prometheus', uid: '${datasource}' }

/** A panel with its width, in the 24 columns of Grafana's grid. */
export interface WidePanel {
  readonly width: number
  readonly panel: Builder<dashboard.Panel>
}

export interface Query {
  readonly expr: string
  /** Name of the series; `{{label}}` stands for a label's value. */
  readonly legend: string
}

/** From `value` upwards the colour holds; null is minus infinity. */
export interface Step {
  readonly value: number | null
  readonly color: string
}

interface PanelOptions {
  readonly width: number
  readonly title: string
  readonly description: string
  readonly unit: string
  readonly queries: readonly Query[]
}

/** Steps of a value that is good while below, of concern from `warning`, bad from `bad`. */
export function goodBelow(bad: number, warning?: number): readonly Step[] {
  const steps: Step[] = [{ value: null, color: COLOURS.good }]
  if (warning !== undefined) steps.push({ value: warning, color: COLOURS.warning })
  return [...steps, { value: bad, color: COLOURS.bad }]
}

/** Steps of a value that is bad until it reaches `good`. */
export function goodFrom(good: number): readonly Step[] {
  return [
    { value: null, color: COLOURS.bad },
    { value: good, color: COLOURS.good },
  ]
}

/** Steps of a value that is neither good nor bad. */
export const NEUTRAL: readonly Step[] = [{ value: null, color: COLOURS.neutral }]

function thresholds(steps: readonly Step[]): dashboard.ThresholdsConfigBuilder {
  return new dashboard.ThresholdsConfigBuilder()
    .mode(dashboard.ThresholdsMode.Absolute)
    .steps([...steps])
}

function refId(index: number): string {
  return String.fromCharCode('A'.charCodeAt(0) + index)
}

function targets(
  queries: readonly Query[],
  isInstant: boolean,
  format: PromQueryFormat = PromQueryFormat.TimeSeries,
): DataqueryBuilder[] {
  return queries.map(({ expr, legend }, index) => {
    const query = new DataqueryBuilder().expr(expr).refId(refId(index)).format(format)
    query.datasource(DATASOURCE).legendFormat(legend)
    return isInstant ? query.instant() : query.range()
  })
}

function fixedColour(color: string): dashboard.DynamicConfigValue {
  return { id: 'color', value: { mode: 'fixed', fixedColor: color } }
}

export interface LinesOptions extends PanelOptions {
  /** Areas on top of each other instead of lines. */
  readonly isStacked?: boolean
  /** A line across the panel at each value: an objective or a limit. */
  readonly limits?: readonly number[]
  /** Fixed colours by series name; a name in slashes is a regular expression. */
  readonly colours?: Readonly<Record<string, string>>
  /** Series (by regular expression) drawn dashed, for what is only there to compare with. */
  readonly dashed?: string
  readonly max?: number
}

/** Lines, or stacked areas, over time. Every axis starts at zero. */
export function lines(options: LinesOptions): WidePanel {
  const limits = options.limits ?? []
  const panel = new TimeSeriesBuilder()
    .title(options.title)
    .description(options.description)
    .datasource(DATASOURCE)
    .unit(options.unit)
    .min(0)
    .lineWidth(options.isStacked === true ? 1 : 2)
    .fillOpacity(options.isStacked === true ? 60 : 0)
    .showPoints(common.VisibilityMode.Never)
    .targets(targets(options.queries, false))
    .legend(
      new common.VizLegendOptionsBuilder()
        .displayMode(common.LegendDisplayMode.List)
        .placement(common.LegendPlacement.Bottom)
        .showLegend(true),
    )
    .tooltip(
      new common.VizTooltipOptionsBuilder()
        .mode(common.TooltipDisplayMode.Multi)
        .sort(common.SortOrder.Descending),
    )
  panel.thresholds(
    thresholds([
      { value: null, color: 'transparent' },
      ...limits.map((value) => ({ value, color: COLOURS.bad })),
    ]),
  )
  if (limits.length > 0) {
    panel.axisSoftMax(Math.max(...limits) * 1.1)
    panel.thresholdsStyle(
      new common.GraphThresholdsStyleConfigBuilder().mode(common.GraphThresholdsStyleMode.Dashed),
    )
  }
  if (options.max !== undefined) panel.max(options.max)
  if (options.isStacked === true)
    panel.stacking(new common.StackingConfigBuilder().mode(common.StackingMode.Normal))
  for (const [name, color] of Object.entries(options.colours ?? {})) {
    if (name.startsWith('/')) panel.overrideByRegexp(name, [fixedColour(color)])
    else panel.overrideByName(name, [fixedColour(color)])
  }
  if (options.dashed !== undefined)
    panel.overrideByRegexp(options.dashed, [
      { id: 'custom.lineStyle', value: { fill: 'dash', dash: [6, 4] } },
      { id: 'custom.lineWidth', value: 1 },
    ])
  return { width: options.width, panel }
}

export interface StatOptions extends PanelOptions {
  readonly steps: readonly Step[]
  readonly decimals?: number
  /** Words for values. */
  readonly words?: Readonly<Record<string, string>>
}

/** One number for the time range shown, coloured by its steps. */
export function stat(options: StatOptions): WidePanel {
  const panel = new StatBuilder()
    .title(options.title)
    .description(options.description)
    .datasource(DATASOURCE)
    .unit(options.unit)
    .noValue('no data')
    .thresholds(thresholds(options.steps))
    .colorMode(common.BigValueColorMode.Value)
    .graphMode(common.BigValueGraphMode.None)
    .textMode(common.BigValueTextMode.Value)
    .reduceOptions(new common.ReduceDataOptionsBuilder().calcs(['lastNotNull']))
    .targets(targets(options.queries, true))
  if (options.decimals !== undefined) panel.decimals(options.decimals)
  if (options.words !== undefined) {
    const entries = Object.entries(options.words).map(([value, text]) => [value, { text }] as const)
    panel.mappings([
      { type: dashboard.MappingType.ValueToText, options: Object.fromEntries(entries) },
    ])
  }
  return { width: options.width, panel }
}

/** Horizontal bars of what was counted in the time range shown, longest first per query. */
export function bars(options: PanelOptions): WidePanel {
  const panel = new BarGaugeBuilder()
    .title(options.title)
    .description(options.description)
    .datasource(DATASOURCE)
    .unit(options.unit)
    .decimals(0)
    .min(0)
    .noValue('no data')
    .thresholds(thresholds(NEUTRAL))
    .orientation(common.VizOrientation.Horizontal)
    .displayMode(common.BarGaugeDisplayMode.Basic)
    .reduceOptions(new common.ReduceDataOptionsBuilder().calcs(['lastNotNull']))
    .targets(targets(options.queries, true))
  return { width: options.width, panel }
}

export interface TableOptions extends PanelOptions {
  /** Columns in order: the name in the data (a label, or `Value #A` of a query), and the heading. */
  readonly columns: readonly (readonly [name: string, heading: string])[]
  /** Units of columns, by heading, where they differ from the panel's. */
  readonly units?: Readonly<Record<string, string>>
}

/** A table of what holds now. Rows of several queries that share all labels become one. */
export function table(options: TableOptions): WidePanel {
  const kept = new Set(options.columns.map(([name]) => name))
  const values = options.queries.map((_, index) =>
    options.queries.length === 1 ? 'Value' : `Value #${refId(index)}`,
  )
  const panel = new TableBuilder()
    .title(options.title)
    .description(options.description)
    .datasource(DATASOURCE)
    .unit(options.unit)
    .noValue('no data')
    .thresholds(thresholds(NEUTRAL))
    .targets(targets(options.queries, true, PromQueryFormat.Table))
    .withTransformation({ id: 'merge', options: {} })
    .withTransformation({
      id: 'organize',
      options: {
        excludeByName: Object.fromEntries(
          ['Time', ...values].filter((name) => !kept.has(name)).map((name) => [name, true]),
        ),
        indexByName: Object.fromEntries(options.columns.map(([name], index) => [name, index])),
        renameByName: Object.fromEntries(options.columns),
      },
    })
  for (const [heading, unit] of Object.entries(options.units ?? {}))
    panel.overrideByName(heading, [{ id: 'unit', value: unit }])
  return { width: options.width, panel }
}

/** A histogram over time: one column per interval, darker where more fell. `unit` is that of the buckets. */
export function heatmap(options: PanelOptions): WidePanel {
  const [query] = targets(options.queries, false, PromQueryFormat.Heatmap)
  if (query === undefined) throw new Error(`The heatmap "${options.title}" has no query.`)
  const panel = new heatmaps.PanelBuilder()
    .title(options.title)
    .description(options.description)
    .datasource(DATASOURCE)
    .unit(options.unit)
    .calculate(false)
    .cellGap(1)
    .color(
      new heatmaps.HeatmapColorOptionsBuilder()
        .mode(heatmaps.HeatmapColorMode.Opacity)
        .scale(heatmaps.HeatmapColorScale.Exponential)
        .exponent(0.3)
        .fill(COLOURS.neutral),
    )
    .filterValues(new heatmaps.FilterValueRangeBuilder().le(1e-9))
    .yAxis(new heatmaps.YAxisConfigBuilder().unit(options.unit))
    .targets([query])
  return { width: options.width, panel }
}
