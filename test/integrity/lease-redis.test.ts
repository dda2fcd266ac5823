// Goal: Redis holds no leases: no lease ends when it is emptied or unavailable, and decisions without it neither open
// nor extend one, unless the policy allows that.
// Method: a connection to a database of the test's own is broken and restored, and FLUSHDB runs, while leases are active
// and payments, a label and a release arrive; an auditor reads all alerts. The control is the same run with a policy
// that takes the risk.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Redis } from 'ioredis'
import { activated, controlOf, NO_DEPLOYMENT } from '../../services/core/control/deployment.ts'
import type { Alert } from '../../services/core/wire/records.ts'
import { publishControl } from '../../services/platform/kafka/control-topic.ts'
import { addPolicyText, addRuleset } from '../../services/platform/policy-store.ts'
import { folderStore } from '../../services/platform/stores/folder-store.ts'
import { assertSettled } from '../support/lease-ledger.ts'
import {
  cardsOfPartition,
  PARTITIONS,
  LEASE_MS,
  openLeaseStream,
  type LeaseStream,
} from '../support/lease-stream.ts'
import { DEGRADED } from '../support/live-oracle.ts'
import { temporaryFolder } from '../support/model-variants.ts'
import { openDatabase } from '../support/own-database.ts'
import { eventually } from '../support/poll.ts'
import { openRedisProxy, type RedisProxy } from '../support/redis-proxy.ts'
import { startScorer, type ScorerProcess } from '../support/scorer-process.ts'
import { SHORT_SESSION } from '../support/streams.ts'

/** Blocks by the thresholds of the model, on degraded features too, and at any position of the other partitions. */
const DARING = `apiVersion: sluice/v1
name: daring
match: first
leaseMinutes: ${LEASE_MS / 60_000}
allowBlockOn: [degraded, stale]
`
/** Cards of each partition: one pays again, one is confirmed, one is released, two have never been blocked. */
const ROLES = ['again', 'confirmed', 'let-go', 'new', 'newer'] as const
type Role = (typeof ROLES)[number]

interface Losing extends LeaseStream {
  readonly proxy: RedisProxy
  readonly redis: Redis
  /** Folder of the policies. */
  readonly store: string
  start(more?: Readonly<Record<string, string>>): Promise<ScorerProcess>
}

async function setUp(t: TestContext, name: string): Promise<Losing> {
  const store = temporaryFolder(t, 'store')
  const of = await openLeaseStream(t, name, {
    SLUICE_STATE_TIMEOUT_MS: '1000',
    SLUICE_MODEL_STORE: store,
    // Leases are to end by event time here.
    SLUICE_LEASE_GRACE_MS: '3600000',
  })
  const { redis, redisUrl } = await openDatabase(t, of.stream.redisUrl)
  const proxy = await openRedisProxy(t, redisUrl)
  const environment = { ...of.environment, SLUICE_REDIS_URL: proxy.url }
  const start: Losing['start'] = (more) => startScorer(t, { ...environment, ...more })
  return { ...of, environment, proxy, redis, store, start }
}

function cardsOf(role: Role): readonly string[] {
  return PARTITIONS.map(
    (partition) => cardsOfPartition(partition, ROLES.length)[ROLES.indexOf(role)] ?? '',
  )
}

/** Pays with a card of each role in every partition, and returns the first alerts of these payments. */
async function pay(of: Losing, roles: readonly Role[], atMs: number) {
  const { outputs } = of
  const before = outputs.alerts.length
  for (const role of roles) await of.pay(cardsOf(role).map((card) => ({ card, atMs })))
  await outputs.until('the answers', () => outputs.isCaughtUp)
  const count = roles.length * PARTITIONS.length
  const firsts = (): readonly Alert[] =>
    outputs.alerts.slice(before).filter(({ revision }) => revision === 0)
  await outputs.until('the alerts', () => firsts().length === count)
  return firsts()
}

/** Lease of each card, as text. */
function table({ outputs: { liveLeases } }: Losing): readonly string[] {
  return [...liveLeases.values()]
    .map(({ card, alertId, revision, endMs }) => `${card} ${alertId}.${revision} to ${endMs}`)
    .toSorted()
}

function degradedIn(alerts: readonly Alert[]): number {
  return alerts.filter(({ annotations }) => annotations.includes(DEGRADED)).length
}

async function restored(scorer: ScorerProcess): Promise<void> {
  await eventually('every partition has its state', async () => {
    if ((await scorer.metric('sluice_partition_up')) < PARTITIONS.length) return false
    const { body } = await scorer.page('/readyz')
    return body.includes('"degradedPartitions":[]')
  })
}

async function confirm(of: Losing, knownInMs: number): Promise<void> {
  for (const card of cardsOf('confirmed')) {
    const alert = of.outputs.alerts.find((each) => each.card === card)
    if (alert !== undefined) await of.label(alert, 'fraud', of.beginMs + knownInMs)
  }
  await of.outputs.until('the confirmations', () =>
    cardsOf('confirmed').every((card) => of.outputs.liveLeases.get(card)?.grade === 'confirmed'),
  )
}

