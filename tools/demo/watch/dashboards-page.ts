// A page on loopback that shows the committed dashboards with the data of a Prometheus, made anew at each visit.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { systemClock } from '../../../services/platform/clock.ts'
import type { Closable } from '../../../services/platform/lifecycle.ts'
import { makePreview } from '../../dashboards/preview/preview.ts'
import { repositoryRoot } from '../../../services/cli/command.ts'

const RANGE_MS = 5 * 60_000
const RANGE_MS_MIN = 30_000
const REFRESH_S = 10

export interface DashboardsPage extends Closable {
  readonly url: string
  /** The page from this time until now, as HTML. @throws SluiceError SLUICE_PROMETHEUS_UNAVAILABLE. */
  render(sinceMs: number): Promise<string>
}

/** Opens the page for the Prometheus at this address, which is asked no more once the page is closed. It shows the last five minutes and refreshes itself. */
export async function openDashboardsPage(prometheusUrl: string): Promise<DashboardsPage> {
  const closed = new AbortController()
  const draw = async (rangeMs: number): Promise<string> => {
    const prometheus = new URL(prometheusUrl)
    const root = repositoryRoot()
    const { html } = await makePreview({
      root,
      prometheus,
      rangeMs,
      dashboard: null,
      clock: systemClock,
      signal: closed.signal,
    })
    return html
  }
  // One drawing at a time, whoever asks: each puts some sixty questions to Prometheus.
  let drawing: Promise<string> | null = null
  const drawOnce = (): Promise<string> =>
    (drawing ??= draw(RANGE_MS).finally(() => {
      drawing = null
    }))
  const server = createServer((request, response) => {
    const answer = (status: number, type: string, body: string): void => {
      response.writeHead(status, { 'content-type': type, refresh: String(REFRESH_S) }).end(body)
    }
    if (request.method !== 'GET' || request.url !== '/') {
      answer(404, 'text/plain', 'The dashboards are at /.\n')
      return
    }
    drawOnce().then(
      (html) => {
        answer(200, 'text/html; charset=utf-8', html)
      },
      (error: unknown) => {
        answer(503, 'text/plain', `${error instanceof Error ? error.message : String(error)}\n`)
      },
    )
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    render: (sinceMs) => draw(Math.max(RANGE_MS_MIN, systemClock.nowMs() - sinceMs)),
    close: () =>
      new Promise((resolve) => {
        closed.abort()
        server.close(() => {
          resolve()
        })
        server.closeAllConnections()
      }),
  }
}
