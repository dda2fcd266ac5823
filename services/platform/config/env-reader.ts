// Reads environment variables into checked values and reports every problem at once.

import { SluiceError } from '../../core/errors.ts'

type Environment = Readonly<Record<string, string | undefined>>

interface NumberOptions {
  readonly default?: number
  readonly min: number
  readonly max: number
}

/** Collects problems while reading; `throwIfInvalid` raises one error that names each bad variable. */
export class EnvReader {
  readonly #env: Environment
  readonly #problems: string[] = []

  constructor(env: Environment) {
    this.#env = env
  }

  /** A non-empty string; without default the variable is required. */
  string(name: string, options: { readonly default?: string } = {}): string {
    const value = this.#env[name]
    if (value !== undefined && value !== '') return value
    if (options.default !== undefined) return options.default
    this.#problems.push(`${name} is not set; give it a value.`)
    return ''
  }

  /** A string or null when the variable is absent or empty. */
  optionalString(name: string): string | null {
    const value = this.#env[name]
    return value === undefined || value === '' ? null : value
  }

  /** A comma-separated list with at least one entry. */
  list(name: string, options: { readonly default?: readonly string[] } = {}): readonly string[] {
    const value = this.#env[name]
    if (value === undefined || value === '') {
      if (options.default !== undefined) return options.default
      this.#problems.push(`${name} is not set; give a comma-separated list.`)
      return []
    }
    const entries = value
      .split(',')
      .map((entry) => entry.trim())
      .filter((entry) => entry !== '')
    if (entries.length === 0) this.#problems.push(`${name}="${value}" has no entry.`)
    return entries
  }

  integer(name: string, options: NumberOptions): number {
    return this.#number(name, options, 'an integer', Number.isSafeInteger)
  }

  number(name: string, options: NumberOptions): number {
    return this.#number(name, options, 'a number', Number.isFinite)
  }

  boolean(name: string, options: { readonly default: boolean }): boolean {
    const value = this.#env[name]
    if (value === undefined || value === '') return options.default
    if (value === 'true' || value === '1') return true
    if (value === 'false' || value === '0') return false
    this.#problems.push(`${name}="${value}" is not a boolean; use true or false.`)
    return options.default
  }

  /** One of a closed set of words. */
  choice<Word extends string>(
    name: string,
    words: readonly Word[],
    options: { readonly default: Word },
  ): Word {
    const value = this.#env[name]
    if (value === undefined || value === '') return options.default
    const found = words.find((word) => word === value)
    if (found !== undefined) return found
    this.#problems.push(`${name}="${value}" is unknown; use one of ${words.join(', ')}.`)
    return options.default
  }

  /** A relation between options; the sentence is reported when it does not hold. */
  check(holds: boolean, sentence: string): void {
    if (!holds) this.#problems.push(sentence)
  }

  /** @throws SluiceError SLUICE_CONFIG_INVALID naming every problem. */
  throwIfInvalid(): void {
    if (this.#problems.length === 0) return
    throw new SluiceError(
      'SLUICE_CONFIG_INVALID',
      `The configuration has ${this.#problems.length} problem(s):\n  ${this.#problems.join('\n  ')}`,
      { details: { problems: [...this.#problems] } },
    )
  }

  #number(
    name: string,
    options: NumberOptions,
    kind: string,
    accepts: (value: number) => boolean,
  ): number {
    const text = this.#env[name]
    if (text === undefined || text === '') {
      if (options.default !== undefined) return options.default
      this.#problems.push(`${name} is not set; give ${kind}.`)
      return options.min
    }
    const value = Number(text)
    if (accepts(value) && value >= options.min && value <= options.max) return value
    this.#problems.push(
      `${name}="${text}" is not ${kind} from ${options.min} to ${options.max}; change it.`,
    )
    return options.min
  }
}
