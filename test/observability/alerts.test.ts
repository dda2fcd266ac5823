// Goal: dashboards and alerts are correct. On a healthy system under load every panel has data and no alert fires; each
// injected fault fires its alert, and the alert clears when the fault is repaired.
// Method: real processes, a real Prometheus with a scrape a second, the committed rules with all durations divided
// by 240.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleepMs } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { queriesOfDashboards } from '../../tools/dashboards/preview/dashboard-files.ts'
import { activated } from '../../services/core/control/deployment.ts'
import { splitOwner } from '../../services/platform/kafka/offset-owner.ts'
import { topicName } from '../../services/platform/kafka/topics.ts'
import { partitionKeys } from '../../services/platform/redis/keys.ts'
import { breakActing, startActing } from '../support/acting-faults.ts'
import {
  committedAlerts,
  committedRules,
  CONNECTIONS,
  MADE_ON_CONNECTIONS,
  MADE_ON_OWN_REDIS,
  ONLY_BY_PROMTOOL,
} from '../support/alert-rules.ts'
import { watchAlerts } from '../support/alert-watch.ts'
import { emptyQueries, metricNamesIn } from '../support/dashboard-queries.ts'
import { breakTarget } from '../support/forward-faults.ts'
import { FORWARD_KEY, openObservedSystem, type ObservedSystem } from '../support/observed-system.ts'
import { breakPolicies } from '../support/policy-faults.ts'
import { eventually } from '../support/poll.ts'
import { keysOf, type TestStream } from '../support/streams.ts'
import { openReceiver } from '../support/webhook-receiver.ts'

/** Compares with the same hour a week before, which this system does not have; the query must still be valid. */
const NEEDS_A_PAST = / offset 1w\)/
/** Hardly any payment here is in the sample, and a model of one net has none. */
const NEEDS_A_SAMPLE = /sluice_cascade_sample_total/
/** Recorded only once a model has served for a week, which even divided is more than half an hour. */
const RECORDED_LATER = new Set(['job:sluice_feature_drift_stability:7d'])

/** Tested by connections.test.ts. */
const OF_CONNECTIONS = /^sluice_(?:bridge|gateway)_/
/** The first alerts after a start are late, and so are all on a busy machine: there these rightly fire. */
const ABOUT_SPEED = new Set([
  'SluiceLatencyBudgetBurningFast',
  'SluiceLatencyBudgetBurningSlowly',
  'SluiceBlockObjectiveBurningFast',
  'SluiceEventLoopDelay',
])

const LOAD = { perSecond: 150, fraudShare: 0.03, seed: 7 }
/** Shorter than the silence after which a connection is closed, and long enough for an alert. */
const HELD_MS = 4_000
/** Two faults at a time. */
const OPTIONS = { timeout: 840_000, concurrency: 2 }

async function hasValue(system: ObservedSystem, expression: string): Promise<boolean> {
  return (await system.prometheus.query(expression)).length > 0
}

