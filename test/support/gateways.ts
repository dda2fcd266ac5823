// Gateways of a stream and requests to them. A gateway runs in the process of the test, or in one of its own that can be
// killed.

import type { TestContext } from 'node:test'
import type { BatchAnswer, BlockAnswer, ScoreAnswer } from '../../services/gateway/api-schemas.ts'
import { loadGatewayConfig, runGateway } from '../../services/gateway/index.ts'
import type { ScoreLog } from '../../services/gateway/score-requests.ts'
import type { Transaction } from '../../services/core/transaction.ts'
import type { ProblemBody } from '../../services/platform/http/json-body.ts'
import { systemClock } from '../../services/platform/clock.ts'
import { openLogger } from '../../services/platform/log.ts'
import { closeWith } from './cleanup.ts'
import type { TestStream } from './streams.ts'

export const GATEWAY_TOKEN = 'token-of-the-gateway-0123456789'
/** A busy machine answers late; tests of answers are not tests of times. */
export const PATIENT_DEADLINE_MS = 10_000

export interface RunningGateway {
  readonly url: string
  readonly metricsPort: number
  /** As SIGTERM does; resolves once it has ended. */
  stop(): Promise<void>
}

export function gatewayEnvironment(
  stream: TestStream,
  more: Readonly<Record<string, string>> = {},
): Record<string, string> {
  return stream.environment({
    SLUICE_GATEWAY_PORT: '0',
    SLUICE_GATEWAY_TOKENS: `authorisations:${GATEWAY_TOKEN}`,
    SLUICE_GATEWAY_DEADLINE_MS: String(PATIENT_DEADLINE_MS),
    SLUICE_GATEWAY_DEADLINE_MS_MAX: String(PATIENT_DEADLINE_MS),
    SLUICE_GATEWAY_DRAIN_MS: '0',
    SLUICE_LOG_LEVEL: 'silent',
    ...more,
  })
}

/** Starts a gateway in this process and resolves once it answers. It ends with the test. */
export async function startGateway(
  t: TestContext,
  stream: TestStream,
  more: Readonly<Record<string, string>> = {},
  wrapLog?: (log: ScoreLog) => ScoreLog,
): Promise<RunningGateway> {
  const config = loadGatewayConfig(gatewayEnvironment(stream, more))
  const stop = new AbortController()
  let done: Promise<void> = Promise.resolve()
  const ports = await new Promise<{ readonly http: number; readonly metrics: number }>(
    (resolve, reject) => {
      done = runGateway(
        {
          config,
          clock: systemClock,
          log: openLogger('gateway', config.logLevel),
          onReady: resolve,
          ...(wrapLog && { wrapLog }),
        },
        stop.signal,
      )
      done.catch(reject)
    },
  )
  const end = async (): Promise<void> => {
    stop.abort()
    await done
  }
  closeWith(t, end)
  const scheme = config.tls === null ? 'http' : 'https'
  return { url: `${scheme}://127.0.0.1:${ports.http}`, metricsPort: ports.metrics, stop: end }
}

export interface Answered<Body> {
  readonly status: number
  readonly headers: Headers
  readonly body: Body
}

/** Any request with the token. */
export async function ask<Body>(
  url: string,
  options: {
    readonly body?: unknown
    readonly token?: string
    readonly headers?: Readonly<Record<string, string>>
    readonly signal?: AbortSignal
  } = {},
): Promise<Answered<Body>> {
  const { body, token = GATEWAY_TOKEN, headers = {}, signal } = options
  const response = await fetch(url, {
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(signal && { signal }),
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Body,
  }
}

/** POST /v1/score. */
export function score(
  gateway: Pick<RunningGateway, 'url'>,
  transaction: Transaction,
  deadlineMs?: number,
): Promise<Answered<ScoreAnswer & ProblemBody>> {
  const query = deadlineMs === undefined ? '' : `?deadlineMs=${deadlineMs}`
  return ask(`${gateway.url}/v1/score${query}`, { body: transaction })
}

/** POST /v1/score/batch. */
export function scoreBatch(
  gateway: Pick<RunningGateway, 'url'>,
  transactions: readonly Transaction[],
): Promise<Answered<BatchAnswer & ProblemBody>> {
  return ask(`${gateway.url}/v1/score/batch`, { body: { transactions } })
}

/** GET /v1/cards/{token}/block. */
export function blockOfCard(
  gateway: Pick<RunningGateway, 'url'>,
  card: string,
): Promise<Answered<BlockAnswer & ProblemBody>> {
  return ask(`${gateway.url}/v1/cards/${encodeURIComponent(card)}/block`)
}
