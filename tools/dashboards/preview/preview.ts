// Makes the preview: boards from files, data from Prometheus, one page.

import type { Clock } from '../../../services/core/clock.ts'
import { SluiceError } from '../../../services/core/errors.ts'
import { openPrometheusApi } from '../../servers/prometheus-api.ts'
import { readBoards } from './board-files.ts'
import { drawPage, type PanelState } from './page.ts'
import { readBoardData, type BoardData } from './panel-data.ts'

export interface PreviewOptions {
  /** Root of the checkout, where the dashboards lie. */
  readonly root: string
  readonly prometheus: URL
  /** How far back the panels look, from now. */
  readonly rangeMs: number
  /** Only this board, by uid with or without `sluice-`; null for all. */
  readonly board: string | null
  readonly clock: Clock
  readonly signal: AbortSignal
}

export interface Preview {
  readonly html: string
  /** Every panel in order of the page, and whether it shows data. */
  readonly panels: readonly {
    readonly board: string
    readonly panel: string
    readonly state: PanelState
  }[]
}

/**
 * Asks for everything and draws it.
 * @throws SluiceError SLUICE_USAGE for a board that does not exist, SLUICE_INPUT_INVALID for damaged dashboards,
 * SLUICE_PROMETHEUS_UNAVAILABLE when Prometheus does not answer.
 */
export async function makePreview(options: PreviewOptions): Promise<Preview> {
  const { root, prometheus: url, rangeMs, clock, signal } = options
  const boards = chosen(readBoards(root), options.board)
  const prometheus = openPrometheusApi(url, signal)
  const toS = Math.floor(clock.nowMs() / 1_000)
  const range = { fromS: toS - Math.ceil(rangeMs / 1_000), toS }
  const scrapeIntervalS = await prometheus.scrapeIntervalS()
  const data: BoardData[] = []
  for (const board of boards)
    data.push(await readBoardData(prometheus, board, range, scrapeIntervalS))
  return drawPage({ boards: data, range, source: prometheus.address })
}

function chosen<Board extends { readonly uid: string }>(
  boards: readonly Board[],
  wanted: string | null,
): readonly Board[] {
  if (wanted === null) return boards
  const found = boards.filter(({ uid }) => uid === wanted || uid === `sluice-${wanted}`)
  if (found.length > 0) return found
  const names = boards.map(({ uid }) => uid.replace(/^sluice-/, '')).join(', ')
  throw new SluiceError('SLUICE_USAGE', `There is no board "${wanted}"; the boards are ${names}.`)
}
