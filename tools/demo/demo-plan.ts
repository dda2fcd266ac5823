// The plan of a demo, made from the options of the command line.

import { randomBytes } from 'node:crypto'
import type {
  ColumnMapping,
  FieldConstants,
  Pace,
  ProducerSource,
  TimeRange,
} from '../../services/producer/index.ts'
import { SluiceError } from '../../services/core/errors.ts'
import { rangeBetween } from '../../services/core/files/event-time.ts'
import { simulate } from '../simulator/simulate.ts'
import type { FaultName } from './watch/fault.ts'

const RATE_PER_SECOND_DEFAULT = 300
const DAY_MS = 86_400_000
/**
 * The simulated world makes about 4,200 transactions a day, so at 300 a second three weeks pass in five minutes.
 * It starts this long ago, so that it stays in the past (a time ahead of the clock is refused) for half a day.
 */
const SIMULATED_PAST_MS = 3_650 * DAY_MS
const BATCH_SIZE_REPLAY = 2_048
const ID_CHARACTERS = 8

/** Options of `sluice demo`, as parsed. */
export interface DemoOptions {
  readonly replay?: readonly string[]
  readonly from?: TimeRange
  readonly to?: TimeRange
  readonly map?: ColumnMapping
  readonly set?: FieldConstants
  /** Milliseconds. */
  readonly labelDelay?: number
  readonly rate?: number
  readonly speed?: number
  readonly flatOut?: boolean
  readonly count?: number
  /** Milliseconds. */
  readonly duration?: number
  readonly seed?: number
  readonly exit?: boolean
  readonly summary?: string
  readonly watch?: boolean
  readonly fault?: FaultName
  readonly dashboards?: string
  readonly json?: boolean
}

export interface DemoPlan {
  readonly id: string
  readonly source: ProducerSource
  readonly pace: Pace
  readonly durationMs: number | null
  /** Partitions keep in step by watermarks, so that the result depends on the files alone. */
  readonly isAligned: boolean
  /** Variables for the scorer, beyond addresses and names. */
  readonly scorerEnv: Readonly<Record<string, string>>
  /** End once everything is decided. */
  readonly exits: boolean
  readonly summaryFile: string | null
  /** Prometheus and a page with the dashboards run alongside. */
  readonly isWatched: boolean
  /** The fault to make once traffic flows; when its alert has fired and cleared, the demo sends nothing more. */
  readonly fault: FaultName | null
  /** HTML file for the dashboards at the end. */
  readonly dashboardsFile: string | null
  readonly json: boolean
}

/** @throws SluiceError SLUICE_USAGE for options that do not go together. */
export function planDemo(options: DemoOptions, nowMs: number): DemoPlan {
  const paths = options.replay ?? []
  const isReplay = options.replay !== undefined
  checkTogether(options, isReplay)
  return {
    id: randomBytes(ID_CHARACTERS / 2).toString('hex'),
    source: isReplay ? replaySource(paths, options) : simulatorSource(options, nowMs),
    pace: paceOf(options, isReplay),
    durationMs: options.duration ?? null,
    isAligned: isReplay,
    scorerEnv: isReplay
      ? { SLUICE_ALIGNMENT: 'aligned', SLUICE_BATCH_SIZE_MAX: String(BATCH_SIZE_REPLAY) }
      : { SLUICE_ALIGNMENT: 'live' },
    exits: options.exit ?? false,
    summaryFile: options.summary ?? null,
    isWatched: isWatched(options),
    fault: options.fault ?? null,
    dashboardsFile: options.dashboards ?? null,
    json: options.json ?? false,
  }
}

function checkTogether(options: DemoOptions, isReplay: boolean): void {
  const problems: string[] = []
  if (!isReplay) {
    const names = ['from', 'to', 'map', 'set', 'labelDelay'] as const
    for (const name of names) {
      if (options[name] === undefined) continue
      const flag = name === 'labelDelay' ? 'label-delay' : name
      problems.push(`--${flag} is about files; give them with --replay.`)
    }
  }
  if (isReplay && options.seed !== undefined) {
    problems.push('--seed is about the simulator; leave it out with --replay.')
  }
  if (options.summary !== undefined && options.exit !== true) {
    problems.push('--summary is written at the end of a run that has one; add --exit.')
  }
  const hasEnd =
    isReplay ||
    options.count !== undefined ||
    options.duration !== undefined ||
    options.fault !== undefined
  if (options.exit === true && !hasEnd) {
    problems.push(
      '--exit never comes in an endless simulation; add --count, --duration, --fault or --replay.',
    )
  }
  if (problems.length > 0) throw new SluiceError('SLUICE_USAGE', problems.join('\n'))
}

/** A fault is there to be seen, and so are dashboards. */
function isWatched({ watch, fault, dashboards }: DemoOptions): boolean {
  return watch === true || fault !== undefined || dashboards !== undefined
}

function replaySource(paths: readonly string[], options: DemoOptions): ProducerSource {
  return {
    kind: 'replay',
    replay: {
      paths,
      bounds: rangeBetween(options.from, options.to),
      ...(options.map === undefined ? {} : { mapping: options.map }),
      ...(options.set === undefined ? {} : { constants: options.set }),
      ...(options.labelDelay === undefined ? {} : { labelDelayMs: options.labelDelay }),
      ...(options.count === undefined ? {} : { transactionsMax: options.count }),
    },
  }
}

function simulatorSource(options: DemoOptions, nowMs: number): ProducerSource {
  const startMs = Math.floor((nowMs - SIMULATED_PAST_MS) / DAY_MS) * DAY_MS
  return {
    kind: 'simulate',
    events: simulate({
      startMs,
      untilMs: Math.floor(nowMs),
      ...(options.seed === undefined ? {} : { seed: options.seed }),
      ...(options.count === undefined ? {} : { transactionsMax: options.count }),
    }),
  }
}

function paceOf(options: DemoOptions, isReplay: boolean): Pace {
  if (options.rate !== undefined) return { kind: 'rate', perSecond: options.rate }
  if (options.speed !== undefined) return { kind: 'speed', factor: options.speed }
  if (options.flatOut === true || isReplay) return { kind: 'flat_out' }
  return { kind: 'rate', perSecond: RATE_PER_SECOND_DEFAULT }
}
