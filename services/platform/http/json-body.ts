// The body of a request: JSON of a bounded size, and its fields as checked values.

import type { IncomingMessage } from 'node:http'
import { mentionsCardNumber } from '../../core/card-numbers.ts'
import { identifierFault } from '../../core/wire/field-checks.ts'
import { Problem } from './problem.ts'

/** Largest body, bytes. */
export const BODY_BYTES_MAX = 16_384

/** @throws Problem unsupported_media_type, too_large, malformed, or invalid for anything but an object. */
export async function readJsonBody(request: IncomingMessage): Promise<JsonFields> {
  const [type = ''] = (request.headers['content-type'] ?? '').split(';')
  if (type.trim().toLowerCase() !== 'application/json')
    throw new Problem('unsupported_media_type', 'Send JSON, with "Content-Type: application/json".')
  if (Number(request.headers['content-length'] ?? 0) > BODY_BYTES_MAX) throw tooLarge()
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request) {
    bytes += (chunk as Buffer).length
    if (bytes > BODY_BYTES_MAX) throw tooLarge()
    chunks.push(chunk as Buffer)
  }
  return new JsonFields(parsed(Buffer.concat(chunks)))
}

function parsed(bytes: Buffer): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    throw new Problem('malformed', 'The body is no JSON in UTF-8.', { cause: error })
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Readonly<Record<string, unknown>>
  throw new Problem('invalid', 'The body must be one JSON object.')
}

function tooLarge(): Problem {
  // What is left of the body is not read, so the connection is of no further use.
  return new Problem('too_large', `The body has more than ${BODY_BYTES_MAX} bytes.`, {
    headers: { connection: 'close' },
  })
}

/** Fields of a JSON object, read one by one. Each reader throws a Problem `invalid` that names the field. */
export class JsonFields {
  readonly #fields: Readonly<Record<string, unknown>>

  constructor(fields: Readonly<Record<string, unknown>>) {
    this.#fields = fields
  }

  /** Refuses fields that nobody reads: a misspelt one must not be passed over. */
  only(names: readonly string[]): void {
    const other = Object.keys(this.#fields).find((name) => !names.includes(name))
    if (other !== undefined)
      throw new Problem('invalid', `There is no such field; known are ${names.join(', ')}.`, {
        field: other.slice(0, 64),
      })
  }

  /** Text that a person writes, or null when the field is absent or null. Text that holds a card number is refused. */
  freeText(name: string, charactersMax: number): string | null {
    const value = this.#text(name, charactersMax)
    if (value !== null && mentionsCardNumber(value)) throw cardNumberIn(name)
    return value
  }

  /** An id or a token, or null when the field is absent or null. One that holds a card number is refused. */
  identifier(name: string, charactersMax: number): string | null {
    const value = this.#text(name, charactersMax)
    if (value !== null && identifierFault(value) === 'card_number_suspected')
      throw cardNumberIn(name)
    return value
  }

  /** Text of 1 to `charactersMax` characters, or null when the field is absent or null. */
  #text(name: string, charactersMax: number): string | null {
    const value = this.#fields[name]
    if (value === undefined || value === null) return null
    if (typeof value === 'string' && value !== '' && value.length <= charactersMax) return value
    throw new Problem('invalid', `Give text of 1 to ${charactersMax} characters.`, { field: name })
  }

  /** As `freeText`, but it must be there. */
  neededFreeText(name: string, charactersMax: number): string {
    return needed(name, this.freeText(name, charactersMax))
  }

  /** As `identifier`, but it must be there. */
  neededIdentifier(name: string, charactersMax: number): string {
    return needed(name, this.identifier(name, charactersMax))
  }

  /** One of the words, or null when the field is absent or null. */
  word<Word extends string>(name: string, words: readonly Word[]): Word | null {
    const value = this.#fields[name]
    if (value === undefined || value === null) return null
    const word = words.find((each) => each === value)
    if (word !== undefined) return word
    throw new Problem('invalid', `Give one of ${words.join(', ')}.`, { field: name })
  }

  /** An integer, or null when the field is absent or null. */
  integer(name: string): number | null {
    const value = this.#fields[name]
    if (value === undefined || value === null) return null
    if (typeof value === 'number' && Number.isSafeInteger(value)) return value
    throw new Problem('invalid', 'Give an integer.', { field: name })
  }
}

function needed(field: string, value: string | null): string {
  if (value === null) throw new Problem('invalid', 'This field is needed.', { field })
  return value
}

/** The value is not repeated (P8). */
function cardNumberIn(field: string): Problem {
  return new Problem(
    'card_number_suspected',
    'This field seems to hold a card number; send the token of the card, or leave the number out.',
    { field },
  )
}