async function letGo(of: Losing, cards: Iterable<string>): Promise<void> {
  const { outputs } = of
  const wanted = [...cards]
  for (const card of wanted) {
    const lease = outputs.liveLeases.get(card)
    if (lease !== undefined) await of.release(card, lease.alertId)
  }
  await outputs.until('the releases', () => wanted.every((card) => !outputs.liveLeases.has(card)))
}

/** Puts a policy into mode enforce directly: `sluice policy` would climb step by step. */
async function enforce({ stream, store }: Losing, text: string): Promise<void> {
  const { brokers, prefix: topicPrefix, codecs } = stream
  const folder = folderStore(store)
  const policy = await addPolicyText(folder, text)
  const ruleset = { version: 1, policy, mode: 'enforce', segmentModes: {}, lists: {} } as const
  const deployment = activated(NO_DEPLOYMENT, await addRuleset(folder, ruleset))
  const change = { author: 'test', reason: 'takes the risk', atMs: 1 }
  await publishControl({ brokers, topicPrefix, codecs }, controlOf(deployment, change, 'policy'))
}

/** Nothing is blocked any more, and the auditor finds no fault. */
async function assertClean(of: Losing, scorer: ScorerProcess): Promise<void> {
  const { outputs, stream } = of
  await letGo(of, outputs.liveLeases.keys())
  await outputs.readToEnd()
  strictEqual(await scorer.end('SIGTERM'), 0)
  await assertSettled(stream, outputs)
}

test('an unavailable or emptied Redis neither ends nor opens a lease', async (t) => {
  const of = await setUp(t, 'lease-redis')
  const { outputs, proxy } = of
  let scorer = await of.start(SHORT_SESSION)
  await pay(of, ['again', 'confirmed', 'let-go'], 0)
  await outputs.until('the leases', () => outputs.liveLeases.size === 3 * PARTITIONS.length)
  const held = table(of)

  proxy.sever()
  const without = await pay(of, ['again', 'new'], 5_000)
  strictEqual(degradedIn(without), without.length)
  deepStrictEqual([...new Set(without.map(({ action }) => action))], ['flag'])
  deepStrictEqual(table(of), held)
  // Releases by people and labels need no features.
  await confirm(of, 5_000)
  await letGo(of, cardsOf('let-go'))
  // A scorer that starts without Redis knows the active blocks.
  await scorer.end('SIGKILL')
  scorer = await of.start()
  const late = await pay(of, ['newer'], LEASE_MS)
  strictEqual(degradedIn(late), late.length)
  await outputs.until('the expiries', () => outputs.liveLeases.size === PARTITIONS.length)
  deepStrictEqual([...outputs.liveLeases.keys()].toSorted(), [...cardsOf('confirmed')].toSorted())

  proxy.mend()
  await restored(scorer)
  const back = await pay(of, ['confirmed', 'new'], LEASE_MS + 1_000)
  strictEqual(degradedIn(back), 0)
  await outputs.until('leases again', () => outputs.liveLeases.size === 2 * PARTITIONS.length)
  const again = table(of)

  await of.redis.flushdb()
  const emptied = await pay(of, ['again', 'new'], LEASE_MS + 2_000)
  ok(degradedIn(emptied) > 0, 'nothing was decided without state')
  for (const { action, annotations } of emptied) {
    strictEqual(action, annotations.includes(DEGRADED) ? 'flag' : 'block')
  }
  await restored(scorer)
  const kept = new Set(again.map((line) => line.split('.')[0]))
  const now = new Set(table(of).map((line) => line.split('.')[0]))
  deepStrictEqual(
    [...kept].filter((line) => !now.has(line)),
    [],
  )
  await assertClean(of, scorer)
})

test('under a policy that allows blocks on degraded features the same payments open and extend leases', async (t) => {
  const of = await setUp(t, 'lease-daring')
  const { outputs, proxy } = of
  await enforce(of, DARING)
  const scorer = await of.start()
  await eventually('the policy is in force', async () => {
    return (await scorer.metric('sluice_policy_version', 'role="active"')) === 1
  })
  await pay(of, ['again'], 0)
  await outputs.until('the first leases', () => outputs.liveLeases.size === PARTITIONS.length)
  proxy.sever()
  const without = await pay(of, ['again', 'new'], 5_000)
  strictEqual(degradedIn(without), without.length)
  deepStrictEqual([...new Set(without.map(({ action }) => action))], ['block'])
  await outputs.until('the leases', () => outputs.liveLeases.size === 2 * PARTITIONS.length)
  const extended = outputs.alerts.filter(({ cause }) => cause === 'extended')
  deepStrictEqual(
    extended.map(({ card, lease }) => `${card} ${(lease?.endMs ?? 0) - of.beginMs}`).toSorted(),
    cardsOf('again')
      .map((card) => `${card} ${5_000 + LEASE_MS}`)
      .toSorted(),
  )
  await assertClean(of, scorer)
})
