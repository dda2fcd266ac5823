// Goal: a local Prometheus can be started, configured, queried and stopped, and reports why it cannot start. Method:
// Debian's unmodified prometheus, scraping a metrics server of the test.

import { deepStrictEqual, match, ok, rejects, strictEqual } from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { createAlertsTelemetry } from '../../services/alerts/index.ts'
import { isSluiceError } from '../../services/core/errors.ts'
import { openMetricsServer } from '../../services/platform/metrics/metrics-server.ts'
import { openLocalPrometheus, type LocalPrometheus } from '../../tools/servers/local-prometheus.ts'
import { openPrometheusApi } from '../../tools/servers/prometheus-api.ts'
import { isAlive, identify } from '../../services/platform/process-identity.ts'
import { closeWith } from '../support/cleanup.ts'
import { eventually } from '../support/poll.ts'
import { prometheusProgram, temporaryFolder } from '../support/prometheus.ts'

/** Fires while the subscriber reports that it does not follow. */
const RULES = `groups:
  - name: test
    rules:
      - alert: NotFollowing
        expr: sluice_alerts_following == 0
        labels: { severity: page }
        annotations: { summary: 'Job {{ $labels.job }}.' }
`

async function openScraped(t: TestContext): Promise<{
  readonly prometheus: LocalPrometheus
  readonly target: string
  readonly following: (isFollowing: boolean) => void
}> {
  const telemetry = createAlertsTelemetry()
  telemetry.following(true)
  const server = await openMetricsServer({
    host: '127.0.0.1',
    port: 0,
    registry: telemetry.registry,
    readiness: () => ({ isReady: true, details: {} }),
  })
  closeWith(t, () => server.close())
  const folder = temporaryFolder(t)
  const rules = join(folder, 'rules.yml')
  writeFileSync(rules, RULES)
  const target = `127.0.0.1:${server.port}`
  const prometheus = await openLocalPrometheus({
    program: await prometheusProgram(),
    folder,
    jobs: [{ job: 'sluice-alerts', targets: [target] }],
    ruleFiles: [rules],
    intervalMs: 200,
  })
  closeWith(t, () => prometheus.close())
  return {
    prometheus,
    target,
    following: (isFollowing) => {
      telemetry.following(isFollowing)
    },
  }
}

test('Prometheus scrapes its targets, answers queries, and its alerts fire and clear', async (t) => {
  const { prometheus, target, following } = await openScraped(t)
  await eventually('the first scrape', async () => {
    const [sample] = await prometheus.query('sluice_alerts_following')
    return sample?.points[0]?.[1] === 1 && sample.labels['instance'] === target
  })
  deepStrictEqual(await prometheus.alerts(), [])
  following(false)
  await eventually('the alert fires', async () => (await prometheus.alerts()).length === 1)
  deepStrictEqual(
    (await prometheus.alerts()).map(({ name, state, labels, annotations }) => [
      name,
      state,
      labels['severity'],
      annotations['summary'],
    ]),
    [['NotFollowing', 'firing', 'page', 'Job sluice-alerts.']],
  )
  following(true)
  await eventually('it clears', async () => (await prometheus.alerts()).length === 0)

  const fromS = Date.now() / 1_000 - 60
  await eventually('both states are in its data', async () => {
    // Finer than the scrape interval: on a busy machine two scrapes may be closer together.
    const range = { fromS, toS: Date.now() / 1_000, stepS: 0.02 }
    const [series] = await prometheus.queryRange('sluice_alerts_following', range)
    const points = series?.points ?? []
    ok(points.every(([timeS]) => timeS >= fromS - 0.001 && timeS <= range.toS))
    return new Set(points.map(([, value]) => value)).size === 2 && points.length > 3
  })
  strictEqual((await prometheus.query('1 / 0'))[0]?.points[0]?.[1], Number.POSITIVE_INFINITY)
  ok((await prometheus.metricNames()).includes('sluice_alerts_following'))
})

test('the targets of Prometheus can be changed while it runs', async (t) => {
  const { prometheus, target } = await openScraped(t)
  const isUp = async (job: string) =>
    (await prometheus.query(`up{job="${job}"}`))[0]?.points[0]?.[1] === 1
  await eventually('the first target', () => isUp('sluice-alerts'))
  prometheus.setTargets([{ job: 'sluice-producer', targets: [target] }])
  await eventually('the new target', () => isUp('sluice-producer'))
  await eventually('the old one is gone', async () => !(await isUp('sluice-alerts')))
})

test('a refused expression is quoted, and after closing nothing is left running', async (t) => {
  const { prometheus } = await openScraped(t)
  await rejects(prometheus.query('sum(('), (error) => {
    ok(isSluiceError(error, 'SLUICE_PROMETHEUS_UNAVAILABLE'))
    match(error.message, /refused sum\(\(: .*parse error/)
    return true
  })
  const identity = identify(prometheus.pid)
  ok(identity !== null && isAlive(identity))
  await prometheus.close()
  ok(!isAlive(identity))
  await rejects(prometheus.query('up'), /cannot be reached/)
})

test('an answer that is too large, too late or not from Prometheus is an error that names the address', async (t) => {
  const sockets: { destroy(): void }[] = []
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => undefined)
    socket.write('HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n')
    socket.write('x'.repeat(17 * 1024 * 1024))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closeWith(t, async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  const { port } = server.address() as AddressInfo
  await rejects(openPrometheusApi(new URL(`http://127.0.0.1:${port}`)).query('up'), (error) => {
    ok(isSluiceError(error, 'SLUICE_PROMETHEUS_UNAVAILABLE'))
    match(error.message, new RegExp(`127\\.0\\.0\\.1:${port}.*more than`))
    return true
  })
})

test('a Prometheus that cannot start is an error with the end of its log', async (t) => {
  const folder = temporaryFolder(t)
  mkdirSync(folder, { recursive: true })
  const rules = join(folder, 'broken.yml')
  writeFileSync(rules, 'groups: [{ name: a, rules: [{ alert: A, expr: "sum((" }] }]\n')
  const open = openLocalPrometheus({
    program: await prometheusProgram(),
    folder,
    jobs: [],
    ruleFiles: [rules],
    intervalMs: 1_000,
  })
  await rejects(open, (error) => {
    ok(isSluiceError(error, 'SLUICE_PROVISION_FAILED'))
    match(error.message, /broken\.yml/)
    return true
  })
})
