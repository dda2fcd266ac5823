// Reads environment variables into checked values and reports every problem at once.

import { SluiceError } from '../../core/errors.ts'
import type { Variable } from './variable.ts'
import {
  type TextVariableName,
  type VariableName,
  VARIABLES,
  type VariableValue,
} from './variables.ts'

type Environment = Readonly<Record<string, string | undefined>>

const LIST_ENTRIES_MAX = 256
const VALUE_CHARACTERS_MAX = 65_536

/** Collects problems while reading; `throwIfInvalid` raises one error that names each bad variable. */
export class EnvReader {
  readonly #env: Environment
  readonly #problems: string[] = []

  constructor(env: Environment) {
    this.#env = env
  }

  /** True when the variable has a value; an empty one counts as not set. */
  isSet(name: VariableName): boolean {
    return this.#textOf(name) !== null
  }

  /** The checked value of a variable, or its default. After a problem it is the default. */
  value<Name extends VariableName>(name: Name): VariableValue<Name> {
    const variable: Variable = VARIABLES[name]
    const text = this.#textOf(name)
    // The list of variables determines each name's kind; TypeScript cannot follow that through a lookup.
    return (
      text === null ? variable.default : this.#parse(name, variable, text)
    ) as VariableValue<Name>
  }

  /** Text of a variable that is set; null when it is not, whatever its default. */
  textIfSet(name: TextVariableName): string | null {
    return this.isSet(name) ? this.value(name) : null
  }

  /** A condition on several options; the sentence is reported when it does not hold. */
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

  #textOf(name: VariableName): string | null {
    const text = this.#env[name]
    if (text === undefined || text === '') return null
    if (text.length <= VALUE_CHARACTERS_MAX) return text
    this.#problems.push(`${name} has more than ${VALUE_CHARACTERS_MAX} characters; shorten it.`)
    return null
  }

  #parse(name: string, variable: Variable, text: string): Variable['default'] {
    switch (variable.kind) {
      case 'text':
        return text
      case 'list':
        return this.#list(name, text)
      case 'choice':
        if (variable.words.includes(text)) return text
        this.#problems.push(
          `${name}="${text}" is unknown; use one of ${variable.words.join(', ')}.`,
        )
        return variable.default
      case 'boolean':
        if (text === 'true' || text === '1') return true
        if (text === 'false' || text === '0') return false
        this.#problems.push(`${name}="${text}" is not a boolean; use true or false.`)
        return variable.default
      case 'integer':
        return this.#number(name, variable, text, 'an integer', Number.isSafeInteger)
      case 'number':
        return this.#number(name, variable, text, 'a number', Number.isFinite)
    }
  }

  #list(name: string, text: string): readonly string[] {
    const entries = text
      .split(',')
      .map((entry) => entry.trim())
      .filter((entry) => entry !== '')
    if (entries.length === 0) this.#problems.push(`${name}="${text}" has no entry.`)
    if (entries.length > LIST_ENTRIES_MAX)
      this.#problems.push(`${name} has more than ${LIST_ENTRIES_MAX} entries.`)
    return entries
  }

  #number(
    name: string,
    range: { readonly default: number; readonly min: number; readonly max: number },
    text: string,
    kind: string,
    accepts: (value: number) => boolean,
  ): number {
    const value = Number(text)
    if (accepts(value) && value >= range.min && value <= range.max) return value
    this.#problems.push(
      `${name}="${text}" is not ${kind} from ${range.min} to ${range.max}; change it.`,
    )
    return range.default
  }
}

/**
 * SLUICE_GROUP_ID, or a name with the stream's prefix. Two streams in one group on one cluster would be assigned each
 * other's partitions.
 */
export function readGroupId(read: EnvReader, topicPrefix: string): string {
  return read.value('SLUICE_GROUP_ID') ?? `${topicPrefix}sluice-scorer`
}