test('a system under load: dashboards, rules and faults', OPTIONS, async (t) => {
  const system = await openObservedSystem(t)
  const { stream, proxy, prometheus } = system
  const watch = watchAlerts(system)
  const { made, fires, clears } = watch
  const target = await openReceiver(t, { keys: [FORWARD_KEY] })
  const [first, second] = await Promise.all([system.startScorer(0), system.startScorer(1)])
  let scorers = [first, second]
  const [acting, skewMeter, firstSubscriber, firstProducer] = await Promise.all([
    startActing(system, target.url),
    system.startSkewMeter(),
    system.startSubscriber(),
    system.startProducer(LOAD),
  ])
  let subscriber = firstSubscriber
  let producer = firstProducer

  await t.test(
    'under load every process is scraped, and only alerts about speed may fire',
    async () => {
      await eventually('everything is up', () => hasValue(system, 'sum(up) == 10'))
      await eventually('labels have come back', () =>
        hasValue(system, 'sum(increase(sluice_labelled_decisions_total[30s])) > 0'),
      )
      await eventually('alerts have been seen', () =>
        hasValue(system, 'sum(increase(sluice_alerts_seen_total[30s])) > 3'),
      )
      let left: readonly string[] = []
      await eventually('nothing of the start is left', async () => {
        left = (await prometheus.alerts())
          .filter(({ name }) => !ABOUT_SPEED.has(name))
          .map(({ name, state }) => `${name} ${state}`)
        return left.length === 0
      }).catch((error: unknown) => {
        throw new Error(`On a healthy system: ${left.join(', ')}`, { cause: error })
      })
    },
  )

  await t.test('every query of every dashboard is accepted and has data', async () => {
    const dashboards = queriesOfDashboards().filter(({ dashboard }) => dashboard !== CONNECTIONS)
    ok(dashboards.length > 40, `only ${dashboards.length} queries`)
    let empty: readonly string[] = []
    // Labels arrive some time after their transactions, and a new series counts from its second scrape.
    await eventually('every query has data', async () => {
      empty = (await emptyQueries(prometheus, dashboards)).filter(
        (each) => !NEEDS_A_PAST.test(each) && !NEEDS_A_SAMPLE.test(each),
      )
      return empty.length === 0
    }).catch((error: unknown) => {
      throw new Error(`Without data: ${empty.join('; ')}`, { cause: error })
    })
  })

  await t.test('every metric named by a dashboard or a rule is exported', async () => {
    const recorded = committedRules()
      .flatMap(({ record }) => record ?? [])
      .filter((name) => !RECORDED_LATER.has(name))
    let exported = new Set<string>()
    // A group of rules may be evaluated only every few seconds.
    await eventually('every rule has recorded', async () => {
      exported = new Set(await prometheus.metricNames())
      return recorded.every((name) => exported.has(name))
    })
    const expressions = [
      ...queriesOfDashboards().map(({ expr }) => expr),
      ...committedRules().map(({ expr }) => expr.replaceAll(/job\w*:\w+:\w+/g, '')),
    ]
    const named = new Set(expressions.flatMap(metricNamesIn))
    ok(named.size > 40, `only ${named.size} metrics found in dashboards and rules`)
    deepStrictEqual(
      [...named].filter((name) => !exported.has(name) && !OF_CONNECTIONS.test(name)),
      [],
    )
  })

  // It recomputes everything, and later faults need not wait for it.
  await skewMeter.end('SIGTERM')

  const breakFollowers = async (): Promise<void> => {
    await t.test('no enforcer, watch, queue, forwarder or lake writer', () =>
      breakActing(t, system, acting, target.url, watch),
    )

    await t.test('a target that is away, refuses what it gets, or is late', () =>
      breakTarget(t, system, target, watch),
    )

    await t.test('a stopped subscriber', async () => {
      await subscriber.end('SIGTERM')
      await fires('SluiceSubscriberNotFollowing')
      subscriber = await system.startSubscriber()
      await clears('SluiceSubscriberNotFollowing')
    })
  }

  const breakScorers = async (): Promise<void> => {
    await t.test('a model missing from every store', async () => {
      await system.wantModels(activated(system.healthyDeployment, 'f'.repeat(64)))
      await fires('SluiceModelRefused')
      await system.wantModels(system.healthyDeployment)
      await clears('SluiceModelRefused')
    })

    await t.test('policies that are missing or fail', () => breakPolicies(system, fires, clears))

    await t.test('messages that cannot be decided', async () => {
      const broken = Array.from({ length: 10 }, () => ({ value: Buffer.from('not framed') }))
      const run = { isDone: false }
      const sending = (async () => {
        while (!run.isDone) {
          await stream.sendRaw('transactions', 0, broken)
          await hasValue(system, 'up') // paces the sending
        }
      })()
      await fires('SluiceDeadLetters', 'SluiceDeadLettersMany')
      run.isDone = true
      await sending
      await clears('SluiceDeadLettersMany', 'SluiceDeadLetters')
    })

    await t.test('a write of a replaced owner, and the partition it leaves behind', async () => {
      const redis = new Redis(stream.redisUrl)
      const { epoch } = partitionKeys(stream.streamId, 1)
      await redis.set(epoch, Number(await redis.get(epoch)) + 1_000_000)
      await fires('SluiceFencedWrites', 'SluicePartitionNotWorking')
      redis.disconnect()
      await clears('SluiceFencedWrites')
    })

    await t.test('a stopped scorer, and one without its backend in its place', async () => {
      strictEqual(await scorers[1]?.end('SIGTERM'), 0)
      await fires('SluiceScorerDown')
      // The group has reassigned its partitions.
      await clears('SluicePartitionNotWorking')
      const without = await system.startScorer(1, { SLUICE_BACKEND_EXPECTED: 'tensorflow' })
      await clears('SluiceScorerDown')
      await fires('SluiceFallbackBackend')
      strictEqual(await without.end('SIGTERM'), 0)
      scorers = [first, await system.startScorer(1)]
      await clears('SluiceFallbackBackend', 'SluiceScorerDown')
    })
  }

  // Concurrently: no fault of a service downstream of the scorers raises an alert about them, or the reverse.
  await Promise.all([breakFollowers(), breakScorers()])

  await t.test('a producer with the transactional id of a scorer', async () => {
    const transactionalId = await ownerOf(stream, 2)
    const run = { isDone: false }
    const fencing = (async () => {
      while (!run.isDone) {
        const rival = stream.kafka.producer({
          transactionalId,
          idempotent: true,
          maxInFlightRequests: 1,
        })
        await rival.connect()
        // A partition that is always busy leaves a rival little room: it tries until it gets in between.
        const abort = async (): Promise<void> => (await rival.transaction()).abort()
        await abort().catch(() => undefined)
        await rival.disconnect()
      }
    })()
    await fires('SluiceTransactionAborts')
    run.isDone = true
    await fencing
    await clears('SluiceTransactionAborts')
  })

  await t.test('Redis away', async () => {
    proxy.sever()
    await fires('SluiceRedisAway')
    proxy.mend()
    await clears('SluiceRedisAway')
  })

  await t.test('a Redis that is connected and does not answer', async () => {
    // After 5 s of silence a connection is closed, and Redis counts as away. It answers occasionally before that limit.
    let isSeen = false
    const isOver = (): boolean => isSeen
    const holding = (async () => {
      while (!isOver()) {
        await proxy.holdAt('mget')
        await sleepMs(HELD_MS)
        if (!isOver()) proxy.release()
      }
    })()
    await fires('SluicePartitionDegraded')
    isSeen = true
    await holding
    proxy.release()
    await clears('SluicePartitionDegraded')
  })

  await t.test('scorers that wait for watermarks of a live stream, and the effects', async () => {
    await Promise.all(scorers.map((scorer) => scorer.end('SIGTERM')))
    const aligned = { SLUICE_ALIGNMENT: 'aligned' }
    scorers = await Promise.all([system.startScorer(0, aligned), system.startScorer(1, aligned)])
    await fires('SluiceLagGrowing', 'SluiceLagHigh')
    await Promise.all(scorers.map((scorer) => scorer.end('SIGTERM')))
    scorers = await Promise.all([system.startScorer(0), system.startScorer(1)])
    await clears('SluiceLagHigh', 'SluiceLagGrowing')
    await fires('SluiceLatencyBudgetBurningFast')
    await clears('SluiceLatencyBudgetBurningFast')
  })

  await t.test('Redis emptied', async () => {
    const redis = new Redis(stream.redisUrl)
    for (const key of await keysOf(redis, stream.streamId)) await redis.del(key)
    redis.disconnect()
    await fires('SluiceStateLost', 'SluiceStateRebuilt')
    await clears('SluiceStateLost', 'SluiceStateRebuilt')
  })

  await t.test('a wave of fraud', async () => {
    await producer.end('SIGTERM')
    producer = await system.startProducer({ ...LOAD, fraudShare: 0.2, seed: 8 })
    await fires('SluiceBlockRateHigh', 'SluiceBlockRateAboveItsPast')
    await producer.end('SIGTERM')
    producer = await system.startProducer({ ...LOAD, seed: 9 })
    await clears('SluiceBlockRateHigh', 'SluiceBlockRateAboveItsPast')
  })

  await t.test('no scorer at all, and the log cut off before their partitions', async () => {
    await Promise.all(scorers.map((scorer) => scorer.end('SIGKILL')))
    await fires('SluiceNoScorer')
    const topic = topicName(stream.prefix, 'transactions')
    const before = await stream.admin.fetchOffsets({ groupId: stream.groupId, topics: [topic] })
    const committed = Number(before[0]?.partitions.find(({ partition }) => partition === 0)?.offset)
    await eventually('more has come', async () => {
      const ends = await stream.admin.fetchTopicOffsets(topic)
      return Number(ends.find(({ partition }) => partition === 0)?.high) > committed + 10
    })
    const offset = String(committed + 10)
    await stream.admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset }] })
    scorers = await Promise.all([system.startScorer(0), system.startScorer(1)])
    await fires('SluicePartitionStopped')
    await clears('SluiceNoScorer')

    await Promise.all(scorers.map((scorer) => scorer.end('SIGTERM')))
    await stream.admin.setOffsets({
      groupId: stream.groupId,
      topic,
      partitions: [{ partition: 0, offset }],
    })
    scorers = await Promise.all([system.startScorer(0), system.startScorer(1)])
    await clears('SluicePartitionStopped')
  })

  await t.test('no transactions', async () => {
    await producer.end('SIGTERM')
    await fires('SluiceNoTransactions')
    producer = await system.startProducer({ ...LOAD, seed: 10 })
    await clears('SluiceNoTransactions')
  })

  await t.test(
    'every alert has had its fault, here or in another file, or for a reason by promtool only',
    () => {
      const others = committedAlerts()
        .map(({ alert }) => alert)
        .filter((name) => !made.has(name))
      deepStrictEqual(
        others.sort(),
        [...MADE_ON_OWN_REDIS, ...MADE_ON_CONNECTIONS, ...Object.keys(ONLY_BY_PROMTOOL)].sort(),
      )
    },
  )
})

/** The transactional id that last committed a partition. */
async function ownerOf(stream: TestStream, partition: number): Promise<string> {
  const topics = [`${stream.prefix}transactions`]
  const [found] = await stream.admin.fetchOffsets({ groupId: stream.groupId, topics })
  const committed = found?.partitions.find((each) => each.partition === partition)
  const { owner } = splitOwner(committed?.metadata ?? null)
  ok(owner !== null, 'the last commit names its owner')
  return owner
}
