// A whole system under load with a Prometheus: two scorers behind a proxy to Redis that can break the connection, a
// producer, and all consumers of the scorers' output. Every process has its own metrics port, which it keeps over a
// restart.

import { readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { TestContext } from 'node:test'
import {
  breakerControlOf,
  type ChangeRecord,
  controlOf,
  type Deployment,
  NO_DEPLOYMENT,
  shadowed,
} from '../../services/core/control/deployment.ts'
import type { Control, Mode } from '../../services/core/wire/records.ts'
import { publishControl } from '../../services/platform/kafka/control-topic.ts'
import { addModel } from '../../services/platform/model-store.ts'
import { addPolicyText, addRuleset } from '../../services/platform/policy-store.ts'
import { folderStore } from '../../services/platform/stores/folder-store.ts'
import { openLocalPrometheus, type LocalPrometheus } from '../../tools/servers/local-prometheus.ts'
import { shortenRules, type Shortening } from '../../tools/servers/shortened-rules.ts'
import { TOKEN } from './acting.ts'
import { RULE_FILES } from './alert-rules.ts'
import { claimPorts } from './claims.ts'
import { closeWith } from './cleanup.ts'
import { variantOf } from './model-variants.ts'
import { startCli, type CliProcess } from './cli-process.ts'
import { prometheusProgram, temporaryFolder } from './prometheus.ts'
import { openRedisProxy, type RedisProxy } from './redis-proxy.ts'
import { startScorer, type ScorerProcess } from './scorer-process.ts'
import { openStream, type TestStream } from './streams.ts'

/** Times of the committed rules are divided by this factor; a range still holds four scrapes. */
export const SHORTENING: Shortening = { factor: 240, rangeMsMin: 4_000 }
/** Time between two scrapes. */
export const SCRAPE_INTERVAL_MS = 1_000
/** Ends the load when a test hangs. */
const LOAD_DURATION = '10m'
/** A block may be without a receipt for this long, so that a busy machine does not use up the objective. */
const BLOCK_OBJECTIVE_MS = '10000'
/** Messages wait in the memory of the lake's writer for this long. */
const LAKE_FLUSH = '4s'
/** Signs what the forwarder sends. */
export const FORWARD_KEY = `whsec_${Buffer.alloc(32, 'test').toString('base64')}`

const DAY_MS = 86_400_000
/** Event time between the starts of two worlds; under load a day passes in four seconds. */
const WORLD_MS = 80 * DAY_MS

/** A partition continues without a Redis that is silent for a second, and no wave of fraud trips the breaker. */
const OBSERVED_LIMITS = {
  SLUICE_SESSION_TIMEOUT_MS: '5000',
  SLUICE_STATE_TIMEOUT_MS: '1000',
  SLUICE_BREAKER_BLOCKS_PER_MINUTE: '1000000',
  SLUICE_BREAKER_TRAFFIC_SHARE: '1',
  SLUICE_BREAKER_VALUE_SHARE: '1',
  SLUICE_BLOCK_OBJECTIVE_MS: BLOCK_OBJECTIVE_MS,
  // The worlds are ahead of our time, so that an enforcer finds active leases.
  SLUICE_EVENT_AHEAD_MS_MAX: String(365 * DAY_MS),
}

export interface ObservedSystem {
  readonly stream: TestStream
  readonly proxy: RedisProxy
  readonly prometheus: LocalPrometheus
  /** Deployment at the start: the scorers' own model decides, another one is the shadow. */
  readonly healthyDeployment: Deployment
  /** Deploys these models to the scorers. */
  wantModels(deployment: Deployment): Promise<unknown>
  /** The built-in policy, with another one as shadow. */
  readonly healthyPolicies: Deployment
  /** Digest of a ruleset with a condition that fails for every payment. */
  readonly failingPolicy: string
  /** Digest of a ruleset whose breaker the first block trips. */
  readonly trippingPolicy: string
  /** Deploys these policies to the scorers. */
  wantPolicies(deployment: Deployment): Promise<unknown>
  /** Says on the control topic which table of exchange rates is in force. */
  wantRates(deployment: Deployment): Promise<unknown>
  /** Resets tripped breakers for the first time, as an operator does. */
  resetBreakers(): Promise<unknown>
  /** Starts scorer 0 or 1, for the first time or again. */
  startScorer(index: 0 | 1, more?: Readonly<Record<string, string>>): Promise<ScorerProcess>
  startSubscriber(): Promise<CliProcess>
  /** Forwards every alert to one target, signed with FORWARD_KEY. */
  startForwarder(url: string): Promise<CliProcess>
  /** Recomputes all decisions. */
  startSkewMeter(): Promise<CliProcess>
  startEnforcer(): Promise<CliProcess>
  /** Joins blocks with the receipts of the enforcer. */
  startReceiptsWatch(): Promise<CliProcess>
  /** Serves queue and labels. */
  startCases(): Promise<CliProcess>
  /** Writes to the same lake each time. */
  startLakeWriter(): Promise<CliProcess>
  /** Transactions of a small simulated world; the seed selects the world. */
  startProducer(load: Load): Promise<CliProcess>
}

const SHADOW_POLICY =
  'apiVersion: sluice/v1\nname: strict\nmatch: first\nthresholds: {flag: 0.05, block: 0.9}\n'
const FAILING_POLICY = `apiVersion: sluice/v1
name: failing
match: first
rules:
  - {name: broken, when: int(transaction.card) > 3, outcome: flag, reason: x}
`
const TRIPPING_POLICY = `apiVersion: sluice/v1
name: tripping
match: first
thresholds: {flag: 0.02, block: 0.3}
breakers:
  - {windowMinutes: 60, trafficShareMax: 0, sampleMin: 1}
`

export interface Load {
  readonly perSecond: number
  readonly fraudShare: number
  readonly seed: number
}

/**
 * Opens stream, proxy and Prometheus; the test starts the processes. By default it uses the Redis shared by all tests.
 */
export async function openObservedSystem(
  t: TestContext,
  redisUrl?: string,
): Promise<ObservedSystem> {
  const stream = await openStream(t, 'observed', redisUrl)
  const proxy = await openRedisProxy(t, stream.redisUrl)
  const claim = await claimPorts(10)
  closeWith(t, claim.release)
  const [scorer0 = 0, scorer1 = 0, subscriber = 0, producer = 0, skew = 0, ...followers] =
    claim.ports
  const [forwarder = 0, enforcer = 0, receipts = 0, cases = 0, lake = 0] = followers
  const { brokers, prefix: topicPrefix, codecs } = stream
  const say = (controlBy: (change: ChangeRecord) => Control): Promise<number> => {
    const change = { author: 'test', reason: 'a fault or its end', atMs: Date.now() }
    return publishControl({ brokers, topicPrefix, codecs }, controlBy(change))
  }
  const wantModels = (deployment: Deployment): Promise<number> =>
    say((change) => controlOf(deployment, change))
  const { folder: store, shadow: healthyDeployment } = await shadowedStore(t, wantModels)
  const environment = stream.patientEnvironment({
    SLUICE_REDIS_URL: proxy.url,
    SLUICE_MODE: 'enforce',
    SLUICE_LOG_LEVEL: 'warn',
    SLUICE_MODEL_STORE: store,
    FORWARD_KEY,
    SLUICE_ENFORCER_TOKEN: TOKEN,
    SLUICE_CASES_TOKENS: `ana:${TOKEN}`,
    SLUICE_LAKE_FOLDER: temporaryFolder(t),
    ...OBSERVED_LIMITS,
  })
  let worldStartMs = Date.now()
  const at = (...used: readonly number[]): string[] => used.map((port) => `127.0.0.1:${port}`)
  const prometheus = await openLocalPrometheus({
    program: await prometheusProgram(),
    folder: temporaryFolder(t),
    jobs: [
      { job: 'sluice-scorer', targets: at(scorer0, scorer1) },
      { job: 'sluice-alerts', targets: at(subscriber) },
      { job: 'sluice-producer', targets: at(producer) },
      { job: 'sluice-skew', targets: at(skew) },
      { job: 'sluice-forward', targets: at(forwarder) },
      { job: 'sluice-enforcer', targets: at(enforcer) },
      { job: 'sluice-receipts', targets: at(receipts) },
      { job: 'sluice-cases', targets: at(cases) },
      { job: 'sluice-lake', targets: at(lake) },
    ],
    ruleFiles: shortenedRuleFiles(temporaryFolder(t)),
    intervalMs: SCRAPE_INTERVAL_MS,
  })
  closeWith(t, () => prometheus.close())
  const startOnPort = async <Started extends { readonly metricsPort: number }>(
    port: number,
    start: Promise<Started>,
  ): Promise<Started> => {
    const started = await start
    if (started.metricsPort === port) return started
    throw new Error(`Port ${port} was taken by somebody else; run the test again.`)
  }
  const cli = (port: number, ...args: readonly string[]): Promise<CliProcess> =>
    startOnPort(port, startCli(t, [...args, '--metrics-port', String(port)], environment))
  const wantPolicies = (deployment: Deployment): Promise<number> =>
    say((change) => controlOf(deployment, change, 'policy'))
  const healthyPolicies = shadowed(NO_DEPLOYMENT, await addPolicy(store, SHADOW_POLICY))
  await wantPolicies(healthyPolicies)
  return {
    stream,
    proxy,
    prometheus,
    healthyDeployment,
    wantModels,
    healthyPolicies,
    failingPolicy: await addPolicy(store, FAILING_POLICY),
    trippingPolicy: await addPolicy(store, TRIPPING_POLICY, 'enforce'),
    wantPolicies,
    wantRates: (deployment) => say((change) => controlOf(deployment, change, 'rates')),
    resetBreakers: () => say((change) => breakerControlOf(1, change)),
    startScorer(index, more = {}) {
      const port = index === 0 ? scorer0 : scorer1
      const start = startScorer(t, { ...environment, SLUICE_METRICS_PORT: String(port), ...more })
      return startOnPort(port, start)
    },
    startSubscriber: () => cli(subscriber, 'alerts', 'tail', '--json'),
    startForwarder: (url) => cli(forwarder, 'alerts', 'forward', '--targets', targetsFile(t, url)),
    startSkewMeter: () => cli(skew, 'skew', '--sample', '1'),
    startEnforcer: () => cli(enforcer, 'enforce', '--port', '0'),
    startReceiptsWatch: () => cli(receipts, 'alerts', 'watch-receipts'),
    startCases: () => cli(cases, 'alerts', 'serve', '--port', '0'),
    startLakeWriter: () => cli(lake, 'lake', 'ingest', '--flush-every', LAKE_FLUSH),
    startProducer({ perSecond, fraudShare, seed }) {
      const world = ['--cards', '300', '--terminals', '60', '--merchants', '40']
      const load = ['--rate', String(perSecond), '--fraud-share', String(fraudShare)]
      // Each world begins after the previous one: traffic from the past changes no state, and seldom causes alerts.
      const start = new Date(worldStartMs).toISOString()
      worldStartMs += WORLD_MS
      const bounds = ['--seed', String(seed), '--duration', LOAD_DURATION, '--start', start]
      return cli(producer, 'produce', 'simulate', ...world, ...load, ...bounds)
    },
  }
}

/** Stores a policy; returns the digest of its ruleset. */
async function addPolicy(folder: string, text: string, mode: Mode = 'flag'): Promise<string> {
  const store = folderStore(folder)
  return addRuleset(store, {
    version: 1,
    policy: await addPolicyText(store, text),
    mode,
    segmentModes: {},
    lists: {},
  })
}

/** A store with a stricter model, which runs in the shadow from the start. */
async function shadowedStore(
  t: TestContext,
  want: ObservedSystem['wantModels'],
): Promise<{ readonly folder: string; readonly shadow: Deployment }> {
  const folder = temporaryFolder(t)
  const variant = variantOf(t, 'stricter', { flag: 0.02, block: 0.3 })
  await addModel(folder, variant.folder)
  const shadow = shadowed(NO_DEPLOYMENT, variant.digest)
  await want(shadow)
  return { folder, shadow }
}

/** Retries soon, so that a repaired fault clears soon. */
function targetsFile(t: TestContext, url: string): string {
  const target = {
    name: 'observed',
    url,
    filter: { actions: ['flag', 'block', 'release'] },
    secrets: { current: { env: 'FORWARD_KEY' } },
    circuit: { failures: 3, openMs: 100, openMsMax: 500 },
  }
  const file = join(temporaryFolder(t), 'targets.yaml')
  writeFileSync(file, JSON.stringify({ targets: [target] }))
  return file
}

/** Copies of the committed rules with shortened times. */
export function shortenedRuleFiles(folder: string): readonly string[] {
  return RULE_FILES.map((file) => {
    const path = join(folder, basename(file))
    writeFileSync(path, shortenRules(readFileSync(file, 'utf8'), SHORTENING))
    return path
  })
}
