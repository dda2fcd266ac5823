// The HTTP side of the gateway: tokens, limits, request ids, and problem details for whatever is refused. Routes say what
// is answered.

import { randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Clock } from '../core/clock.ts'
import { SluiceError } from '../core/errors.ts'
import { TokenBucket } from '../core/token-bucket.ts'
import { identifierFault } from '../core/wire/validation.ts'
import { authorise } from '../platform/http/bearer-tokens.ts'
import { Problem, problemBody, PROBLEMS } from '../platform/http/json-body.ts'
import type { Closable } from '../platform/lifecycle.ts'
import type { Logger } from '../platform/log.ts'
import type { GatewayRoute, GatewayTelemetry } from '../platform/metrics/gateway-telemetry.ts'
import type { GatewayConfig } from './config.ts'

const REQUEST_MS_MAX = 10_000
const HEADERS_MS_MAX = 5_000
const KEEP_ALIVE_MS = 75_000
const CONNECTIONS_MAX = 10_000
const CLOSE_MS_MAX = 5_000
/** Callers without a token share one bucket, so that they cannot use up those of others. */
const STRANGERS = { perSecond: 20, burst: 50 }
const BODY_BYTES_MAX = 16_384
export const BATCH_BODY_BYTES_MAX = 1_048_576
const REQUEST_ID = /^[A-Za-z0-9._:-]{1,64}$/
export const REQUEST_ID_HEADER = 'x-request-id'

/** What a route knows about its request. */
export interface Call {
  readonly requestId: string
  /** Name of the token's holder; null where none is asked for. */
  readonly caller: string | null
  /** Arrival of its head, by `performance.now()`. */
  readonly arrivedMs: number
  readonly request: FastifyRequest
}

export interface GatewayRouteDefinition {
  readonly name: GatewayRoute
  readonly method: 'GET' | 'POST'
  /** As fastify writes it, `:name` for a parameter. */
  readonly path: string
  readonly needsToken: boolean
  readonly bodyBytesMax?: number
  /** The body of the answer, status 200. @throws Problem */
  readonly answer: (call: Call) => unknown
}

export interface HttpServerOptions {
  readonly config: Pick<GatewayConfig, 'http' | 'tls' | 'tokens' | 'requestsPerSecondMax'>
  readonly clock: Clock
  readonly log: Logger
  readonly telemetry: Pick<GatewayTelemetry, 'answered'>
  readonly routes: readonly GatewayRouteDefinition[]
}

export interface HttpServer extends Closable {
  readonly port: number
}

/** @throws SluiceError SLUICE_CONFIG_INVALID when the port is in use or the address does not belong to this machine. */
export async function openHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const server = new Server(options)
  await server.listen()
  return server
}

class Server implements HttpServer {
  readonly #options: HttpServerOptions
  readonly #app: FastifyInstance
  readonly #buckets = new Map<string, TokenBucket>()
  readonly #strangers: TokenBucket
  readonly #calls = new WeakMap<FastifyRequest, Call & { readonly route: GatewayRoute }>()

