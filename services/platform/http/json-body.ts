// Bodies of HTTP requests (JSON of a bounded size with checked fields) and problem details (RFC 9457), the answer to each
// refused request.

import type { IncomingMessage } from 'node:http'
import { mentionsCardNumber } from '../../core/card-numbers.ts'
import { identifierFault } from '../../core/wire/validation.ts'

/** Every problem, with its status and title. Closed list: the code ends the `type` and is a metric label. */
export const PROBLEMS = {
  malformed: { status: 400, title: 'The body is not JSON.' },
  unauthorised: { status: 401, title: 'A bearer token is needed.' },
  forbidden: { status: 403, title: 'This token may not do that.' },
  not_found: { status: 404, title: 'There is no such thing.' },
  method_not_allowed: { status: 405, title: 'This path has other methods.' },
  conflict: { status: 409, title: 'It contradicts what was said before.' },
  too_large: { status: 413, title: 'The body is too large.' },
  unsupported_media_type: { status: 415, title: 'Only application/json is read.' },
  invalid: { status: 422, title: 'A field is missing or out of range.' },
  card_number_suspected: { status: 422, title: 'A field seems to hold a card number.' },
  too_many_requests: { status: 429, title: 'Too many requests.' },
  internal: { status: 500, title: 'A fault of ours; the log has it.' },
  not_ready: { status: 503, title: 'The service is not ready yet.' },
} as const satisfies Readonly<Record<string, { readonly status: number; readonly title: string }>>

export type ProblemCode = keyof typeof PROBLEMS

export const PROBLEM_CODES = Object.keys(PROBLEMS) as readonly ProblemCode[]

/** Thrown by request handlers. `detail` is for the caller, so it holds no secret and no stack. */
export class Problem extends Error {
  readonly code: ProblemCode
  readonly headers: Readonly<Record<string, string>>
  /** The field at fault; null when the whole request is. */
  readonly field: string | null

  constructor(
    code: ProblemCode,
    detail: string,
    more: {
      readonly field?: string
      readonly headers?: Readonly<Record<string, string>>
      readonly cause?: unknown
    } = {},
  ) {
    super(detail, more.cause === undefined ? undefined : { cause: more.cause })
    this.name = 'Problem'
    this.code = code
    this.field = more.field ?? null
    this.headers = more.headers ?? {}
  }
}

export interface ProblemBody {
  readonly type: `urn:sluice:problem:${ProblemCode}`
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly field?: string
}

/** The body of an answer of type application/problem+json. */
export function problemBody({ code, message, field }: Problem): ProblemBody {
  const { status, title } = PROBLEMS[code]
  const type = `urn:sluice:problem:${code}` as const
  return { type, title, status, detail: message, ...(field === null ? {} : { field }) }
}

/** Largest body, bytes. */
export const BODY_BYTES_MAX = 16_384

/** @throws Problem unsupported_media_type, too_large, malformed, or invalid when it is not an object. */
export async function readJsonBody(request: IncomingMessage): Promise<JsonFields> {
  const [type = ''] = (request.headers['content-type'] ?? '').split(';')
  if (type.trim().toLowerCase() !== 'application/json')
    throw new Problem('unsupported_media_type', 'Send JSON, with "Content-Type: application/json".')
  const declared = request.headers['content-length']
  if (declared !== undefined && Number(declared) > BODY_BYTES_MAX) throw tooLarge()
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
    throw new Problem('malformed', 'The body is not JSON in UTF-8.', { cause: error })
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Readonly<Record<string, unknown>>
  throw new Problem('invalid', 'The body must be one JSON object.')
}

function tooLarge(): Problem {
  // The rest of the body is not read, so the connection cannot be reused.
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

  /** Refuses unknown fields, so that a misspelt one is not ignored. */
  only(names: readonly string[]): void {
    const other = Object.keys(this.#fields).find((name) => !names.includes(name))
    if (other !== undefined)
      throw new Problem('invalid', `There is no such field; known are ${names.join(', ')}.`, {
        field: other.slice(0, 64),
      })
  }

  /** Free text, or null when the field is absent or null. Text that holds a card number is refused. */
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

  /** As `freeText`, but required. */
  neededFreeText(name: string, charactersMax: number): string {
    return needed(name, this.freeText(name, charactersMax))
  }

  /** As `identifier`, but required. */
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
