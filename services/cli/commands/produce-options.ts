// Options of `sluice produce`: their types, and how their texts are read.

import { readFileSync } from 'node:fs'
import { InvalidArgumentError } from 'commander'
import { SluiceError } from '../../core/errors.ts'
import {
  checkFields,
  parseDurationMs,
  parseEventTimeMs,
  parseFieldList,
  rangeOfBound,
} from '../../producer/index.ts'
import type { ColumnMapping, FieldConstants, TimeRange } from '../../producer/index.ts'

/** Options of both sources. Absent means that the default holds. */
export interface SendOptions {
  readonly metricsPort?: number
  readonly rate?: number
  readonly speed?: number
  readonly flatOut?: boolean
  readonly count?: number
  /** Milliseconds. */
  readonly duration?: number
  readonly brokers?: string
  readonly topicPrefix?: string
  readonly traceRatio?: number
  readonly dryRun?: boolean
  readonly json?: boolean
}

export interface SimulateCommandOptions extends SendOptions {
  readonly seed?: number
  /** Milliseconds UTC. */
  readonly start?: number
  readonly until?: number
  readonly cards?: number
  readonly terminals?: number
  readonly merchants?: number
  readonly fraudShare?: number
  /** Milliseconds. */
  readonly labelDelay?: number
  readonly watermarks?: boolean
}

export interface ReplayCommandOptions extends SendOptions {
  readonly from?: TimeRange
  readonly to?: TimeRange
  readonly map?: ColumnMapping
  readonly set?: FieldConstants
  /** Milliseconds. */
  readonly labelDelay?: number
  readonly genuineLabels?: boolean
  readonly skipBad?: boolean
  readonly sort?: boolean
  readonly delimiter?: string
  readonly watermarks: boolean
}

/** Reads a duration as milliseconds. */
export function durationOption(text: string): number {
  const durationMs = parseDurationMs(text)
  if (durationMs !== null) return durationMs
  throw new InvalidArgumentError('Give a duration such as 500ms, 45s, 30m, 12h or 7d.')
}

/** Reads a time as milliseconds UTC. */
export function timeOption(text: string): number {
  const timeMs = parseEventTimeMs(text)
  if (timeMs !== null) return timeMs
  throw new InvalidArgumentError('Give a time such as 2026-01-01 or 2026-01-01T12:00:00Z.')
}

/** Reads a day as all of it, and a time as that instant. */
export function timeRangeOption(text: string): TimeRange {
  const range = rangeOfBound(text)
  if (range !== null) return range
  throw new InvalidArgumentError(
    'Give a date such as 2018-07-25, or a time such as 2018-07-25T12:00Z.',
  )
}

/** Reads the separator of cells; a tab may be written as `tab`. */
export function delimiterOption(text: string): string {
  const delimiter = text === 'tab' ? '\t' : text
  if (delimiter.length === 1 && !/["\r\n\w]/.test(delimiter)) return delimiter
  throw new InvalidArgumentError('Give one character such as ; or the word tab.')
}

/** Reads --set. */
export function constantsOption(text: string): FieldConstants {
  return parseFieldList('--set', text)
}

/** Reads --map: a list, or a JSON file. */
export function mappingOption(text: string): ColumnMapping {
  if (!text.endsWith('.json')) return parseFieldList('--map', text)
  const content = readJson(text)
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw usage(`--map: ${text} is no JSON object; write {"card": "customer_id", ...}.`)
  }
  return checkFields(`--map ${text}`, Object.entries(content))
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error)
    throw usage(`--map: ${file} cannot be read (${problem}); correct the file or its path.`, error)
  }
}

function usage(message: string, cause?: unknown): SluiceError {
  return new SluiceError('SLUICE_USAGE', message, { cause })
}
