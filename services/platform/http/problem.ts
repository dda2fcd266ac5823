// Problem details (RFC 9457): what every HTTP service of Sluice answers when it cannot do what was asked.

/** Every problem, with its status and title. Closed list: the code ends the `type` and is a metric label. */
export const PROBLEMS = {
  malformed: { status: 400, title: 'The body is no JSON.' },
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

/** Thrown by whoever answers a request. `detail` is for the caller: it holds no secret and no stack. */
export class Problem extends Error {
  readonly code: ProblemCode
  readonly headers: Readonly<Record<string, string>>
  /** The field at fault; null when it is the request as a whole. */
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

/** The body of an answer of type application/problem+json. */
export function problemBody({ code, message, field }: Problem): Readonly<Record<string, unknown>> {
  const { status, title } = PROBLEMS[code]
  const type = `urn:sluice:problem:${code}`
  return { type, title, status, detail: message, ...(field === null ? {} : { field }) }
}
