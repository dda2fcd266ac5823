// Goal: the dashboard and the alerts of bridge and gateway are correct: under load every panel has data and none of
// their alerts fires, and each injected fault fires its alert, which clears when the fault is repaired.
// Method: as alerts.test.ts: real processes, a real Prometheus, the committed rules with all durations divided by 240.

import { deepStrictEqual } from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleepMs } from 'node:timers/promises'
import { queriesOfDashboards } from '../../tools/dashboards/preview/dashboard-files.ts'
import { openLocalPrometheus } from '../../tools/servers/local-prometheus.ts'
import { CONNECTIONS, committedRules, MADE_ON_CONNECTIONS } from '../support/alert-rules.ts'
import { watchAlerts } from '../support/alert-watch.ts'
import { authorisation, bridgeEnvironment, openSource } from '../support/bridge.ts'
import { claimPorts } from '../support/claims.ts'
import { closeWith } from '../support/cleanup.ts'
import { startCli } from '../support/cli-process.ts'
import { emptyQueries, metricNamesIn } from '../support/dashboard-queries.ts'
import { gatewayEnvironment, score } from '../support/gateways.ts'
import { SCRAPE_INTERVAL_MS, shortenedRuleFiles } from '../support/observed-system.ts'
import { eventually } from '../support/poll.ts'
import { prometheusProgram, temporaryFolder } from '../support/prometheus.ts'
import { startScorer } from '../support/scorer-process.ts'
import { openStream } from '../support/streams.ts'
import { minimalTransaction } from '../unit/core/wire/samples.ts'

/** Between two requests, and two batches of messages. */
const PAUSE_MS = 50
/** Beyond what a decision takes on a busy machine, and below the wait for an alert. */
const DEADLINE_MS = '2000'

const REPORTED = { type: 'CHARGEBACK', reportedAt: '2026-02-01T00:00:00Z' }

test(
  'bridge and gateway under load: dashboard, rules and faults',
  { timeout: 600_000 },
  async (t) => {
    const system = await openConnections(t)
    const { prometheus, stream, source } = system
    const { made, fires, clears } = watchAlerts(system)
    const load = startLoad(t, system)
    let scorer = await system.startScorer()
    let bridge = await system.startBridge()
    let gateway = await system.startGateway()
    load.hasGateway = true

    await t.test(
      'every query of the dashboard has data, and every metric is exported',
      async () => {
        const queries = queriesOfDashboards().filter(({ dashboard }) => dashboard === CONNECTIONS)
        let empty: readonly string[] = []
        await eventually('every query has data', async () => {
          empty = await emptyQueries(prometheus, queries)
          return empty.length === 0
        }).catch((error: unknown) => {
          throw new Error(`Without data: ${empty.join('; ')}`, { cause: error })
        })
        const exported = new Set(await prometheus.metricNames())
        const named = [...queries, ...committedRules()].flatMap(({ expr }) => metricNamesIn(expr))
        const ours = new Set(named.filter((name) => /^sluice_(?:bridge|gateway)_/.test(name)))
        deepStrictEqual(
          [...ours].filter((name) => !exported.has(name)),
          [],
        )
        await eventually('none of their alerts is left from the start', async () => {
          const alerts = await prometheus.alerts()
          return !alerts.some(({ name }) => MADE_ON_CONNECTIONS.includes(name))
        })
      },
    )

    await t.test('messages without a rule', async () => {
      load.isBad = true
      await fires('SluiceBridgeRefusals')
      load.isBad = false
      await clears('SluiceBridgeRefusals')
    })

    await t.test('a transaction in their topic that does not end', async () => {
      const producer = stream.kafka.producer({
        transactionalId: `${stream.prefix}team`,
        maxInFlightRequests: 1,
        idempotent: true,
      })
      await producer.connect()
      closeWith(t, () => producer.disconnect())
      const held = await producer.transaction()
      await held.send({ topic: source.name, messages: messagesOf(authorisation(0)) })
      await fires('SluiceBridgeBehind')
      await held.commit()
      await clears('SluiceBridgeBehind')
    })

    await t.test('no bridge', async () => {
      await bridge.end('SIGKILL')
      await fires('SluiceBridgeAway')
      bridge = await system.startBridge()
      await clears('SluiceBridgeAway')
    })

    await t.test('no scorer', async () => {
      await scorer.end('SIGKILL')
      await fires('SluiceGatewayFallbacks')
      scorer = await system.startScorer()
      await clears('SluiceGatewayFallbacks')
    })

    await t.test('no gateway', async () => {
      load.hasGateway = false
      await gateway.end('SIGKILL')
      await fires('SluiceGatewayNotReady')
      gateway = await system.startGateway()
      load.hasGateway = true
      await clears('SluiceGatewayNotReady')
    })

    deepStrictEqual([...made].sort(), [...MADE_ON_CONNECTIONS].sort())
  },
)

