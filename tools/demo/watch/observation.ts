// Observes the demo like a real installation: a Prometheus that applies the committed rules to the running processes,
// and a page that shows the committed dashboards.

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { repositoryRoot } from '../../../services/cli/command.ts'
import { systemClock } from '../../../services/platform/clock.ts'
import { type Closable, closeAll } from '../../../services/platform/lifecycle.ts'
import { makePreview } from '../../dashboards/preview/preview.ts'
import { type LocalPrometheus, openLocalPrometheus } from '../../servers/local-prometheus.ts'
import { requirePrerequisites, thisMachine } from '../../servers/prerequisites.ts'
import { shortenRules } from '../../servers/shortened-rules.ts'

const INTERVAL_MS = 1_000
/** An operator's 30 s become 2 s here. The demo says so. */
export const RULES_SHORTENED_BY = 15
/** A rate needs several scrapes in its range. */
const SHORTENING = { factor: RULES_SHORTENED_BY, rangeMsMin: 5 * INTERVAL_MS }

export interface Observation extends Closable {
  readonly prometheus: LocalPrometheus
  readonly page: DashboardsPage
}

export interface ObservedProcesses {
  /** The `prometheus` program, from `observationProgram`. */
  readonly program: string
  readonly scorerPort: number
  readonly subscriberPort: number
  /** Folder for configuration, rules and data; removed at the end. */
  readonly folder: string
  readonly signal: AbortSignal
}

/**
 * Full path of Prometheus; installs it where that is possible without asking. @throws SluiceError
 * SLUICE_PREREQUISITE_MISSING with the command that installs it.
 */
export async function observationProgram(
  onProgress: (line: string) => void,
  signal: AbortSignal,
): Promise<string> {
  const machine = thisMachine(process.env)
  const found = await requirePrerequisites(['prometheus'], machine, onProgress, signal)
  return found.get('prometheus') ?? ''
}

/** Starts Prometheus and the page. */
export async function openObservation(processes: ObservedProcesses): Promise<Observation> {
  const { program, folder, signal, scorerPort, subscriberPort } = processes
  mkdirSync(folder, { recursive: true })
  const opened: Closable[] = [
    {
      close: () => {
        rmSync(folder, { recursive: true, force: true })
        return Promise.resolve()
      },
    },
  ]
  try {
    const prometheus = await openLocalPrometheus({
      program,
      folder,
      jobs: [
        { job: 'sluice-scorer', targets: [`127.0.0.1:${scorerPort}`] },
        { job: 'sluice-alerts', targets: [`127.0.0.1:${subscriberPort}`] },
      ],
      ruleFiles: writeRules(folder),
      intervalMs: INTERVAL_MS,
      signal,
    })
    opened.push(prometheus)
    const page = await openDashboardsPage(prometheus.url)
    opened.push(page)
    return { prometheus, page, close: () => closeAll(opened) }
  } catch (error) {
    await closeAll(opened)
    throw error
  }
}

/** The committed rules with shortened times. */
function writeRules(folder: string): readonly string[] {
  const rules = join(repositoryRoot(), 'infra/prometheus/rules')
  return readdirSync(rules)
    .filter((name) => name.endsWith('.yml'))
    .map((name) => {
      const file = join(folder, name)
      writeFileSync(file, shortenRules(readFileSync(join(rules, name), 'utf8'), SHORTENING))
      return file
    })
}

// A page on loopback that shows the committed dashboards with data from a Prometheus, drawn again at each visit.

const RANGE_MS = 5 * 60_000
const RANGE_MS_MIN = 30_000
const REFRESH_S = 10

export interface DashboardsPage extends Closable {
  readonly url: string
  /** The page from `sinceMs` until now, as HTML. @throws SluiceError SLUICE_PROMETHEUS_UNAVAILABLE. */
  render(sinceMs: number): Promise<string>
}

/**
 * Opens the page for the Prometheus at this address; it sends no queries after it is closed. It shows the last five
 * minutes and refreshes itself.
 */
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
  // All requests share one drawing at a time: each sends some sixty queries to Prometheus.
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
