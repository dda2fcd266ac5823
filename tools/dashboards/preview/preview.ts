// Makes the preview: dashboards from files, data from Prometheus, one page.

import type { Clock } from '../../../services/core/clock.ts'
import { SluiceError } from '../../../services/core/errors.ts'
import { openPrometheusApi } from '../../servers/prometheus-api.ts'
import { readDashboards } from './dashboard-files.ts'
import { drawPage, type PanelState } from './page.ts'
import { type DashboardData, readDashboardData } from './panel-data.ts'

export interface PreviewOptions {
  /** Root of the checkout, where the dashboards lie. */
  readonly root: string
  readonly prometheus: URL
  /** Time range of the panels, back from now. */
  readonly rangeMs: number
  /** Only this dashboard, by uid with or without `sluice-`; null for all. */
  readonly dashboard: string | null
  readonly clock: Clock
  readonly signal: AbortSignal
}

export interface Preview {
  readonly html: string
  /** Every panel in order of the page, and whether it shows data. */
  readonly panels: readonly {
    readonly dashboard: string
    readonly panel: string
    readonly state: PanelState
  }[]
}

/**
 * Asks for everything and draws it.
 * @throws SluiceError SLUICE_USAGE for a dashboard that does not exist, SLUICE_INPUT_INVALID for damaged dashboards,
 * SLUICE_PROMETHEUS_UNAVAILABLE when Prometheus does not answer.
 */
export async function makePreview(options: PreviewOptions): Promise<Preview> {
  const { root, prometheus: url, rangeMs, clock, signal } = options
  const dashboards = chosen(readDashboards(root), options.dashboard)
  const prometheus = openPrometheusApi(url, signal)
  const toS = Math.floor(clock.nowMs() / 1_000)
  const range = { fromS: toS - Math.ceil(rangeMs / 1_000), toS }
  const scrapeIntervalS = await prometheus.scrapeIntervalS()
  const data: DashboardData[] = []
  for (const dashboard of dashboards)
    data.push(await readDashboardData(prometheus, dashboard, range, scrapeIntervalS))
  return drawPage({ dashboards: data, range, source: prometheus.address })
}

function chosen<Dashboard extends { readonly uid: string }>(
  dashboards: readonly Dashboard[],
  wanted: string | null,
): readonly Dashboard[] {
  if (wanted === null) return dashboards
  const found = dashboards.filter(({ uid }) => uid === wanted || uid === `sluice-${wanted}`)
  if (found.length > 0) return found
  const names = dashboards.map(({ uid }) => uid.replace(/^sluice-/, '')).join(', ')
  throw new SluiceError(
    'SLUICE_USAGE',
    `There is no dashboard "${wanted}"; the dashboards are ${names}.`,
  )
}
