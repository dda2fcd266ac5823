// Queries a Prometheus over its HTTP API, version 1. Every request has a time limit, every answer a size limit.

import assert from 'node:assert/strict'
import { z } from 'zod'
import { SluiceError } from '../../services/core/errors.ts'

/** Largest answer read, bytes. A range of 240 points and 100 series takes about half a megabyte. */
export const ANSWER_BYTES_MAX = 16 * 1024 * 1024
const TIMEOUT_MS = 10_000
const SCRAPE_INTERVAL_S = 15
const DURATION_S: Readonly<Record<string, number>> = { h: 3_600, m: 60, s: 1, ms: 0.001 }

/** A point in time (seconds since 1970) and its value, which may be NaN. */
export type Point = readonly [timeS: number, value: number]

/** One series of an answer; an instant query gives one point, a range query all points, with the gaps of the data. */
export interface Series {
  readonly labels: Readonly<Record<string, string>>
  readonly points: readonly Point[]
}

/** An alert that is pending (its condition holds, not yet for long enough) or firing. */
export type PrometheusAlert = z.infer<typeof ALERT>

/** A stretch of time, both ends included, in seconds since 1970. */
export interface QueryRange {
  readonly fromS: number
  readonly toS: number
  readonly stepS: number
}

/**
 * The queries. Each rejects with SluiceError SLUICE_PROMETHEUS_UNAVAILABLE when Prometheus cannot be reached, is too
 * slow, answers too much or in another format, or refuses the expression (see `refusalOf`).
 */
export interface PrometheusApi {
  /** The address without credentials, for people. */
  readonly address: string
  /** The expression's value now, or at a time. A scalar is one series without labels. */
  query(expression: string, atS?: number): Promise<readonly Series[]>
  queryRange(expression: string, range: QueryRange): Promise<readonly Series[]>
  /** Alerts that are pending or firing. */
  alerts(): Promise<readonly PrometheusAlert[]>
  /** Names of all metrics that any target has exported. */
  metricNames(): Promise<readonly string[]>
  /** The longest scrape interval of its targets, seconds. */
  scrapeIntervalS(): Promise<number>
}

const LABELS = z.record(z.string(), z.string())
const POINT = z.tuple([z.number(), z.string().transform(numberOf)])
const RESULT = z
  .discriminatedUnion('resultType', [
    z.object({ resultType: z.literal('scalar'), result: POINT }),
    z.object({
      resultType: z.literal(['vector', 'matrix']),
      result: z.array(
        z.object({
          metric: LABELS,
          value: POINT.optional(),
          // Absent from a series of native histograms.
          values: z.array(POINT).default([]),
        }),
      ),
    }),
  ])
  .transform(({ resultType, result }): readonly Series[] =>
    resultType === 'scalar'
      ? [{ labels: {}, points: [result] }]
      : result.map(({ metric, value, values }) => ({
          labels: metric,
          points: value === undefined ? values : [value],
        })),
  )
const ALERT = z
  .object({ state: z.enum(['pending', 'firing']), labels: LABELS, annotations: LABELS })
  .transform((alert) => ({ name: alert.labels['alertname'] ?? '', ...alert }))
const ALERTS = z.object({ alerts: z.array(ALERT) }).transform(({ alerts }) => alerts)
const TARGETS = z.object({ activeTargets: z.array(z.object({ scrapeInterval: z.string() })) })
const ANSWER = z.discriminatedUnion('status', [
  z.object({ status: z.literal('success'), data: z.unknown().optional() }),
  z.object({ status: z.literal('error'), error: z.string().default('no reason given') }),
])

