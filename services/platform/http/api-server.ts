// A small HTTP service: routes with rights, limits on bodies, rates and times, and problem details for refused
// requests. Loopback by default; in production behind a proxy that terminates TLS.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Clock } from '../../core/clock.ts'
import { SluiceError } from '../../core/errors.ts'
import { TokenBucket } from '../../core/token-bucket.ts'
import type { Closable } from '../lifecycle.ts'
import type { Logger } from '../log.ts'
import { authorise, type BearerToken, type Right } from './bearer-tokens.ts'
import {
  type JsonFields,
  Problem,
  problemBody,
  type ProblemCode,
  PROBLEMS,
  readJsonBody,
} from './json-body.ts'

const REQUEST_MS_MAX = 10_000
const HEADERS_MS_MAX = 5_000
const CONNECTIONS_MAX = 1_024
/** Callers without a right share one bucket, so that they cannot use up the buckets of those with one. */
const STRANGERS = { perSecond: 5, burst: 20 }

export interface ApiRequest {
  /** The name of the token's holder; null when the token has none. */
  readonly caller: string | null
  readonly query: URLSearchParams
  /** Value of a header, in lower case; null when it is absent. */
  header(name: string): string | null
  /** Reads the body. @throws Problem */
  body(): Promise<JsonFields>
}

export interface ApiAnswer {
  readonly status: 200 | 201
  readonly body: unknown
}

export interface Route {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly needs: Right
  readonly answer: (request: ApiRequest) => ApiAnswer | Promise<ApiAnswer>
}

export interface ApiServerOptions {
  readonly host: string
  /** 0 for a free one. */
  readonly port: number
  readonly tokens: readonly BearerToken[]
  readonly requestsPerSecondMax: number
  readonly routes: readonly Route[]
  readonly clock: Clock
  readonly log: Logger
  /** Called once for each request; `problem` is null when it was answered. */
  readonly onAnswered: (problem: ProblemCode | null) => void
}

export interface ApiServer extends Closable {
  readonly port: number
}

/** @throws SluiceError SLUICE_CONFIG_INVALID when the port is in use or the address does not belong to this machine. */
export async function openApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const handler = new Handler(options)
  const server = createServer((request, response) => {
    void handler.handle(request, response)
  })
  server.requestTimeout = REQUEST_MS_MAX
  server.headersTimeout = HEADERS_MS_MAX
  server.maxConnections = CONNECTIONS_MAX
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, options.host, resolve)
  }).catch((error: unknown) => {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown'
    throw new SluiceError(
      'SLUICE_CONFIG_INVALID',
      `${options.host}:${options.port} cannot be listened on (${code}); give another host or port.`,
      { cause: error },
    )
  })
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve()
        })
        server.closeIdleConnections()
        // Requests in progress may finish; a slow caller may not delay the stop.
        setTimeout(() => {
          server.closeAllConnections()
        }, HEADERS_MS_MAX).unref()
      }),
  }
}

class Handler {
  readonly #options: ApiServerOptions
  readonly #callers: TokenBucket
  readonly #strangers: TokenBucket

  constructor(options: ApiServerOptions) {
    this.#options = options
    const nowMs = options.clock.monotonicMs()
    const perSecond = options.requestsPerSecondMax
    this.#callers = new TokenBucket({ perSecond, burst: perSecond }, nowMs)
    this.#strangers = new TokenBucket(STRANGERS, nowMs)
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const { status, body } = await this.#answer(request)
      send(response, status, 'application/json', body, {})
      this.#options.onAnswered(null)
    } catch (error) {
      const problem = error instanceof Problem ? error : this.#internal(error)
      const { status } = PROBLEMS[problem.code]
      send(response, status, 'application/problem+json', problemBody(problem), problem.headers)
      this.#options.onAnswered(problem.code)
    }
  }

  async #answer(request: IncomingMessage): Promise<ApiAnswer> {
    const [path = '', query = ''] = (request.url ?? '').split('?', 2)
    const route = this.#route(request.method ?? '', path)
    let caller: string | null
    try {
      caller = authorise(request.headers.authorization, this.#options.tokens, route.needs).name
    } catch (problem) {
      this.#takeToken(this.#strangers)
      throw problem
    }
    this.#takeToken(this.#callers)
    return route.answer({
      caller,
      query: new URLSearchParams(query),
      header: (name) => {
        const value = request.headers[name]
        return typeof value === 'string' ? value : null
      },
      body: () => readJsonBody(request),
    })
  }

  #route(method: string, path: string): Route {
    const there = this.#options.routes.filter((route) => route.path === path)
    const route = there.find((each) => each.method === method)
    if (route !== undefined) return route
    const known = this.#options.routes.map((each) => `${each.method} ${each.path}`).join(', ')
    if (there.length === 0) throw new Problem('not_found', `This service has ${known}.`)
    const allow = there.map((each) => each.method).join(', ')
    throw new Problem('method_not_allowed', `This service has ${known}.`, { headers: { allow } })
  }

  #takeToken(bucket: TokenBucket): void {
    const waitMs = bucket.take(this.#options.clock.monotonicMs())
    if (waitMs === 0) return
    const seconds = String(Math.ceil(waitMs / 1_000))
    throw new Problem('too_many_requests', `Try again in ${seconds} s.`, {
      headers: { 'retry-after': seconds },
    })
  }

  #internal(error: unknown): Problem {
    this.#options.log.error({ err: error }, 'A request could not be answered.')
    return new Problem('internal', 'Something went wrong here; try again, and tell the operator.')
  }
}

function send(
  response: ServerResponse,
  status: number,
  type: string,
  body: unknown,
  headers: Readonly<Record<string, string>>,
): void {
  const text = `${JSON.stringify(body)}\n`
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...headers,
  })
  response.end(text)
}
