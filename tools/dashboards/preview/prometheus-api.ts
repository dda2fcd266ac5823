// The few questions that the preview asks Prometheus, with limits on time and on the size of answers.

import { SluiceError } from '../../../services/core/errors.ts'
import { at, listOf, recordOf, textOf } from './json-fields.ts'

/** Largest answer read, bytes. A range of 240 points and 100 series takes about half a megabyte. */
export const ANSWER_BYTES_MAX = 8 * 1024 * 1024
const TIMEOUT_MS = 10_000
/** Series of one answer that are kept; a panel with more could not be read anyway. */
export const SERIES_MAX = 200
const SCRAPE_INTERVAL_S = 15
const DURATION_S: Readonly<Record<string, number>> = { h: 3_600, m: 60, s: 1, ms: 0.001 }

/** A point in time (seconds since 1970) and its value, which may be NaN. */
export type Point = readonly [timeS: number, value: number]

/** One series of an answer; an instant query gives one point. */
export interface Series {
  readonly labels: Readonly<Record<string, string>>
  readonly points: readonly Point[]
}

/** Answer to a query: its series, or why Prometheus refused it. */
export type Answer =
  | { readonly ok: true; readonly series: readonly Series[] }
  | { readonly ok: false; readonly problem: string }

export interface Prometheus {
  /** The address without credentials, for people. */
  readonly address: string
  queryRange(expr: string, fromS: number, toS: number, stepS: number): Promise<Answer>
  query(expr: string, timeS: number): Promise<Answer>
  /** The longest scrape interval of its targets, seconds. */
  scrapeIntervalS(): Promise<number>
}

/**
 * Asks the Prometheus at the URL; a path in it is kept, as of one behind a proxy.
 * Every method @throws SluiceError SLUICE_PROMETHEUS_UNAVAILABLE when it cannot be reached, is too slow, answers
 * something else than Prometheus does, or too much.
 */
export function openPrometheus(url: URL, signal?: AbortSignal): Prometheus {
  const ask = async (path: string, parameters: Readonly<Record<string, string>>) => {
    const target = new URL(url)
    target.pathname = `${url.pathname.replace(/\/$/, '')}${path}`
    for (const [name, value] of Object.entries(parameters)) target.searchParams.set(name, value)
    return await requestJson(target, signal)
  }
  return {
    address: `${url.origin}${url.pathname.replace(/\/$/, '')}`,
    async queryRange(expr, fromS, toS, stepS) {
      const parameters = { query: expr, start: `${fromS}`, end: `${toS}`, step: `${stepS}` }
      return answerOf(await ask('/api/v1/query_range', parameters), url)
    },
    async query(expr, timeS) {
      return answerOf(await ask('/api/v1/query', { query: expr, time: `${timeS}` }), url)
    },
    async scrapeIntervalS() {
      const json = await ask('/api/v1/targets', { state: 'active' })
      const intervals = listOf(at(json, 'data', 'activeTargets')).map((target) =>
        durationS(textOf(at(target, 'scrapeInterval'))),
      )
      return Math.max(0, ...intervals) || SCRAPE_INTERVAL_S
    },
  }
}

/** Seconds of a duration as Go writes it, such as 1m0s; 0 for what is none. */
export function durationS(text: string): number {
  const parts = [...text.matchAll(/([\d.]+)(ms|h|m|s)/g)]
  return parts.reduce(
    (sum, [, amount, unit]) => sum + Number(amount) * (DURATION_S[unit ?? ''] ?? 0),
    0,
  )
}

function answerOf(json: unknown, url: URL): Answer {
  if (at(json, 'status') === 'error')
    return { ok: false, problem: textOf(at(json, 'error'), 'no reason given') }
  const result = at(json, 'data', 'result')
  if (at(json, 'status') !== 'success' || result === undefined)
    throw unavailable(url, 'does not answer as Prometheus does')
  // A scalar is one pair, everything else a list of series.
  const series =
    at(json, 'data', 'resultType') === 'scalar'
      ? [{ metric: {}, value: result }]
      : listOf(result).slice(0, SERIES_MAX)
  return { ok: true, series: series.map(seriesOf) }
}

function seriesOf(json: unknown): Series {
  const values = at(json, 'values')
  const pairs = values === undefined ? [at(json, 'value')] : listOf(values)
  return {
    labels: Object.fromEntries(
      Object.entries(recordOf(at(json, 'metric'))).map(([name, value]) => [name, textOf(value)]),
    ),
    points: pairs.map((pair) => {
      const [timeS, value] = listOf(pair)
      return [Number(timeS), numberFrom(textOf(value))]
    }),
  }
}

function numberFrom(text: string): number {
  if (text === '+Inf') return Number.POSITIVE_INFINITY
  return text === '-Inf' ? Number.NEGATIVE_INFINITY : Number(text === '' ? 'NaN' : text)
}

async function requestJson(url: URL, signal: AbortSignal | undefined): Promise<unknown> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS)
  // fetch refuses credentials in the address; they go where HTTP has them.
  const address = new URL(url)
  address.username = ''
  address.password = ''
  const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
  const headers: Record<string, string> =
    url.username === ''
      ? {}
      : { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` }
  try {
    const response = await fetch(address, {
      headers,
      redirect: 'error',
      signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]),
    })
    const text = await readBounded(response, url)
    const json = parse(text)
    // Prometheus gives a reason in JSON for 400 and 422; other statuses come from something else.
    if (json === undefined || (response.status !== 200 && at(json, 'status') !== 'error'))
      throw unavailable(url, `answers with status ${response.status} and no JSON of Prometheus`)
    return json
  } catch (error) {
    if (error instanceof SluiceError || signal?.aborted === true) throw error
    const isTimeout = error instanceof Error && error.name === 'TimeoutError'
    const what = isTimeout ? `gave no answer within ${TIMEOUT_MS} ms` : 'cannot be reached'
    throw unavailable(url, what, error)
  }
}

async function readBounded(response: Response, url: URL): Promise<string> {
  if (response.body === null) return ''
  const chunks: Uint8Array[] = []
  let sizeBytes = 0
  // Leaving the loop early cancels the stream, so the rest of a huge answer is never read.
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    sizeBytes += chunk.length
    if (sizeBytes > ANSWER_BYTES_MAX)
      throw unavailable(url, `answers with more than ${ANSWER_BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, sizeBytes).toString('utf8')
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

function unavailable(url: URL, what: string, cause?: unknown): SluiceError {
  return new SluiceError(
    'SLUICE_PROMETHEUS_UNAVAILABLE',
    `Prometheus at ${url.origin}${url.pathname} ${what}; check the address (--prometheus) and that it runs.`,
    cause === undefined ? {} : { cause },
  )
}
