// Example of an authorisation system that asks the gateways of Sluice about a payment. It needs api.ts and nothing else.
//
// GATEWAY_URLS=http://127.0.0.1:9482 GATEWAY_TOKEN=... node client.ts < payment.json

import { text } from 'node:stream/consumers'
import type { components } from './api.ts'

type Schemas = components['schemas']
type ScoreAnswer = Schemas['ScoreAnswer']

export interface ScoreOptions {
  /** Base addresses of the gateways, in the order in which they are asked. */
  readonly urls: readonly string[]
  readonly token: string
  /** Time for the answer, ms. */
  readonly deadlineMs: number
  /** What to do with the payment when no gateway answers in that time. */
  readonly otherwise: ScoreAnswer['action']
}

export interface Scored {
  /** What to do with the payment: refuse it on `block`. */
  readonly action: ScoreAnswer['action']
  /** Null when no gateway answered in time. */
  readonly answer: ScoreAnswer | null
}

/** What the next gateway may answer better: too many requests, not ready, or a proxy without a gateway behind it. */
const ASK_THE_NEXT: ReadonlySet<number> = new Set([429, 502, 503, 504])

/**
 * Asks one gateway after the other. The id of the payment is the idempotency key: a payment that is asked about twice is
 * decided once. @throws Error when a gateway refuses the request, with what is wrong with it.
 */
export async function score(
  payment: Schemas['Transaction'],
  { urls, token, deadlineMs, otherwise }: ScoreOptions,
): Promise<Scored> {
  const startedMs = performance.now()
  for (const url of urls) {
    const leftMs = Math.floor(deadlineMs - (performance.now() - startedMs))
    if (leftMs < 1) break
    let response: Response
    let body: unknown
    try {
      response = await fetch(`${url}/v1/score?deadlineMs=${leftMs}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify(payment),
        signal: AbortSignal.timeout(leftMs),
      })
      body = await response.json()
    } catch {
      // No connection, no whole answer, or no time left.
      continue
    }
    if (response.ok) {
      const answer = body as ScoreAnswer
      return { action: answer.action, answer }
    }
    if (ASK_THE_NEXT.has(response.status)) continue
    const { field = 'request', detail } = body as Schemas['Problem']
    throw new Error(`${field}: ${detail}`)
  }
  return { action: otherwise, answer: null }
}

if (import.meta.main) {
  const {
    GATEWAY_URLS = 'http://127.0.0.1:9482',
    GATEWAY_TOKEN = '',
    DEADLINE_MS = '100',
  } = process.env
  const payment = JSON.parse(await text(process.stdin)) as Schemas['Transaction']
  const scored = await score(payment, {
    urls: GATEWAY_URLS.split(','),
    token: GATEWAY_TOKEN,
    deadlineMs: Number(DEADLINE_MS),
    otherwise: 'none',
  })
  process.stdout.write(`${JSON.stringify(scored)}\n`)
}
