// Shared parts of commands: registering, printing, reading values, and stopping.

import { InvalidArgumentError } from 'commander'
import { mentionsCardNumber } from '../core/card-numbers.ts'
import { SluiceError } from '../core/errors.ts'
import { identifierFault } from '../core/wire/validation.ts'

/** A command's module registers itself on the program: name, options, help with examples, action. */
export interface CommandModule {
  register(program: import('commander').Command): void
}

export { repositoryRoot } from '../platform/repository-root.ts'

/** Prints a line of results on standard output. */
export function printLine(line: string): void {
  process.stdout.write(`${line}\n`)
}

/** Prints a value as JSON on standard output, for programs. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`)
}

/** Prints a line of progress on standard error, so that it never mixes with results. */
export function printProgress(line: string): void {
  process.stderr.write(`sluice: ${line}\n`)
}

/** Reads an integer option. The error names the value and the range. */
export function parseInteger(min: number, max: number): (text: string) => number {
  return (text) => parseBounded(text, min, max, 'an integer', Number.isSafeInteger)
}

/** Reads a number option. The error names the value and the range. */
export function parseNumber(min: number, max: number): (text: string) => number {
  return (text) => parseBounded(text, min, max, 'a number', Number.isFinite)
}

/** Reads free text that is recorded. Text that holds a card number is refused (P8). */
export function parseFreeText(name: string): (text: string) => string {
  return (text) => {
    if (mentionsCardNumber(text)) throw cardNumberIn(name)
    return text
  }
}

/** Reads an id or a token that is recorded. One that holds a card number is refused (P8). */
export function parseIdentifier(name: string): (text: string) => string {
  return (text) => {
    if (identifierFault(text) === 'card_number_suspected') throw cardNumberIn(name)
    return text
  }
}

/** Commander's own error would repeat the value. */
function cardNumberIn(name: string): SluiceError {
  return new SluiceError(
    'SLUICE_INPUT_INVALID',
    `${name} seems to hold a card number; give the token of the card, or leave the number out.`,
    { details: { reason: 'card_number_suspected', field: name } },
  )
}

function parseBounded(
  text: string,
  min: number,
  max: number,
  kind: string,
  accepts: (value: number) => boolean,
): number {
  const value = text.trim() === '' ? Number.NaN : Number(text)
  if (accepts(value) && value >= min && value <= max) return value
  throw new InvalidArgumentError(`Give ${kind} from ${min} to ${max}.`)
}

/** The signal that asked a command to stop. Its exit code is the shell's code for that signal. */
export class Interrupted extends Error {
  readonly exitCode: number

  constructor(signal: 'SIGINT' | 'SIGTERM') {
    super(`Stopped by ${signal}.`)
    this.name = 'Interrupted'
    this.exitCode = signal === 'SIGINT' ? 130 : 143
  }
}

/**
 * Aborts at the first SIGINT or SIGTERM, with an `Interrupted` as reason. Repeated signals are ignored, since one
 * Ctrl-C can arrive twice (from the terminal and from npm); shutdown has its own time limits.
 */
export function interruptSignal(): AbortSignal {
  const controller = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (!controller.signal.aborted) controller.abort(new Interrupted(signal))
    })
  }
  return controller.signal
}
