// Structured logs on stderr, with a redactor that knows card numbers (P8).

import pino from 'pino'
import type { VariableValue } from './config/variables.ts'

export type Logger = pino.Logger

export type LogLevel = VariableValue<'SLUICE_LOG_LEVEL'>

// 13 to 19 digits, possibly grouped, are masked whether or not they pass the Luhn check: a log line never
// needs that many digits in a row, and a mistyped card number is still nearly one. Offsets and epoch
// milliseconds are numbers in their own fields, which are not strings and pass untouched.
const CARD_NUMBER = /\d(?:[ -]?\d){12,18}/g
const SECRET_KEY = /password|secret|token|authorization|sasl/i

/** Masks card numbers in strings, and values of fields that are named like secrets. */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return value.replace(CARD_NUMBER, '[redacted]')
  if (depth >= 4 || value === null || typeof value !== 'object') return value
  if (value instanceof Error) return redactError(value, depth)
  if (Array.isArray(value)) return value.slice(0, 32).map((entry) => redact(entry, depth + 1))
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]) => [
      key,
      SECRET_KEY.test(key) ? '[redacted]' : redact(entry, depth + 1),
    ]),
  )
}

function redactError(error: Error, depth: number): Record<string, unknown> {
  const code = 'code' in error ? error.code : undefined
  return {
    name: error.name,
    message: redact(error.message),
    ...(code === undefined ? {} : { code }),
    ...(error.stack === undefined ? {} : { stack: redact(error.stack) }),
    ...(error.cause === undefined ? {} : { cause: redact(error.cause, depth + 1) }),
  }
}

/** Opens a logger that writes JSON lines to stderr. `name` is the service. */
export function openLogger(name: string, level: LogLevel): Logger {
  return pino(
    {
      name,
      level,
      base: { name, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: {
        level: (label) => ({ level: label }),
        log: (fields) => redact(fields) as Record<string, unknown>,
      },
      hooks: {
        logMethod(args, method) {
          method.apply(
            this,
            args.map((arg) => (typeof arg === 'string' ? redact(arg) : arg)) as Parameters<
              typeof method
            >,
          )
        },
      },
    },
    pino.destination({ fd: 2, sync: true }),
  )
}
