// docs/metrics.md, made from the code: every metric of every process. A unit test compares the page with it.
//
// `npm run docs:metrics` writes the page.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { format, resolveConfig } from 'prettier'
import {
  METRIC_JOBS,
  listMetrics,
  type JobMetric,
  type MetricJob,
} from '../../services/platform/metrics/metric-names.ts'

const PAGE = join(import.meta.dirname, '../../docs/metrics.md')

/** Longer lists of label values get a separate list, so that tables stay readable. */
const VALUES_INLINE_MAX = 8

const PROCESSES: Readonly<Record<MetricJob, string>> = {
  'sluice-scorer': 'The scorer: `sluice scorer`, on `SLUICE_METRICS_PORT`.',
  'sluice-alerts': 'A subscriber: `sluice alerts tail --metrics-port`, and the demo.',
  'sluice-forward': 'The forwarder: `sluice alerts forward`, on `SLUICE_METRICS_PORT`.',
  'sluice-bridge': 'The bridge: `sluice bridge`, on `SLUICE_METRICS_PORT`.',
  'sluice-skew': 'The skew meter: `sluice skew`, on `SLUICE_METRICS_PORT`.',
  'sluice-lake': 'The writer of the lake: `sluice lake ingest`, on `SLUICE_METRICS_PORT`.',
  'sluice-enforcer': 'The reference enforcer: `sluice enforce`, on `SLUICE_METRICS_PORT`.',
  'sluice-receipts':
    'The watch over receipts: `sluice alerts watch-receipts`, on `SLUICE_METRICS_PORT`.',
  'sluice-cases': 'Queue and labels: `sluice alerts serve`, on `SLUICE_METRICS_PORT`.',
  'sluice-gateway': 'The gateway: `sluice gateway`, on `SLUICE_METRICS_PORT`.',
  'sluice-producer': 'A producer run: `sluice produce ... --metrics-port`.',
}

const INTRODUCTION = `# Metrics

Generated from the code by \`npm run docs:metrics\`; a test compares the two, so edit the code and not this page.

Each process serves \`/metrics\` in Prometheus's text format, and \`/livez\` and \`/readyz\`, on
\`SLUICE_METRICS_HOST\`. The headings below are the names of the Prometheus jobs. Counters start at 0 with their
process. A series whose labels are all closed lists (values given below) exists from the start, and so does its
rate. A gauge whose value is unknown is absent rather than outdated. Histograms are \`_bucket\`,
\`_sum\` and \`_count\`.
`

/** The page as it should be. */
export async function metricsPage(): Promise<string> {
  const metrics = listMetrics()
  const sections = METRIC_JOBS.map((job) => {
    const ours = metrics.filter((metric) => metric.job === job && !metric.isDefault)
    return `## ${job}\n\n${PROCESSES[job]}\n\n${tableOf(ours)}`
  })
  const defaults = metrics.filter(({ job, isDefault }) => isDefault && job === METRIC_JOBS[0])
  const common = `## Every process\n\nMade by prom-client, on Linux.\n\n${tableOf(defaults)}`
  const text = [INTRODUCTION, ...sections, common, longLists(metrics)].join('\n')
  return format(text, { ...(await resolveConfig(PAGE)), filepath: PAGE })
}

function tableOf(metrics: readonly JobMetric[]): string {
  const rows = metrics.map((metric) => {
    const { name, type, help } = metric
    return `| \`${name}\` | ${type} | ${unitOf(metric)} | ${labelsOf(metric)} | ${cell(help)} |`
  })
  return ['| metric | type | unit | labels | meaning |', '| - | - | - | - | - |', ...rows, ''].join(
    '\n',
  )
}

/** Names end in their unit, as Prometheus recommends; a name without a unit is a count. */
function unitOf({ name, type }: JobMetric): string {
  const base = name.replace(/_total$/, '')
  if (base.endsWith('_seconds')) return 'seconds'
  if (base.endsWith('_bytes')) return 'bytes'
  if (base.endsWith('_amount_reference')) return 'units of the reference currency'
  if (base === 'sluice_score') return '0 to 1'
  if (base.endsWith('_ratio')) return '0 to 1'
  if (base.endsWith('_info')) return 'always 1'
  return type === 'gauge' ? 'number' : 'count'
}

function labelsOf({ labels }: JobMetric): string {
  const parts = Object.entries(labels).map(([label, values]) => {
    if (typeof values === 'string') return `\`${label}\` (${cell(values)})`
    if (values.length > VALUES_INLINE_MAX) return `[\`${label}\`](#long-lists)`
    return `\`${label}\`: ${quotedList(values)}`
  })
  return parts.length === 0 ? 'none' : parts.join('; ')
}

function longLists(metrics: readonly JobMetric[]): string {
  const lists = new Map<string, string[]>()
  for (const { name, labels } of metrics) {
    for (const [label, values] of Object.entries(labels)) {
      if (typeof values === 'string' || values.length <= VALUES_INLINE_MAX) continue
      const line = `\`${label}\`: ${quotedList(values)}.`
      lists.set(line, [...(lists.get(line) ?? []), name])
    }
  }
  const items = [...lists].map(([line, names]) => `- ${line} In ${quotedList(names)}.`)
  return [
    '## Long lists',
    '',
    'Closed lists of label values that are too long for a table.',
    '',
    ...items,
  ].join('\n')
}

function quotedList(words: readonly string[]): string {
  return words.map((word) => `\`${word}\``).join(', ')
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(PAGE, await metricsPage())
  process.stdout.write(`written: ${PAGE}\n`)
}
