// Reasons: cost of explaining alerts for the scorer if one transaction in a hundred is flagged. The same replay runs
// with two copies of the released model, alternately: one whose thresholds flag that share, one whose thresholds no
// score reaches. The difference is the total cost of an alert: reasons, counterfactual, the alert itself and its lease.

import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openScoringModel } from '../../services/platform/tensorflow/scoring-model.ts'
import { scoreCascade } from '../../services/core/scoring/cascade.ts'
import { repositoryRoot } from '../../services/cli/command.ts'
import { runReplayOnce, type BenchDeps, type ReplayRun } from './replay-bench.ts'
import { simulatedRows } from './scoring-bench.ts'
import { median, percentile } from './statistics.ts'

const FLAG_SHARE = 0.01
/** Rows from whose scores the threshold is taken. */
const SAMPLE_ROWS = 50_000
/** Thresholds that practically no score reaches. */
const NEVER = { flag: 0.999999, block: 0.9999999 } as const

const CASES = ['without', 'with'] as const
type Case = (typeof CASES)[number]

export interface ReasonsBenchOptions {
  readonly transactions: number
  readonly cards: number
  readonly batchSizeMax: number
  /** Rounds; each runs both cases once, every second one in reverse order. */
  readonly runs: number
}

export interface ReasonsRound {
  readonly alertsDue: number
  readonly flagShare: number
  /** Processor time of the scorer; null where it cannot be seen. */
  readonly microsecondsPerEvent: Readonly<Record<Case, number | null>>
  readonly eventsPerSecond: Readonly<Record<Case, number>>
}

export interface ReasonsBenchResult {
  readonly options: ReasonsBenchOptions
  readonly rounds: readonly ReasonsRound[]
  /** Median over the rounds of processor time with over without; 1 is no cost. */
  readonly medianCpuRatio: number
  /** Median over the rounds of throughput with over without; 1 is no loss. */
  readonly medianThroughputRatio: number
  readonly problems: readonly string[]
}

/** Runs the benchmark; every run has a stream of its own, deleted at the end. */
export async function runReasonsBench(
  options: ReasonsBenchOptions,
  deps: BenchDeps,
): Promise<ReasonsBenchResult> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-reasons-'))
  try {
    const flag = await flagThreshold()
    const block = (1 + flag) / 2
    const models = {
      without: variant(folder, 'without', NEVER),
      with: variant(folder, 'with', { flag, block }),
    }
    const rounds: ReasonsRound[] = []
    const problems: string[] = []
    for (let round = 0; round < options.runs; round += 1) {
      const runs = new Map<Case, ReplayRun>()
      for (const each of round % 2 === 0 ? CASES : CASES.toReversed()) {
        deps.onProgress(`reasons, round ${round + 1} of ${options.runs}: ${each}`)
        const environment = {
          SLUICE_MODEL: models[each],
          SLUICE_MODEL_STORE: join(folder, 'store'),
        }
        const run = await runReplayOnce(
          { ...options, runs: 1, profileFile: null, environment },
          deps,
        )
        runs.set(each, run)
        problems.push(...run.problems.map((text) => `round ${round + 1}, ${each}: ${text}`))
      }
      rounds.push(roundOf(runs))
    }
    if (rounds.some(({ alertsDue }) => alertsDue === 0)) problems.push('Nothing was flagged.')
    return resultOf(options, rounds, problems)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function roundOf(runs: ReadonlyMap<Case, ReplayRun>): ReasonsRound {
  const runOf = (of: Case): ReplayRun => {
    const run = runs.get(of)
    assert(run !== undefined, 'A round runs every case.')
    return run
  }
  const { alertsDue, decisions } = runOf('with').batches
  const cpu = (of: Case): number | null => runOf(of).cpuMicrosecondsPerEvent['scorer'] ?? null
  const speed = (of: Case): number => runOf(of).eventsPerSecond
  return {
    alertsDue,
    flagShare: alertsDue / decisions,
    microsecondsPerEvent: { without: cpu('without'), with: cpu('with') },
    eventsPerSecond: { without: speed('without'), with: speed('with') },
  }
}

function resultOf(
  options: ReasonsBenchOptions,
  rounds: readonly ReasonsRound[],
  problems: readonly string[],
): ReasonsBenchResult {
  const cpu = rounds.map(
    ({ microsecondsPerEvent: time }) => (time.with ?? NaN) / (time.without ?? NaN),
  )
  const speed = rounds.map(({ eventsPerSecond }) => eventsPerSecond.with / eventsPerSecond.without)
  return {
    options,
    rounds,
    medianCpuRatio: median(cpu),
    medianThroughputRatio: median(speed),
    problems,
  }
}

/** The score that one in a hundred transactions of the load reaches. */
async function flagThreshold(): Promise<number> {
  const model = await openScoringModel({ folder: releasedModel(), backend: 'auto' })
  try {
    const { scores } = await scoreCascade(model, simulatedRows(SAMPLE_ROWS), SAMPLE_ROWS)
    return percentile(scores.sort(), 1 - FLAG_SHARE)
  } finally {
    model.close()
  }
}

function variant(
  folder: string,
  name: string,
  thresholds: { readonly flag: number; readonly block: number },
): string {
  const target = join(folder, name)
  cpSync(releasedModel(), target, { recursive: true })
  const path = join(target, 'manifest.json')
  const manifest = JSON.parse(readFileSync(path, 'utf8')) as Readonly<Record<string, unknown>>
  const rule = 'chosen by a benchmark'
  writeFileSync(
    path,
    JSON.stringify({ ...manifest, version: name, thresholds: { ...thresholds, rule } }),
  )
  return target
}

function releasedModel(): string {
  return join(repositoryRoot(), 'models/simulator')
}

/** The report of `sluice bench reasons`. */
export function reasonsLines(result: ReasonsBenchResult): readonly string[] {
  const { rounds, medianCpuRatio, medianThroughputRatio } = result
  return [
    '',
    'Reasons and counterfactuals of alerts, the same replay with and without anything flagged, in turns',
    ...rounds.map(({ flagShare, microsecondsPerEvent: cpu, eventsPerSecond }, index) => {
      const times = CASES.map((each) => `${each} ${cpu[each]?.toFixed(1) ?? 'unknown'}`).join(', ')
      const speeds = CASES.map((each) => `${each} ${eventsPerSecond[each].toFixed(0)}`).join(', ')
      const share = `${(100 * flagShare).toFixed(2)} % flagged`
      return `  round ${index + 1}    ${share}; scorer us/event: ${times}; events/s: ${speeds}`
    }),
    `  median     processor time x ${medianCpuRatio.toFixed(3)}, throughput x ${medianThroughputRatio.toFixed(3)}`,
  ]
}