  constructor(options: HttpServerOptions) {
    this.#options = options
    this.#strangers = new TokenBucket(STRANGERS, options.clock.monotonicMs())
    this.#app = openFastify(options.config.tls)
    this.#app.server.headersTimeout = HEADERS_MS_MAX
    this.#app.server.maxConnections = CONNECTIONS_MAX
    this.#app.removeContentTypeParser('text/plain')
    for (const route of options.routes) this.#add(route)
    this.#app.setNotFoundHandler((request, reply) => {
      this.#refuse(request, reply, this.#notFound(request))
    })
    this.#app.setErrorHandler((error, request, reply) => {
      this.#refuse(request, reply, this.#problemOf(error))
    })
  }

  get port(): number {
    return (this.#app.server.address() as AddressInfo).port
  }

  async listen(): Promise<void> {
    const { host, port } = this.#options.config.http
    try {
      await this.#app.listen({ host, port })
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? 'unknown'
      throw new SluiceError(
        'SLUICE_CONFIG_INVALID',
        `${host}:${port} cannot be listened on (${code}); give another host or port.`,
        { cause: error },
      )
    }
  }

  /** Stops listening and waits for requests in progress; a slow caller may not delay the stop. */
  async close(): Promise<void> {
    const limit = setTimeout(() => {
      this.#app.server.closeAllConnections()
    }, CLOSE_MS_MAX)
    await this.#app.close()
    clearTimeout(limit)
  }

  #add({ name, method, path, needsToken, bodyBytesMax, answer }: GatewayRouteDefinition): void {
    this.#app.route({
      method,
      url: path,
      bodyLimit: bodyBytesMax ?? BODY_BYTES_MAX,
      // Before the body is read: a stranger's body is not.
      onRequest: (request, reply, done) => {
        const arrivedMs = performance.now()
        const requestId = request.id
        void reply.header(REQUEST_ID_HEADER, requestId)
        this.#calls.set(request, { route: name, requestId, caller: null, arrivedMs, request })
        const caller = this.#admit(request, needsToken)
        this.#calls.set(request, { route: name, requestId, caller, arrivedMs, request })
        done()
      },
      handler: async (request, reply) => {
        const call = this.#calls.get(request)
        if (call === undefined) throw new Error('A request passed its first hook.')
        const body = await answer(call)
        this.#options.telemetry.answered(name, null)
        return reply
          .headers({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
          .send(body)
      },
    })
  }

  /** The holder of the token. @throws Problem */
  #admit(request: FastifyRequest, needsToken: boolean): string | null {
    if (!needsToken) {
      this.#take(this.#strangers)
      return null
    }
    const { tokens, requestsPerSecondMax } = this.#options.config
    let name: string
    try {
      name = authorise(request.headers.authorization, tokens, 'write').name ?? ''
    } catch (problem) {
      this.#take(this.#strangers)
      throw problem
    }
    let bucket = this.#buckets.get(name)
    if (bucket === undefined) {
      const limits = { perSecond: requestsPerSecondMax, burst: requestsPerSecondMax }
      bucket = new TokenBucket(limits, this.#options.clock.monotonicMs())
      this.#buckets.set(name, bucket)
    }
    this.#take(bucket)
    return name
  }

  #take(bucket: TokenBucket): void {
    const waitMs = bucket.take(this.#options.clock.monotonicMs())
    if (waitMs > 0) throw tooMany('Too many requests with this token.', waitMs)
  }

  #notFound({ method, url }: FastifyRequest): Problem {
    const [path = ''] = url.split('?', 1)
    const allow = ['GET', 'POST'].filter(
      (other) => other !== method && this.#app.findRoute({ url: path, method: other }),
    )
    const known = this.#options.routes.map((each) => `${each.method} ${each.path}`).join(', ')
    if (allow.length === 0) return new Problem('not_found', `This service has ${known}.`)
    const headers = { allow: allow.join(', ') }
    return new Problem('method_not_allowed', `This service has ${known}.`, { headers })
  }

  #refuse(request: FastifyRequest, reply: FastifyReply, problem: Problem): void {
    this.#options.telemetry.answered(this.#calls.get(request)?.route ?? 'none', problem.code)
    void reply
      .status(PROBLEMS[problem.code].status)
      .headers({
        [REQUEST_ID_HEADER]: request.id,
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        ...problem.headers,
      })
      .type('application/problem+json')
      .send(problemBody(problem))
  }

  #problemOf(error: unknown): Problem {
    if (error instanceof Problem) return error
    const { code, statusCode } = error as { readonly code?: string; readonly statusCode?: number }
    if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
      // The rest of the body is not read, so the connection cannot be reused.
      return new Problem('too_large', 'The body has more bytes than this path takes.', {
        headers: { connection: 'close' },
      })
    }
    if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
      return new Problem(
        'unsupported_media_type',
        'Send JSON, with "Content-Type: application/json".',
      )
    }
    if (statusCode === 400) return new Problem('malformed', 'The body is not JSON in UTF-8.')
    this.#options.log.error({ err: error }, 'A request could not be answered.')
    return new Problem('internal', 'Something went wrong here; try again, and tell the operator.')
  }
}

/** A refusal for now. */
export function tooMany(what: string, waitMs: number): Problem {
  const seconds = String(Math.ceil(waitMs / 1_000))
  return new Problem('too_many_requests', `${what} Try again in ${seconds} s.`, {
    headers: { 'retry-after': seconds },
  })
}

function openFastify(tls: GatewayConfig['tls']): FastifyInstance {
  const options = {
    logger: false,
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_MS_MAX,
    keepAliveTimeout: KEEP_ALIVE_MS,
    forceCloseConnections: 'idle',
    requestIdHeader: false,
    genReqId: ({ headers }: { headers: Readonly<Record<string, string | string[] | undefined>> }) =>
      requestIdOf(headers[REQUEST_ID_HEADER]),
  } as const
  if (tls === null) return fastify(options)
  const { cert, key, clientCa } = tls
  const https = {
    cert,
    key: key.reveal(),
    ...(clientCa === null ? {} : { ca: clientCa, requestCert: true, rejectUnauthorized: true }),
  }
  return fastify({ ...options, https })
}

/** The caller's own id, if it is a sound one, so that both logs can be compared. */
function requestIdOf(given: string | string[] | undefined): string {
  const isSound =
    typeof given === 'string' && REQUEST_ID.test(given) && identifierFault(given) === null
  return isSound ? given : randomUUID()
}
