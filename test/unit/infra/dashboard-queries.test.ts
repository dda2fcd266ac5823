// Goal: every query of the dashboards reads metrics that our processes export, and is valid at every zoom. Method:
// rules over the committed JSON with Prometheus' own grammar, each also tried on a broken example.

import { deepStrictEqual, notDeepStrictEqual, ok } from 'node:assert/strict'
import { test } from 'node:test'
import { parser } from '@prometheus-io/lezer-promql'
import {
  queriesOfDashboards,
  type DashboardQuery,
} from '../../../tools/dashboards/preview/dashboard-files.ts'
import { fillVariables } from '../../../tools/dashboards/preview/panel-data.ts'
import {
  createAlertsTelemetry,
  createCasesTelemetry,
  createEnforcerTelemetry,
  createForwardTelemetry,
  createReceiptsTelemetry,
} from '../../../services/platform/metrics/alerts-telemetry.ts'
import { createBridgeTelemetry } from '../../../services/platform/metrics/bridge-telemetry.ts'
import { createGatewayTelemetry } from '../../../services/platform/metrics/gateway-telemetry.ts'
import { createLakeTelemetry } from '../../../services/platform/metrics/lake-telemetry.ts'
import { createProducerTelemetry } from '../../../services/platform/metrics/producer-telemetry.ts'
import { createSkewTelemetry } from '../../../services/platform/metrics/skew-telemetry.ts'
import { createScorerTelemetry } from '../../../services/platform/metrics/scorer-telemetry.ts'

/** Panels whose queries use their own window, with the reason. */
const OWN_WINDOWS: Readonly<Record<string, string>> = {
  'Burn rate of the alert objective': 'burn rates are defined over 5 m, 1 h and 6 h',
  'Precision as labels mature': 'labels are too few for the rate interval; a day of them',
  'Delay of labels': 'the same day as the precision beside it',
  'Agreement of the cascade': 'the sample is one payment in hundreds; the hour of the alert',
  'Precision of both': 'labels are too few for the rate interval; a day of them',
  'Recall of both': 'the same day as the precision beside it',
  'Value saved by both': 'the same day as the precision beside it',
  'Maturity of these labels': 'the same day as the precision beside it',
}

const queries = queriesOfDashboards()

function where({ dashboard, panel }: DashboardQuery): string {
  return `${dashboard}: ${panel}`
}

/** Nodes of a query by name; an error node is one named ⚠. */
function nodesOf(expr: string): readonly { readonly name: string; readonly text: string }[] {
  const filled = fillVariables(expr, 60, 3_600)
  const nodes: { name: string; text: string }[] = []
  parser.parse(filled).iterate({
    enter: ({ name, from, to }) => {
      nodes.push({ name, text: filled.slice(from, to) })
    },
  })
  return nodes
}

function problemsOfSyntax(expr: string): readonly string[] {
  return nodesOf(expr)
    .filter(({ name }) => name === '⚠')
    .map(({ text }) => `does not parse at "${text}"`)
}

function metricsOf(expr: string): readonly string[] {
  return nodesOf(expr)
    .filter(({ name }) => name === 'VectorSelector')
    .map(({ text }) => /^[a-zA-Z_:][\w:]*/.exec(text)?.[0] ?? text)
}

async function exportedNames(): Promise<ReadonlySet<string>> {
  const names = new Set<string>()
  for (const { registry } of [
    createScorerTelemetry(),
    createAlertsTelemetry(),
    createForwardTelemetry(),
    createProducerTelemetry(),
    createSkewTelemetry(),
    createLakeTelemetry(),
    createEnforcerTelemetry(),
    createReceiptsTelemetry(1_000),
    createCasesTelemetry(),
    createBridgeTelemetry(Date.now),
    createGatewayTelemetry(),
  ]) {
    for (const { name, type } of await registry.getMetricsAsJSON()) {
      // prom-client gives the kind as a word in JSON, whatever its types say.
      const isHistogram = String(type) === 'histogram'
      const parts = isHistogram ? ['_bucket', '_sum', '_count'] : ['']
      for (const part of parts) names.add(`${name}${part}`)
    }
  }
  return names
}

test('every query of panels, annotations and variables parses', () => {
  ok(queries.length > 50)
  for (const query of queries) deepStrictEqual(problemsOfSyntax(query.expr), [], where(query))
  for (const broken of [
    'sum(rate(a[5m])',
    'rate(a[$__rate_intervall])',
    'sum by outcome (a) (b)',
    '',
  ])
    notDeepStrictEqual(problemsOfSyntax(broken), [], broken)
})

test('rates look back over the interval that Grafana chooses, or over a window that has a reason', () => {
  const isGood = ({ panel, kind, expr, isInstant }: DashboardQuery): boolean =>
    [...expr.matchAll(/\[([^\]]*)\]/g)].every(
      ([, window]) =>
        window === '$__rate_interval' ||
        (window === '$__range' && isInstant) ||
        (kind === 'panel' && panel in OWN_WINDOWS),
    )
  for (const query of queries) ok(isGood(query), `${where(query)}: ${query.expr}`)
  const [query] = queries
  ok(query !== undefined)
  ok(!isGood({ ...query, expr: 'rate(sluice_decisions_total[5m])' }))
  ok(!isGood({ ...query, expr: 'rate(sluice_decisions_total[$__range])', isInstant: false }))
  for (const title of Object.keys(OWN_WINDOWS))
    ok(
      queries.some(({ panel, expr }) => panel === title && /\[\d+[mhd]\]/.test(expr)),
      title,
    )
})

test('no query names a metric that no process exports', async () => {
  const exported = await exportedNames()
  const unknown = (expr: string): readonly string[] =>
    metricsOf(expr).filter((name) => !exported.has(name))
  for (const query of queries) {
    ok(metricsOf(query.expr).length > 0, where(query))
    deepStrictEqual(unknown(query.expr), [], where(query))
  }
  deepStrictEqual(unknown('sum(rate(sluice_decision_total[1m])) / sluice_partitions_assigned'), [
    'sluice_decision_total',
  ])
})

test('labels in legends are labels that the query keeps', () => {
  const lost = ({ expr, legend }: DashboardQuery): readonly string[] =>
    [...legend.matchAll(/\{\{(\w+)\}\}/g)]
      .map(([, name = '']) => name)
      .filter(
        (name) => /\b(sum|max|min|group)\b/.test(expr) && !new RegExp(`\\b${name}\\b`).test(expr),
      )
  for (const query of queries) deepStrictEqual(lost(query), [], where(query))
  const [query] = queries
  ok(query !== undefined)
  deepStrictEqual(lost({ ...query, expr: 'sum(up)', legend: '{{job}}' }), ['job'])
})

test('an objective is asked for at an edge of the buckets, since there is no other', async () => {
  const page = await createScorerTelemetry().registry.metrics()
  const edges = (text: string): readonly (string | undefined)[] =>
    [...text.matchAll(/sluice_event_to_alert_seconds_bucket\{le="([\d.]+)"/g)].map(([, le]) => le)
  const asked = queries.flatMap(({ expr }) => edges(expr))
  ok(asked.length > 0)
  for (const le of asked) ok(edges(page).includes(le), `${le ?? ''} s`)
})
