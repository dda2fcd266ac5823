// What watches the demo, as it would watch a real installation: a Prometheus with the committed rules on the
// running processes, and a page that shows the committed dashboards.

import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { closeAll, type Closable } from '../../../services/platform/lifecycle.ts'
import { openLocalPrometheus, type LocalPrometheus } from '../../servers/local-prometheus.ts'
import { requirePrerequisites, thisMachine } from '../../servers/prerequisites.ts'
import { shortenRules } from '../../servers/shortened-rules.ts'
import { repositoryRoot } from '../../../services/cli/command.ts'
import { openDashboardsPage, type DashboardsPage } from './dashboards-page.ts'

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
  /** Where configuration, rules and data go; removed at the end. */
  readonly folder: string
  readonly signal: AbortSignal
}

/**
 * Full path of Prometheus, installed where that is possible without asking.
 * @throws SluiceError SLUICE_PREREQUISITE_MISSING with the command that installs it.
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
