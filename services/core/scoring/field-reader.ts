// Reads parsed JSON strictly: every value is read by name and type, unknown fields are refused, and the error names
// the place.

import { SluiceError } from '../errors.ts'

/** Reads one JSON object; `path` names its place, such as `manifest.json: thresholds`. */
export class FieldReader {
  readonly #path: string
  readonly #fields: Map<string, unknown>
  readonly #asked = new Set<string>()
  readonly #fail: (problem: string) => SluiceError

  /**
   * `fail` makes the error for any problem; by default that of a damaged model folder.
   * @throws SluiceError when the value is not an object.
   */
  constructor(value: unknown, path: string, fail: (problem: string) => SluiceError = corrupt) {
    this.#path = path
    this.#fail = fail
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw fail(`${path} is not a JSON object`)
    }
    this.#fields = new Map(Object.entries(value))
  }

  /** True when the field exists, whatever its value. */
  has(name: string): boolean {
    return this.#fields.has(name)
  }

  /** The names of all fields, known or not. */
  get names(): readonly string[] {
    return [...this.#fields.keys()]
  }

  /** True for a field that is null; the field then counts as read. */
  isNull(name: string): boolean {
    if (this.#fields.get(name) !== null) return false
    this.#asked.add(name)
    return true
  }

  string(name: string, lengthMax = 256): string {
    const value = this.#take(name)
    if (typeof value !== 'string' || value.length === 0 || value.length > lengthMax) {
      throw this.#wrong(name, value, `a string of 1 to ${lengthMax} characters`)
    }
    return value
  }

  /** A string that may be empty. */
  text(name: string, lengthMax = 256): string {
    const value = this.#take(name)
    if (typeof value === 'string' && value.length <= lengthMax) return value
    throw this.#wrong(name, value, `a string of at most ${lengthMax} characters`)
  }

  /** A SHA-256 in hex. */
  digest(name: string): string {
    const value = this.#take(name)
    if (typeof value !== 'string' || !/^[0-9a-f]{64}$/.test(value)) {
      throw this.#wrong(name, value, 'a SHA-256 in hex')
    }
    return value
  }

  oneOf<const Choice extends string>(name: string, choices: readonly Choice[]): Choice {
    const value = this.#take(name)
    const choice = choices.find((candidate) => candidate === value)
    if (choice === undefined) throw this.#wrong(name, value, `one of ${choices.join(', ')}`)
    return choice
  }

  boolean(name: string): boolean {
    const value = this.#take(name)
    if (typeof value !== 'boolean') throw this.#wrong(name, value, 'true or false')
    return value
  }

  /** A finite number within [min, max]. */
  number(name: string, min = -Number.MAX_VALUE, max = Number.MAX_VALUE): number {
    const value = this.#take(name)
    if (!isWithin(value, min, max)) throw this.#wrong(name, value, `a number ${min} to ${max}`)
    return value
  }

  numberOrNull(name: string): number | null {
    return this.#fields.get(name) === null ? this.#takeNull(name) : this.number(name)
  }

  integer(name: string, min = 0, max = Number.MAX_SAFE_INTEGER): number {
    const value = this.#take(name)
    if (!Number.isSafeInteger(value) || !isWithin(value, min, max)) {
      throw this.#wrong(name, value, `an integer ${min} to ${max}`)
    }
    return value
  }

  object<Read>(name: string, read: (fields: FieldReader) => Read): Read {
    const fields = new FieldReader(this.#take(name), this.#at(name), this.#fail)
    const result = read(fields)
    fields.end()
    return result
  }

  objectOrNull<Read>(name: string, read: (fields: FieldReader) => Read): Read | null {
    return this.#fields.get(name) === null ? this.#takeNull(name) : this.object(name, read)
  }

  /** An array of at most `lengthMax` objects. */
  objects<Read>(
    name: string,
    lengthMax: number,
    read: (fields: FieldReader) => Read,
  ): readonly Read[] {
    return this.array(name, lengthMax, (value, path) => {
      const fields = new FieldReader(value, path, this.#fail)
      const result = read(fields)
      fields.end()
      return result
    })
  }

  array<Read>(
    name: string,
    lengthMax: number,
    read: (value: unknown, path: string) => Read,
  ): readonly Read[] {
    const value = this.#take(name)
    if (!Array.isArray(value) || value.length > lengthMax) {
      throw this.#wrong(name, value, `an array of at most ${lengthMax} entries`)
    }
    return value.map((entry: unknown, index) => read(entry, `${this.#at(name)}[${index}]`))
  }

  /** Refuses fields that were not read: they would be settings without effect. */
  end(): void {
    for (const name of this.#fields.keys()) {
      if (!this.#asked.has(name)) throw this.#fail(`${this.#at(name)} is not a known field`)
    }
  }

  #take(name: string): unknown {
    this.#asked.add(name)
    return this.#fields.get(name)
  }

  #takeNull(name: string): null {
    this.#asked.add(name)
    return null
  }

  #at(name: string): string {
    return `${this.#path}.${name}`
  }

  #wrong(name: string, value: unknown, expected: string): SluiceError {
    const found = value === undefined ? 'absent' : shorten(JSON.stringify(value))
    return this.#fail(`${this.#at(name)} is ${found}, but must be ${expected}`)
  }
}

/** An array entry that is a string. @throws SluiceError SLUICE_MODEL_CORRUPT */
export function readString(value: unknown, path: string): string {
  if (typeof value === 'string') return value
  throw corrupt(`${path} is ${shorten(JSON.stringify(value))}, but must be a string`)
}

/** An array entry that is a finite number. @throws SluiceError SLUICE_MODEL_CORRUPT */
export function readNumber(value: unknown, path: string): number {
  if (isWithin(value, -Number.MAX_VALUE, Number.MAX_VALUE)) return value
  throw corrupt(`${path} is ${shorten(JSON.stringify(value))}, but must be a finite number`)
}

/** The error for a model folder that differs from what was written. `problem` reads as the start of a sentence. */
export function corrupt(problem: string, cause?: unknown): SluiceError {
  return new SluiceError(
    'SLUICE_MODEL_CORRUPT',
    `The model cannot be used: ${problem}. Restore the folder, or make it again with "sluice train".`,
    { cause, details: { problem } },
  )
}

function isWithin(value: unknown, min: number, max: number): value is number {
  return typeof value === 'number' && value >= min && value <= max
}

function shorten(text: string): string {
  return text.length <= 80 ? text : `${text.slice(0, 77)}...`
}
