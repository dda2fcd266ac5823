// Structured logs on stderr: JSON lines, or readable lines on a terminal. The message of a line is constant and its fields
// vary; every field passes a redactor that masks card numbers (P8).

import pino from 'pino'
import { createRequire } from 'node:module'
import { Writable } from 'node:stream'
import type { VariableValue } from './config/variables.ts'
import { redact, redactLine } from './redact.ts'

/** Further keys share one, so that memory stays bounded whatever a library logs. */
const KEYS_MAX = 128

/** Decides which repeated lines are written. The caller supplies the time, in ms of any one clock. */
export class LogLimit {
  readonly #intervalMs: number
  readonly #seen = new Map<string, { lastMs: number; leftOut: number }>()

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs
  }

  /** Number of such lines left out since the last one written; null when this one must be left out too. */
  admit(key: string, nowMs: number): number | null {
    const name = this.#seen.has(key) || this.#seen.size < KEYS_MAX ? key : ''
    const entry = this.#seen.get(name)
    if (entry === undefined) {
      this.#seen.set(name, { lastMs: nowMs, leftOut: 0 })
      return 0
    }
    if (nowMs - entry.lastMs < this.#intervalMs) {
      entry.leftOut += 1
      return null
    }
    const { leftOut } = entry
    entry.lastMs = nowMs
    entry.leftOut = 0
    return leftOut
  }
}

type LogLine = (fields: Readonly<Record<string, unknown>>, message: string) => void

/** Arguments of a log call: fields first, then a constant sentence. A test checks every call. */
export interface Logger {
  readonly debug: LogLine
  readonly info: LogLine
  readonly warn: LogLine
  readonly error: LogLine
  /** True when such a line would be written; guards fields that are costly to compute. */
  readonly isLevelEnabled: (level: Exclude<LogLevel, 'silent'>) => boolean
}

export type LogLevel = VariableValue<'SLUICE_LOG_LEVEL'>

/** `auto`: pretty when stderr is a terminal, else JSON. */
export type LogFormat = VariableValue<'SLUICE_LOG_FORMAT'>

/** Destination of lines; a file descriptor except in tests. */
export type LogOutput = number | { write(line: string): void }

const STDERR = 2

/** Opens a logger. `name` is the service. Lines are written at once, so that none is lost when the process ends. */
export function openLogger(
  name: string,
  level: LogLevel,
  format: LogFormat = 'auto',
  output: LogOutput = STDERR,
): Logger {
  const isTerminal = output === STDERR && process.stderr.isTTY
  const isPretty = format === 'pretty' || (format === 'auto' && isTerminal)
  const logger = pino(
    {
      name,
      level,
      base: { name, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      // The redactor has already copied errors.
      serializers: { err: (value: unknown) => value },
      formatters: { level: (label) => ({ level: label }) },
    },
    isPretty ? openPretty(output, isTerminal) : openJson(output),
  )
  const line =
    (severity: Exclude<LogLevel, 'silent'>): LogLine =>
    (fields, message) => {
      if (!logger.isLevelEnabled(severity)) return
      // Copied before pino sees them: pino reads some fields itself, and reading may throw.
      const copy = redact(fields)
      logger[severity](typeof copy === 'object' ? copy : { fields: copy }, redactLine(message))
    }
  // Not pino's own object, whose children and placeholders would bypass the redactor.
  return {
    debug: line('debug'),
    info: line('info'),
    warn: line('warn'),
    error: line('error'),
    isLevelEnabled: (severity) => logger.isLevelEnabled(severity),
  }
}

function openJson(output: LogOutput): pino.DestinationStream {
  return typeof output === 'number' ? pino.destination({ fd: output, sync: true }) : output
}

function openPretty(output: LogOutput, isColoured: boolean): pino.DestinationStream {
  // Loaded here, since a service in production never needs it.
  const pretty = createRequire(import.meta.url)('pino-pretty') as typeof import('pino-pretty')
  return pretty({
    sync: true,
    colorize: isColoured,
    ignore: 'pid',
    translateTime: 'SYS:HH:MM:ss.l',
    destination: typeof output === 'number' ? output : writableOf(output),
  })
}

function writableOf(output: Exclude<LogOutput, number>): NodeJS.WritableStream {
  return new Writable({
    write(chunk: Buffer, _, done) {
      output.write(chunk.toString())
      done()
    },
  })
}