type Connections = Awaited<ReturnType<typeof openConnections>>

/** A stream with a team's topic and a Prometheus. Every process keeps its ports over a restart. */
async function openConnections(t: TestContext) {
  const stream = await openStream(t, 'connections')
  const source = await openSource(t, stream)
  const claim = await claimPorts(4)
  closeWith(t, claim.release)
  const [ofScorer = 0, ofBridge = 0, ofGateway = 0, http = 0] = claim.ports
  const at = (port: number): string[] => [`127.0.0.1:${port}`]
  const prometheus = await openLocalPrometheus({
    program: await prometheusProgram(),
    folder: temporaryFolder(t),
    jobs: [
      { job: 'sluice-scorer', targets: at(ofScorer) },
      { job: 'sluice-bridge', targets: at(ofBridge) },
      { job: 'sluice-gateway', targets: at(ofGateway) },
    ],
    ruleFiles: shortenedRuleFiles(temporaryFolder(t)),
    intervalMs: SCRAPE_INTERVAL_MS,
  })
  closeWith(t, () => prometheus.close())
  // The session of one that was killed ends soon, as does the wait for its partitions.
  const more = { SLUICE_SESSION_TIMEOUT_MS: '6000' }
  const ofGateways = { ...more, SLUICE_GATEWAY_DEADLINE_MS: DEADLINE_MS }
  const portOf = (port: number) => ['--metrics-port', String(port)]
  return {
    ...{ stream, source, prometheus },
    url: `http://127.0.0.1:${http}`,
    startScorer: () =>
      startScorer(t, stream.environment({ ...more, SLUICE_METRICS_PORT: String(ofScorer) })),
    startBridge: () =>
      startCli(
        t,
        ['bridge', '--mapping', source.mappingFile, ...portOf(ofBridge)],
        bridgeEnvironment(stream, more),
      ),
    startGateway: () =>
      startCli(
        t,
        ['gateway', '--port', String(http), ...portOf(ofGateway)],
        gatewayEnvironment(stream, { ...ofGateways, SLUICE_LOG_LEVEL: 'info' }),
      ),
  }
}

interface Load {
  /** Whether there is a gateway that can be asked. */
  hasGateway: boolean
  /** Whether every fourth message of the team is one that no rule fits. */
  isBad: boolean
}

/** Sends messages to the team's topic and requests to the gateway until the test ends. */
function startLoad(t: TestContext, { source, url }: Connections): Load {
  const load: Load = { hasGateway: false, isBad: false }
  const stop = new AbortController()
  const repeat = async (step: (index: number) => Promise<unknown>): Promise<void> => {
    for (let index = 0; !stop.signal.aborted; index += 1) {
      await step(index)
      await sleepMs(PAUSE_MS)
    }
  }
  const running = [
    repeat((index) => {
      const fourth = load.isBad ? { type: 'REFUND' } : { type: 'PING' }
      const sent = [authorisation(index), authorisation(index, REPORTED), authorisation(index)]
      return source.send(messagesOf(...sent, fourth))
    }),
    repeat(async () => {
      if (!load.hasGateway) return
      const payment = { ...minimalTransaction, id: randomUUID(), eventTimeMs: Date.now() }
      // One that is killed answers nothing.
      await score({ url }, payment).catch(() => undefined)
    }),
  ]
  closeWith(t, async () => {
    stop.abort()
    await Promise.all(running)
  })
  return load
}

/** All of one partition, so that a transaction there holds all of them back. */
function messagesOf(...messages: readonly object[]): { value: string; partition: 0 }[] {
  return messages.map((message) => ({ value: JSON.stringify(message), partition: 0 }))
}
