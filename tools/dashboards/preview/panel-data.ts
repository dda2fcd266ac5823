// The data of panels. Variables in queries get the values that Grafana would give them.

import type { TimeRange } from '../../../services/cli/charts/plot-frame.ts'
import type { MarkedMoment } from '../../../services/cli/charts/plot-frame.ts'
import { type PrometheusApi, refusalOf, type Series } from '../../servers/prometheus-api.ts'
import type { DashboardModel, Mark, PanelModel, Target } from './dashboard-model.ts'

/** Seconds between the points of a query, for a panel that can show `pointsMax` of them. */
export function stepSeconds({ fromS, toS }: TimeRange, pointsMax: number): number {
  return Math.max(1, Math.ceil((toS - fromS) / pointsMax))
}

/** A demo is scraped every second; rates over four of them would make a comb of rare alerts. */
const RATE_INTERVAL_S_MIN = 15

/**
 * As in Grafana: at least four scrapes, and at least the distance between two points plus one scrape; 15 s at least.
 */
export function rateIntervalSeconds(stepS: number, scrapeIntervalS: number): number {
  return Math.ceil(Math.max(RATE_INTERVAL_S_MIN, 4 * scrapeIntervalS, stepS + scrapeIntervalS))
}

/** Fills in the rate interval and the time range shown (whole seconds); chosen labels become "all of them". */
export function fillVariables(expr: string, rateIntervalS: number, rangeS: number): string {
  return expr
    .replaceAll('$__rate_interval', `${rateIntervalS}s`)
    .replaceAll('$__range', `${rangeS}s`)
    .replaceAll(/\$(?:job|instance)\b/g, '.+')
}

// Sends Prometheus all queries of one dashboard.

const POINTS_MAX = 180
/** Columns of a heatmap; more would be thinner than a pixel on a phone. */
const HEATMAP_COLUMNS_MAX = 60
const REQUESTS_AT_ONCE = 4
/** Series of one answer that are kept; a panel with more could not be read anyway. */
export const SERIES_MAX = 200

export interface TargetData {
  readonly target: Target
  readonly series: readonly Series[]
}

export interface PanelData {
  readonly panel: PanelModel
  readonly targets: readonly TargetData[]
  /** Seconds between two points; a longer distance is a gap. */
  readonly stepS: number
  /** Errors of Prometheus; empty when it answered all queries. */
  readonly problems: readonly string[]
}

export interface DashboardData {
  readonly dashboard: DashboardModel
  readonly panels: readonly PanelData[]
  readonly moments: readonly MarkedMoment[]
}

/** Reads all panels of a dashboard, a few at a time. */
export async function readDashboardData(
  prometheus: PrometheusApi,
  dashboard: DashboardModel,
  range: TimeRange,
  scrapeIntervalS: number,
): Promise<DashboardData> {
  const panels = await mapBounded(dashboard.panels, (panel) =>
    readPanelData(prometheus, panel, range, scrapeIntervalS),
  )
  const moments = await mapBounded(dashboard.annotations, (mark) =>
    readMoments(prometheus, mark, range),
  )
  return { dashboard, panels, moments: moments.flat().sort((a, b) => a.timeS - b.timeS) }
}

async function readPanelData(
  prometheus: PrometheusApi,
  panel: PanelModel,
  range: TimeRange,
  scrapeIntervalS: number,
): Promise<PanelData> {
  const pointsMax = panel.type === 'heatmap' ? HEATMAP_COLUMNS_MAX : POINTS_MAX
  const stepS = stepSeconds(range, pointsMax)
  const rateIntervalS = rateIntervalSeconds(stepS, scrapeIntervalS)
  const problems: string[] = []
  const targets: TargetData[] = []
  for (const target of panel.targets) {
    const expr = fillVariables(target.expr, rateIntervalS, range.toS - range.fromS)
    const { series, problem } = await answerTo(
      target.isInstant
        ? prometheus.query(expr, range.toS)
        : prometheus.queryRange(expr, { ...range, stepS }),
    )
    if (problem !== null) problems.push(problem)
    targets.push({ target, series })
  }
  return { panel, targets, stepS, problems }
}

/** The first moment of each stretch in which the query of an annotation has a value. */
async function readMoments(
  prometheus: PrometheusApi,
  mark: Mark,
  range: TimeRange,
): Promise<readonly MarkedMoment[]> {
  const stepS = stepSeconds(range, POINTS_MAX)
  const { series } = await answerTo(prometheus.queryRange(mark.expr, { ...range, stepS }))
  return series.flatMap(({ labels, points }) =>
    points
      // A stretch that begins with the range may have begun before it.
      .filter(([timeS], index) => {
        const before = points[index - 1]?.[0] ?? (timeS === range.fromS ? timeS : null)
        return before === null || timeS - before > 1.5 * stepS
      })
      .map(([timeS]) => ({
        timeS,
        name: mark.name,
        text: fillLegend(mark.text, labels),
        color: mark.color,
      })),
  )
}

/** Puts label values into a legend; an absent label leaves nothing. */
export function fillLegend(legend: string, labels: Readonly<Record<string, string>>): string {
  return legend.replaceAll(/\{\{\s*(\w+)\s*\}\}/g, (_, name: string) => labels[name] ?? '').trim()
}

/** The series, or the reason why Prometheus refused the expression, which the panel shows instead. */
async function answerTo(
  question: Promise<readonly Series[]>,
): Promise<{ readonly series: readonly Series[]; readonly problem: string | null }> {
  try {
    return { series: (await question).slice(0, SERIES_MAX), problem: null }
  } catch (error) {
    const problem = refusalOf(error)
    if (problem === null) throw error
    return { series: [], problem }
  }
}

async function mapBounded<Item, Result>(
  items: readonly Item[],
  map: (item: Item) => Promise<Result>,
): Promise<readonly Result[]> {
  const results: Result[] = []
  for (let start = 0; start < items.length; start += REQUESTS_AT_ONCE)
    results.push(...(await Promise.all(items.slice(start, start + REQUESTS_AT_ONCE).map(map))))
  return results
}
