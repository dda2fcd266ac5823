// Goal: the alerts whose faults would disturb other tests, or that need a past with fraud, fire and clear as well.
// Method: as in alerts.test.ts, with a Redis for this test alone, and a past in which every fifth transaction is fraud.

import { deepStrictEqual } from 'node:assert/strict'
import { setTimeout as sleepMs } from 'node:timers/promises'
import { test } from 'node:test'
import { Redis } from 'ioredis'
import { MADE_ON_OWN_REDIS } from '../support/alert-rules.ts'
import { watchAlerts } from '../support/alert-watch.ts'
import { closeWith } from '../support/cleanup.ts'
import { openObservedSystem } from '../support/observed-system.ts'
import { openOwnRedis } from '../support/own-redis.ts'
import { eventually } from '../support/poll.ts'

const PER_SECOND = 150
const FILLERS = 8_000
const FILLER_BYTES = 1_000
/** Half of the time: far beyond the limit, and short enough for scrapes to be answered in between. */
const HELD_UP_MS = 200

async function usedBytes(redis: Redis): Promise<number> {
  return Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1])
}

test('state and load of an observed system', { timeout: 840_000 }, async (t) => {
  const redisUrl = await openOwnRedis(t)
  const redis = new Redis(redisUrl)
  closeWith(t, () => {
    redis.disconnect()
    return Promise.resolve()
  })
  const system = await openObservedSystem(t, redisUrl)
  const { prometheus } = system
  const { made, fires, clears } = watchAlerts(system)
  const scorer = await system.startScorer(0)
  let producer = await system.startProducer({ perSecond: PER_SECOND, fraudShare: 0.2, seed: 7 })
  await eventually('there is a past with many alerts', async () => {
    const past = await prometheus.query('job:sluice_decisions_alerted:ratio_rate30m > 0.05')
    return past.length > 0
  })

  await t.test('Redis near its limit', async () => {
    await redis.config('SET', 'maxmemory', Math.round((await usedBytes(redis)) * 1.1))
    await fires('SluiceRedisMemoryNearLimit')
    await redis.config('SET', 'maxmemory', 0)
    await clears('SluiceRedisMemoryNearLimit')
  })

  await t.test('a Redis that evicts keys', async () => {
    // These expire long before any state does, so they are evicted first.
    const filling = redis.pipeline()
    for (let index = 0; index < FILLERS; index += 1)
      filling.set(`filler:${index}`, 'x'.repeat(FILLER_BYTES), 'EX', 600)
    await filling.exec()
    await redis.config('SET', 'maxmemory-policy', 'volatile-ttl')
    const half = (FILLERS * FILLER_BYTES) / 2
    await redis.config('SET', 'maxmemory', Math.round((await usedBytes(redis)) - half))
    await fires('SluiceRedisEvictions')
    await redis.config('SET', 'maxmemory', 0)
    await redis.config('SET', 'maxmemory-policy', 'noeviction')
    await clears('SluiceRedisEvictions')
  })

  await t.test('a scorer that gets too little processor time', async () => {
    const run = { isDone: false }
    const holdingUp = (async () => {
      while (!run.isDone) {
        scorer.signal('SIGSTOP')
        await sleepMs(HELD_UP_MS)
        scorer.signal('SIGCONT')
        await sleepMs(HELD_UP_MS)
      }
    })()
    await fires('SluiceEventLoopDelay').finally(() => {
      run.isDone = true
    })
    await holdingUp
    await clears('SluiceEventLoopDelay')
  })

  await t.test('fraud that is no longer detected', async () => {
    await producer.end('SIGTERM')
    producer = await system.startProducer({ perSecond: PER_SECOND, fraudShare: 0, seed: 8 })
    await fires('SluiceAlertRateCollapsed')
    await producer.end('SIGTERM')
    producer = await system.startProducer({ perSecond: PER_SECOND, fraudShare: 0.2, seed: 9 })
    await clears('SluiceAlertRateCollapsed')
  })

  deepStrictEqual([...made].sort(), [...MADE_ON_OWN_REDIS].sort())
})
