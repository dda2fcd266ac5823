// A scorer in its own process, as an operator would run it, that tests can watch, stop and kill.

import { closeWith } from './cleanup.ts'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { sumOfSeries } from '../../services/cli/metrics-page.ts'
import type { Guard } from './careless-scorer.ts'
import { eventually } from './poll.ts'
import { startOf } from './services-build.ts'

const ROOT = join(import.meta.dirname, '../..')
const LOG_CHARACTERS_MAX = 1_000_000
const START_MS_MAX = 60_000

export interface ScorerProcess {
  readonly pid: number
  /** Port of its HTTP pages, on 127.0.0.1. */
  readonly metricsPort: number
  /** Its log so far; all of it once `end` has resolved. */
  readonly log: string
  /** Resolves once its log has the text: a page may be answered before the last log line has arrived. */
  logged(text: string): Promise<void>
  signal(name: NodeJS.Signals): void
  /** Sends the signal and waits for the end. Exit code, or null after a signal. */
  end(name: NodeJS.Signals): Promise<number | null>
  /** Body and status of one of its HTTP pages. */
  page(path: string): Promise<{ readonly status: number; readonly body: string }>
  /** Sum of the metric's samples whose labels include the given text, such as `reason="fenced"`. */
  metric(name: string, labels?: string): Promise<number>
}

/**
 * Starts a scorer, with all guards unless one is named, and resolves once it has joined its group. It is killed when
 * the test ends.
 */
export async function startScorer(
  t: TestContext,
  environment: Readonly<Record<string, string>>,
  without: Guard | null = null,
): Promise<ScorerProcess> {
  const start =
    without === null
      ? startOf('services/scorer/main.ts')
      : startOf('test/support/careless-scorer.ts', [without])
  const child = spawn(process.execPath, start, {
    cwd: ROOT,
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  // Not `exit`: its last output may still be in flight then.
  const closed = once(child, 'close') as Promise<[number | null]>
  closeWith(t, async () => {
    child.kill('SIGKILL')
    await closed
  })
  let log = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    log = (log + text).slice(-LOG_CHARACTERS_MAX)
  })
  const metricsPort = await readyPort(child, () => log)
  const page = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${metricsPort}${path}`)
    return { status: response.status, body: await response.text() }
  }
  return {
    pid: child.pid ?? 0,
    metricsPort,
    get log() {
      return log
    },
    logged: (text) => eventually(`its log has: ${text}`, () => Promise.resolve(log.includes(text))),
    signal: (name) => {
      child.kill(name)
    },
    async end(name) {
      child.kill(name)
      const [code] = await closed
      return code
    },
    page,
    async metric(name, labels = '') {
      const { body } = await page('/metrics')
      return sumOfSeries(body, `${name}{${labels}}`) ?? 0
    },
  }
}

async function readyPort(child: ChildProcess, readLog: () => string): Promise<number> {
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => {
      reject(new Error(`The scorer did not start within ${START_MS_MAX} ms:\n${readLog()}`))
    }, START_MS_MAX)
    child.once('message', (message: { readonly metricsPort: number }) => {
      clearTimeout(limit)
      resolve(message.metricsPort)
    })
    child.once('exit', (code) => {
      clearTimeout(limit)
      reject(new Error(`The scorer ended with ${code ?? 'a signal'} while starting:\n${readLog()}`))
    })
  })
}
