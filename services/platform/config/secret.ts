// Secrets as values that cannot be printed by accident.

import { inspect } from 'node:util'

const MASK = '[secret]'

/** Holds a secret. Strings, JSON, `inspect` and logs show a mask; only `reveal` gives the value. */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  /** The value itself: for the call that hands it to a client, and for nothing else. */
  reveal(): string {
    return this.#value
  }

  toString(): string {
    return MASK
  }

  toJSON(): string {
    return MASK
  }

  [inspect.custom](): string {
    return MASK
  }
}
