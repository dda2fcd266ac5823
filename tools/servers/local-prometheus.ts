// A Prometheus on a free loopback port that runs until it is closed: it scrapes the given targets and evaluates the
// given rule files. A system service on 9090 is neither used nor touched.

import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { SluiceError } from '../../services/core/errors.ts'
import type { Closable } from '../../services/platform/lifecycle.ts'
import type { MetricJob } from '../../services/platform/metrics/metric-names.ts'
import {
  readFileIfPresent,
  writeFileAtomically,
} from '../../services/platform/files/atomic-file.ts'
import {
  endProcess,
  identify,
  type ProcessIdentity,
} from '../../services/platform/process-identity.ts'
import { pollUntil } from './run-program.ts'
import { freePorts } from './ports.ts'
import { openPrometheusApi, prometheusAnswers, type PrometheusApi } from './prometheus-api.ts'

const FIRST_PORT = 19_464
const START_ATTEMPTS_MAX = 3
const START_LIMIT_MS = 30_000
const READY_POLL_MS = 50
const GRACE_MS = 5_000
const LOG_TAIL_LINES = 6
/** Limits of the stored data, in case the process is forgotten. */
const RETENTION = { time: '1d', size: '512MB' }

/** The processes of one kind, by the address of their /metrics: `host:port`. */
export interface ScrapeJob {
  readonly job: MetricJob
  readonly targets: readonly string[]
}

export interface LocalPrometheusOptions {
  /** The `prometheus` program: its full path, from `requirePrerequisites`. */
  readonly program: string
  /** Created when absent. Holds configuration, log and data; the caller removes it. */
  readonly folder: string
  readonly jobs: readonly ScrapeJob[]
  readonly ruleFiles: readonly string[]
  /** Interval of scrapes and of rule evaluation. */
  readonly intervalMs: number
  readonly signal?: AbortSignal
}

/** A running Prometheus: it can be queried, and its targets can be changed. */
export interface LocalPrometheus extends PrometheusApi, Closable {
  /** Such as http://127.0.0.1:19464. */
  readonly url: string
  readonly pid: number
  /** Replaces the scraped targets. Prometheus takes up to 5 s to notice, at its start too. */
  setTargets(jobs: readonly ScrapeJob[]): void
}

/**
 * Starts a Prometheus and resolves once it serves queries. It ends with `close`, and at the latest when this
 * process exits (not when it is killed).
 * @throws SluiceError SLUICE_PROVISION_FAILED with the end of its log when it does not start.
 */
export async function openLocalPrometheus(
  options: LocalPrometheusOptions,
): Promise<LocalPrometheus> {
  const folder = resolve(options.folder)
  mkdirSync(folder, { recursive: true })
  const setTargets = (jobs: readonly ScrapeJob[]): void => {
    writeFileAtomically(targetsFile(folder), targetsText(jobs))
  }
  setTargets(options.jobs)
  // JSON is YAML too.
  writeFileSync(join(folder, 'prometheus.yml'), JSON.stringify(configOf(options, folder), null, 2))
  let port = FIRST_PORT
  for (let attempt = 1; ; attempt += 1) {
    ;[port = FIRST_PORT] = await freePorts(port, 1)
    const child = start(options.program, folder, port)
    const url = `http://127.0.0.1:${port}`
    if (await becomesReady(child, url, options.signal)) return running(child, url, setTargets)
    await end(child)
    // Another process may have taken the port between the check and the start.
    if (attempt === START_ATTEMPTS_MAX) throw startFailed(options.program, folder)
    port += 1
  }
}

/** The configuration of Prometheus. Targets are in a separate file, which it watches. */
function configOf(options: LocalPrometheusOptions, folder: string): unknown {
  const interval = `${options.intervalMs}ms`
  return {
    global: {
      scrape_interval: interval,
      scrape_timeout: interval,
      evaluation_interval: interval,
    },
    rule_files: options.ruleFiles.map((file) => resolve(file)),
    scrape_configs: [
      {
        job_name: 'sluice',
        file_sd_configs: [{ files: [targetsFile(folder)], refresh_interval: '1s' }],
      },
    ],
  }
}

function targetsFile(folder: string): string {
  return join(folder, 'targets.json')
}

function targetsText(jobs: readonly ScrapeJob[]): string {
  return JSON.stringify(jobs.map(({ job, targets }) => ({ targets, labels: { job } })))
}

function start(program: string, folder: string, port: number): ChildProcess {
  const log = openSync(join(folder, 'prometheus.log'), 'w')
  try {
    return spawn(
      program,
      [
        `--config.file=${join(folder, 'prometheus.yml')}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        `--storage.tsdb.retention.time=${RETENTION.time}`,
        `--storage.tsdb.retention.size=${RETENTION.size}`,
        `--web.listen-address=127.0.0.1:${port}`,
        // Alert state is not kept over a restart, however long an alert has been firing.
        '--rules.alert.for-grace-period=0s',
        '--log.level=warn',
      ],
      { stdio: ['ignore', log, log] },
    )
  } finally {
    closeSync(log)
  }
}

async function becomesReady(
  child: ChildProcess,
  url: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  let hasEnded = false
  child.once('error', () => {
    hasEnded = true
  })
  child.once('exit', () => {
    hasEnded = true
  })
  let isReady = false
  const look = async (): Promise<boolean> => {
    isReady = !hasEnded && (await prometheusAnswers(url))
    return isReady || hasEnded
  }
  try {
    await pollUntil(look, { limitMs: START_LIMIT_MS, everyMs: READY_POLL_MS, signal })
  } catch (error) {
    await end(child)
    throw error
  }
  return isReady
}

function running(
  child: ChildProcess,
  url: string,
  setTargets: LocalPrometheus['setTargets'],
): LocalPrometheus {
  const killAtExit = (): void => {
    child.kill('SIGKILL')
  }
  process.once('exit', killAtExit)
  assert(child.pid !== undefined, 'A server that is ready has a process.')
  return {
    ...openPrometheusApi(new URL(url)),
    url,
    pid: child.pid,
    setTargets,
    async close() {
      process.off('exit', killAtExit)
      await end(child)
    },
  }
}

async function end(child: ChildProcess): Promise<void> {
  const identity: ProcessIdentity | null = child.pid === undefined ? null : identify(child.pid)
  if (identity !== null && child.exitCode === null) await endProcess(identity, GRACE_MS)
}

function startFailed(program: string, folder: string): SluiceError {
  const log = (readFileIfPresent(join(folder, 'prometheus.log')) ?? '').trimEnd()
  const tail = log === '' ? 'It wrote nothing.' : log.split('\n').slice(-LOG_TAIL_LINES).join('\n')
  return new SluiceError(
    'SLUICE_PROVISION_FAILED',
    `Prometheus (${program}) did not start. Repair what its log names and try again:\n${tail}`,
    { details: { program } },
  )
}