/** The API at this address, such as http://127.0.0.1:9090. A path in it is kept, for a Prometheus behind a proxy. */
export function openPrometheusApi(url: URL, signal?: AbortSignal): PrometheusApi {
  const base = `${url.origin}${url.pathname.replace(/\/$/, '')}`
  async function ask<Data>(
    schema: z.ZodType<Data>,
    path: string,
    parameters: Readonly<Record<string, string>> = {},
  ): Promise<Data> {
    const target = new URL(`${base}/api/v1/${path}`)
    for (const [name, value] of Object.entries(parameters)) target.searchParams.set(name, value)
    const { status, text } = await request(target, url, signal)
    const answer = ANSWER.safeParse(jsonOf(text))
    // Prometheus gives a reason in JSON for 400 and 422; other statuses do not come from it.
    if (answer.data?.status === 'error') {
      const { error: refusal } = answer.data
      const what = `refused ${parameters['query'] ?? path}: ${refusal}. Correct the expression.`
      throw new SluiceError('SLUICE_PROMETHEUS_UNAVAILABLE', `Prometheus at ${base} ${what}`, {
        details: { refusal },
      })
    }
    if (answer.data?.status !== 'success' || status !== 200) {
      throw unavailable(target, `answers with status ${status} and no JSON of Prometheus`)
    }
    const data = schema.safeParse(answer.data.data)
    if (data.success) return data.data
    throw unavailable(target, 'does not answer as Prometheus does', data.error)
  }
  return {
    address: base,
    query: (query, atS) =>
      ask(RESULT, 'query', { query, ...(atS === undefined ? {} : { time: `${atS}` }) }),
    queryRange: (query, { fromS, toS, stepS }) =>
      ask(RESULT, 'query_range', { query, start: `${fromS}`, end: `${toS}`, step: `${stepS}` }),
    alerts: () => ask(ALERTS, 'alerts'),
    metricNames: () => ask(z.array(z.string()), 'label/__name__/values'),
    async scrapeIntervalS() {
      const { activeTargets } = await ask(TARGETS, 'targets', { state: 'active' })
      const intervals = activeTargets.map(({ scrapeInterval }) => durationS(scrapeInterval))
      return Math.max(0, ...intervals) || SCRAPE_INTERVAL_S
    },
  }
}

/** The reason why Prometheus refused an expression; null for any other error. */
export function refusalOf(error: unknown): string | null {
  const refusal = error instanceof SluiceError ? error.details['refusal'] : null
  return typeof refusal === 'string' ? refusal : null
}

/** Whether Prometheus has read its configuration and data and serves queries. Never rejects. */
export async function prometheusAnswers(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/-/ready`, { signal: AbortSignal.timeout(1_000) })
    await response.body?.cancel()
    return response.ok
  } catch {
    return false
  }
}

/** Seconds of a duration in Go's format, such as 1m0s; 0 for anything else. */
export function durationS(text: string): number {
  const parts = [...text.matchAll(/([\d.]+)(ms|h|m|s)/g)]
  return parts.reduce((sum, [, amount, unit = '']) => {
    const unitS = DURATION_S[unit]
    assert(unitS !== undefined, `The pattern knows no unit ${unit}.`)
    return sum + Number(amount) * unitS
  }, 0)
}

/** Prometheus has its own notation for infinity. */
function numberOf(text: string): number {
  if (text === '+Inf') return Number.POSITIVE_INFINITY
  if (text === '-Inf') return Number.NEGATIVE_INFINITY
  return Number(text)
}

async function request(
  target: URL,
  { username, password }: URL,
  signal: AbortSignal | undefined,
): Promise<{ readonly status: number; readonly text: string }> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS)
  // fetch refuses credentials in the address; they go into the Authorization header.
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  const authorization = `Basic ${Buffer.from(credentials).toString('base64')}`
  try {
    const response = await fetch(target, {
      headers: username === '' ? {} : { authorization },
      redirect: 'error',
      signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]),
    })
    return { status: response.status, text: await readBounded(response, target) }
  } catch (error) {
    if (error instanceof SluiceError || signal?.aborted === true) throw error
    const isTimeout = error instanceof Error && error.name === 'TimeoutError'
    const what = isTimeout ? `gave no answer within ${TIMEOUT_MS} ms` : 'cannot be reached'
    throw unavailable(target, what, error)
  }
}

async function readBounded(response: Response, url: URL): Promise<string> {
  if (response.body === null) return ''
  const chunks: Uint8Array[] = []
  let sizeBytes = 0
  // Leaving the loop early cancels the stream, so the rest of a huge answer is never read.
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    sizeBytes += chunk.length
    if (sizeBytes > ANSWER_BYTES_MAX) {
      throw unavailable(url, `answers with more than ${ANSWER_BYTES_MAX} bytes`)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, sizeBytes).toString('utf8')
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined // An error page that is not from Prometheus: the caller reports the status.
  }
}

function unavailable(url: URL, what: string, cause?: unknown): SluiceError {
  return new SluiceError(
    'SLUICE_PROMETHEUS_UNAVAILABLE',
    `Prometheus at ${url.origin}${url.pathname} ${what}; check its address and that it runs.`,
    cause === undefined ? {} : { cause },
  )
}
