// Reads metrics pages of running services in the Prometheus text format, as far as commands need.

import { SluiceError } from '../core/errors.ts'

const FETCH_MS_MAX = 5_000
const PAGE_CHARACTERS_MAX = 4_000_000
const DEFAULT_PATH = '/metrics'

/** One value with its labels. */
export interface Series {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** URL of a metrics page, from `host:port`, or from a URL with or without a path. @throws SluiceError SLUICE_USAGE. */
export function metricsUrl(address: string): string {
  const text = /^https?:\/\//.test(address) ? address : `http://${address}`
  if (!URL.canParse(text)) {
    throw new SluiceError(
      'SLUICE_USAGE',
      `"${address}" is no address of a metrics page; give one such as 127.0.0.1:9464.`,
    )
  }
  const url = new URL(text)
  return url.pathname === '/' ? `${url.origin}${DEFAULT_PATH}` : text
}

/**
 * Fetches a page. `whose` names the expected service. @throws SluiceError SLUICE_INPUT_INVALID when none arrives in
 * time.
 */
export async function fetchMetricsPage(url: string, whose: string): Promise<string> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(FETCH_MS_MAX) })
    const page = await answer.text()
    if (answer.ok && page.length <= PAGE_CHARACTERS_MAX) return page
    throw new Error(`status ${answer.status}, ${page.length} characters`)
  } catch (error) {
    throw new SluiceError(
      'SLUICE_INPUT_INVALID',
      `The metrics page ${url} cannot be read: ${problemOf(error)}. Give that of ${whose}.`,
      { cause: error, details: { problem: problemOf(error) } },
    )
  }
}

/** All series of one metric. */
export function seriesOf(page: string, name: string): readonly Series[] {
  const found: Series[] = []
  for (const line of page.split('\n')) {
    if (!line.startsWith(name) || !/[ {]/.test(line[name.length] ?? '')) continue
    const end = line.lastIndexOf('}')
    const value = Number(
      line
        .slice(Math.max(end, name.length) + 1)
        .trim()
        .split(' ')[0],
    )
    if (Number.isFinite(value))
      found.push({ labels: labelsOf(line.slice(name.length, end)), value })
  }
  return found
}

/**
 * The sum of all series that a selector matches, such as `a_total` or `a_total{role="active"}`; null when there is
 * none.
 */
export function sumOfSeries(page: string, selector: string): number | null {
  const name = selector.replace(/\{.*/, '')
  const wanted = Object.entries(labelsOf(selector.slice(name.length)))
  const series = seriesOf(page, name).filter(({ labels }) =>
    wanted.every(([label, value]) => labels[label] === value),
  )
  return series.length === 0 ? null : series.reduce((sum, { value }) => sum + value, 0)
}

function labelsOf(text: string): Readonly<Record<string, string>> {
  const pairs = [...text.matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g)]
  return Object.fromEntries(pairs.map(([, name = '', value = '']) => [name, unescaped(value)]))
}

function unescaped(value: string): string {
  return value.replaceAll(/\\(.)/g, (_, sign: string) => (sign === 'n' ? '\n' : sign))
}

/** The cause of a failed fetch is more specific than its message. */
function problemOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { cause } = error
  if (cause instanceof AggregateError) return 'nobody listens there'
  return cause instanceof Error ? cause.message : error.message
}
