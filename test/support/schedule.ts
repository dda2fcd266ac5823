// Schedule of the test files: the files that run concurrently, and their order.

import { availableParallelism } from 'node:os'

/** Files below this share one line of the report. */
const QUICK_SECONDS = 5

/** Files that run concurrently, with a limit. */
export interface Group {
  readonly files: readonly string[]
  readonly concurrency: number
}

/** Suites whose files mostly wait: for sessions that end, for group assignments, for servers that start. */
const WAITING_SUITES: readonly string[] = ['integration', 'integrity']
const WAITING_AT_ONCE = 3
/** Suites whose files measure times that a busy machine would stretch. */
const WATCHING_SUITES: readonly string[] = ['observability', 'bench']
const WATCHING_AT_ONCE = 2
/** Files of the waiting suites that run alone, with the reason. */
export const ALONE: Readonly<Record<string, string>> = {
  'integrity/lease-clock.test.ts': 'its kills must fall within 350 ms of a time by the clock',
  'integrity/lease-rebalance.test.ts':
    'a scorer must be stopped within 2.5 s of payments, before their leases end by the clock',
}
/** Long files, longest first: started last, one of them would run on after all others. */
export const LONG: readonly string[] = [
  'integrity/kills.test.ts',
  'integrity/lake.test.ts',
  'integration/secure-decisions.test.ts',
  'integration/secure-acting.test.ts',
  'integration/models.test.ts',
  'integrity/broker-kills.test.ts',
  'integration/image.test.ts',
  'integrity/state-loss.test.ts',
  'integrity/rebalance.test.ts',
  'integrity/order.test.ts',
  'integrity/redis-loss.test.ts',
  'integration/provision.test.ts',
  'integration/offset-lost.test.ts',
  'integrity/late-messages.test.ts',
  'integrity/offline-features.test.ts',
  'integrity/leases.test.ts',
  'integrity/train-kill.test.ts',
  'integration/secure-connections.test.ts',
  'integration/dead-letters.test.ts',
  'integration/replay.test.ts',
  'integrity/bounds.test.ts',
  'integrity/replay.test.ts',
  'integration/policy-promotion.test.ts',
  'observability/alerts.test.ts',
  'unit/trainer/trainer-choices.test.ts',
  'unit/lake/erase.test.ts',
  'unit/infra/prometheus-rules.test.ts',
  'unit/trainer/run-trainer.test.ts',
  'unit/platform/tensorflow/backend-refusals.test.ts',
  'unit/cli/commands/backtest.test.ts',
  'unit/tools/model-documentation/verify-folder.test.ts',
  'unit/platform/tensorflow/scoring-model.test.ts',
]

/** Files, named relative to test/, in the order and grouping in which they run. */
export function schedule(files: readonly string[]): readonly Group[] {
  const suiteOf = (file: string): string => file.split('/')[0] ?? ''
  const isAlone = (file: string): boolean => file in ALONE
  const isWaiting = (file: string): boolean =>
    !isAlone(file) && WAITING_SUITES.includes(suiteOf(file))
  const isWatching = (file: string): boolean => WATCHING_SUITES.includes(suiteOf(file))
  const groups: readonly Group[] = [
    {
      files: files.filter((file) => !isAlone(file) && !isWaiting(file) && !isWatching(file)),
      concurrency: availableParallelism() + 1,
    },
    { files: files.filter(isWaiting), concurrency: WAITING_AT_ONCE },
    { files: files.filter(isWatching), concurrency: WATCHING_AT_ONCE },
    { files: files.filter(isAlone), concurrency: 1 },
  ]
  return groups
    .filter((group) => group.files.length > 0)
    .map((group) => ({ ...group, files: longestFirst(group.files) }))
}

/** Durations of a run's files, slowest first; quick ones share one line. */
export function durationReport(seconds: ReadonlyMap<string, number>): readonly string[] {
  const files = [...seconds].toSorted(([, a], [, b]) => b - a)
  const slow = files.filter(([, each]) => each >= QUICK_SECONDS)
  const sumOf = (some: readonly (readonly [string, number])[]): number =>
    some.reduce((sum, [, each]) => sum + each, 0)
  const line = (each: number, text: string): string => `${each.toFixed(1).padStart(8)} s  ${text}`
  const quickCount = files.length - slow.length
  return [
    'Duration of each file, the slowest first (files that run side by side overlap):',
    ...slow.map(([file, each]) => line(each, file)),
    line(sumOf(files) - sumOf(slow), `${quickCount} files below ${QUICK_SECONDS} s each`),
    line(sumOf(files), `all ${files.length} files`),
  ]
}

function longestFirst(files: readonly string[]): readonly string[] {
  const rank = (file: string): number => {
    const index = LONG.indexOf(file)
    return index === -1 ? LONG.length : index
  }
  return files.toSorted((a, b) => rank(a) - rank(b))
}
