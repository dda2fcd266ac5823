// The demo's scorer: a separate process, as in production, that never outlives the demo.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { repositoryRoot } from '../../services/cli/command.ts'
import { SluiceError } from '../../services/core/errors.ts'

const START_MS_MAX = 60_000
const STOP_MS_MAX = 6_000
const LOG_TAIL_LINES = 20

export interface ScorerProcess {
  readonly pid: number
  readonly metricsPort: number
  /** Resolves when the process ends without `stop`. */
  readonly failed: Promise<SluiceError>
  /** SIGTERM, then SIGKILL. Resolves once the process has ended. */
  stop(): Promise<void>
}

/**
 * Starts the scorer; resolves once it has joined its group. Its messages go to `logFile`.
 * @throws SluiceError SLUICE_PROVISION_FAILED with the end of that file when it ends or takes too long.
 */
export async function startScorer(
  env: NodeJS.ProcessEnv,
  logFile: string,
  signal: AbortSignal,
): Promise<ScorerProcess> {
  signal.throwIfAborted()
  const child = spawnScorer(env, logFile)
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => {
      resolve(`could not be started (${error.message})`)
    })
    child.once('exit', (code, signalName) => {
      resolve(
        signalName === null ? `ended with code ${String(code)}` : `was ended by ${signalName}`,
      )
    })
  })
  let isStopping = false
  const stop = async (): Promise<void> => {
    isStopping = true
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX)
    await ended
    clearTimeout(timer)
  }
  try {
    const metricsPort = await readyPort(child, ended, logFile, signal)
    const failed = new Promise<SluiceError>((resolve) => {
      void ended.then((how) => {
        if (!isStopping) resolve(scorerFailed(how, logFile))
      })
    })
    assert(child.pid !== undefined, 'A scorer that is ready has a process.')
    return { pid: child.pid, metricsPort, failed, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function spawnScorer(env: NodeJS.ProcessEnv, logFile: string): ChildProcess {
  const root = repositoryRoot()
  // Works both from the sources and from dist.
  const [extension] = /\.[jt]s$/.exec(import.meta.filename) ?? ['.ts']
  const entry = join(import.meta.dirname, `../../services/scorer/main${extension}`)
  mkdirSync(dirname(logFile), { recursive: true })
  const log = openSync(logFile, 'w')
  try {
    return spawn(process.execPath, [entry], {
      cwd: root,
      env,
      // Through the channel the scorer notices that this process has ended, for whatever reason.
      stdio: ['ignore', log, log, 'ipc'],
      // Ctrl-C reaches every process of the terminal's group; the demo decides when the scorer stops.
      detached: true,
    })
  } finally {
    closeSync(log)
  }
}

async function readyPort(
  child: ChildProcess,
  ended: Promise<string>,
  logFile: string,
  signal: AbortSignal,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(scorerFailed(`was not ready after ${START_MS_MAX / 1_000} s`, logFile))
    }, START_MS_MAX)
    const abort = (): void => {
      reject(signal.reason as Error)
    }
    signal.addEventListener('abort', abort, { once: true })
    child.on('message', (message) => {
      const port = portOf(message)
      if (port === null) return
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
      resolve(port)
    })
    void ended.then((how) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
      reject(scorerFailed(how, logFile))
    })
  })
}

function portOf(message: unknown): number | null {
  if (typeof message !== 'object' || message === null) return null
  if (!('kind' in message) || message.kind !== 'ready' || !('metricsPort' in message)) return null
  return typeof message.metricsPort === 'number' ? message.metricsPort : null
}

function scorerFailed(how: string, logFile: string): SluiceError {
  return new SluiceError(
    'SLUICE_PROVISION_FAILED',
    `The scorer ${how}. The end of ${logFile}:\n${tailOf(logFile)}`,
  )
}

function tailOf(file: string): string {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n')
  } catch {
    return '(no log)'
  }
}

// The demo's scorer, which a fault may stop and restart without failing the demo.

export interface RestartableScorer extends ScorerProcess {
  /** Stops the process until `resume`. */
  halt(): Promise<void>
  /** Starts it again, on the same port for metrics. Resolves once it has joined its group. */
  resume(): Promise<void>
}

/** Starts the scorer as `startScorer` does. */
export async function startRestartableScorer(
  env: NodeJS.ProcessEnv,
  logFile: string,
  signal: AbortSignal,
): Promise<RestartableScorer> {
  let current = await startScorer(env, logFile, signal)
  const { metricsPort } = current
  let fail: (error: SluiceError) => void = () => undefined
  const failed = new Promise<SluiceError>((resolve) => {
    fail = resolve
  })
  void current.failed.then(fail)
  return {
    get pid() {
      return current.pid
    },
    metricsPort,
    failed,
    stop: () => current.stop(),
    halt: () => current.stop(),
    async resume() {
      const port = { SLUICE_METRICS_PORT: String(metricsPort) }
      current = await startScorer({ ...env, ...port }, logFile, signal)
      void current.failed.then(fail)
    },
  }
}
