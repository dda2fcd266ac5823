// Asks a Prometheus over its HTTP API, version 1. Every request has a limit on time, every answer one on size.

import { SluiceError } from '../../services/core/errors.ts'

const REQUEST_LIMIT_MS = 10_000
/** Largest answer read, bytes: a board's widest panel over an hour takes less than one MiB. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024

/** One series at one time. */
export interface PrometheusSample {
  readonly labels: Readonly<Record<string, string>>
  readonly timeMs: number
  readonly value: number
}

/** One series over a stretch of time. */
export interface PrometheusSeries {
  readonly labels: Readonly<Record<string, string>>
  /** In order of time; a gap in the data is a gap here. */
  readonly points: readonly { readonly timeMs: number; readonly value: number }[]
}

/** An alert that is pending (its condition holds, not yet for long enough) or firing. */
export interface PrometheusAlert {
  readonly name: string
  readonly state: 'pending' | 'firing'
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

/** A stretch of time, both ends included. */
export interface QueryRange {
  readonly startMs: number
  readonly endMs: number
  readonly stepMs: number
}

/**
 * What can be asked. Each call rejects with SluiceError SLUICE_PROMETHEUS_UNAVAILABLE when Prometheus does not
 * answer within 10 s, answers with more than 16 MiB, or refuses the expression.
 */
export interface PrometheusApi {
  /** The expression's value now, or at a time. A scalar comes as one sample without labels. */
  query(expression: string, atMs?: number): Promise<readonly PrometheusSample[]>
  queryRange(expression: string, range: QueryRange): Promise<readonly PrometheusSeries[]>
  /** Alerts that are pending or firing. */
  alerts(): Promise<readonly PrometheusAlert[]>
  /** Names of all metrics that any target has exported. */
  metricNames(): Promise<readonly string[]>
}

type Labels = Readonly<Record<string, string>>
type RawPoint = readonly [number, string]

/** The API at this address, such as http://127.0.0.1:9090. */
export function openPrometheusApi(url: string): PrometheusApi {
  const ask = (path: string, parameters: Readonly<Record<string, string>> = {}) =>
    request(url, path, parameters)
  return {
    async query(expression, atMs) {
      const time = atMs === undefined ? {} : { time: secondsText(atMs) }
      const data = (await ask('query', { query: expression, ...time })) as {
        readonly resultType: string
        readonly result: unknown
      }
      return data.resultType === 'scalar'
        ? [sampleOf({}, data.result as RawPoint)]
        : (data.result as { readonly metric: Labels; readonly value: RawPoint }[]).map(
            ({ metric, value }) => sampleOf(metric, value),
          )
    },
    async queryRange(expression, { startMs, endMs, stepMs }) {
      const data = (await ask('query_range', {
        query: expression,
        start: secondsText(startMs),
        end: secondsText(endMs),
        step: secondsText(stepMs),
      })) as { readonly result: { readonly metric: Labels; readonly values: RawPoint[] }[] }
      return data.result.map(({ metric, values }) => ({
        labels: metric,
        points: values.map(point),
      }))
    },
    async alerts() {
      const data = (await ask('alerts')) as {
        readonly alerts: (Omit<PrometheusAlert, 'name'> & { readonly labels: Labels })[]
      }
      return data.alerts.map(({ state, labels, annotations }) => ({
        name: labels['alertname'] ?? '',
        state,
        labels,
        annotations,
      }))
    },
    async metricNames() {
      return (await ask('label/__name__/values')) as readonly string[]
    },
  }
}

/** Answers whether Prometheus has read its configuration and data and serves queries. Never rejects. */
export async function prometheusAnswers(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/-/ready`, { signal: AbortSignal.timeout(1_000) })
    await response.body?.cancel()
    return response.ok
  } catch {
    return false
  }
}

function point([seconds, text]: RawPoint): { readonly timeMs: number; readonly value: number } {
  return { timeMs: seconds * 1_000, value: numberOf(text) }
}

function sampleOf(labels: Labels, raw: RawPoint): PrometheusSample {
  return { labels, ...point(raw) }
}

/** Prometheus writes infinity in a way of its own. */
function numberOf(text: string): number {
  if (text === '+Inf') return Number.POSITIVE_INFINITY
  if (text === '-Inf') return Number.NEGATIVE_INFINITY
  return Number(text)
}

function secondsText(ms: number): string {
  return (ms / 1_000).toFixed(3)
}

async function request(
  url: string,
  path: string,
  parameters: Readonly<Record<string, string>>,
): Promise<unknown> {
  const target = new URL(`${url}/api/v1/${path}`)
  for (const [name, value] of Object.entries(parameters)) target.searchParams.set(name, value)
  let status: number
  let text: string
  try {
    const response = await fetch(target, {
      redirect: 'manual',
      signal: AbortSignal.timeout(REQUEST_LIMIT_MS),
    })
    status = response.status
    text = await readBounded(response)
  } catch (error) {
    if (error instanceof SluiceError) throw error
    const isTimeout = error instanceof Error && error.name === 'TimeoutError'
    const what = isTimeout ? `gave no answer within ${REQUEST_LIMIT_MS} ms` : 'cannot be reached'
    throw unavailable(url, `${what}; check its address and that it runs.`, error)
  }
  const answer = parse(text)
  if (answer?.status === 'success') return answer.data
  const why = answer?.error ?? `status ${status} and no JSON that we know`
  throw unavailable(url, `refused ${parameters['query'] ?? path}: ${why}. Correct the expression.`)
}

async function readBounded(response: Response): Promise<string> {
  if (response.body === null) return ''
  const chunks: Uint8Array[] = []
  let sizeBytes = 0
  // Leaving the loop early cancels the stream, so the rest of a huge answer is never read.
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    sizeBytes += chunk.length
    if (sizeBytes > ANSWER_BYTES_MAX) {
      throw unavailable(
        new URL(response.url).origin,
        `answers with more than ${ANSWER_BYTES_MAX} bytes; ask for fewer series or a longer step.`,
      )
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, sizeBytes).toString('utf8')
}

function parse(
  text: string,
): { readonly status: string; readonly data: unknown; readonly error?: string } | null {
  try {
    return JSON.parse(text) as { status: string; data: unknown; error?: string }
  } catch {
    return null // an error page of something that is not Prometheus: the caller reports the status
  }
}

function unavailable(url: string, what: string, cause?: unknown): SluiceError {
  return new SluiceError(
    'SLUICE_PROMETHEUS_UNAVAILABLE',
    `The Prometheus at ${url} ${what}`,
    cause === undefined ? {} : { cause },
  )
}
