// Goal: the doctor finds settings of running servers that would lose state. Method: topics as Sluice creates them, then
// with changed settings; a Redis of the test's own, first with the wrong settings.

import { strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { Redis } from 'ioredis'
import kafkajs from 'kafkajs'
import { topicName } from '../../services/platform/kafka/topics.ts'
import { examine } from '../../tools/doctor/command.ts'
import { ROOT } from '../support/dockerfile.ts'
import { openOwnRedis } from '../support/own-redis.ts'
import { readUntil } from '../support/poll.ts'
import { openStream } from '../support/streams.ts'

test('the doctor fails or warns about eviction, lost persistence, compaction and short retention', async (t) => {
  const url = await openOwnRedis(t)
  const stream = await openStream(t, 'doctor')
  const redis = new Redis(url)
  t.after(() => {
    redis.disconnect()
  })
  const found = async (name: string) => {
    const env = { ...process.env, ...stream.environment({ SLUICE_REDIS_URL: url }) }
    const findings = await examine({ root: ROOT, env, backendProbes: [] })
    const finding = findings.find((each) => each.name === name)
    return `${finding?.level ?? 'not there'}: ${finding?.seen ?? ''}`
  }
  // Kafka's controller reports a created or changed topic before the broker that is asked has caught up.
  const sees = (name: string, wanted: RegExp) =>
    readUntil(
      `${name} is seen as ${wanted.source}`,
      () => found(name),
      (seen) => wanted.test(seen),
    )
  const alter = async (topic: 'transactions' | 'decisions', name: string, value: string) => {
    const type = kafkajs.ConfigResourceTypes.TOPIC
    const resource = { type, name: topicName(stream.prefix, topic) }
    await stream.admin.alterConfigs({
      validateOnly: false,
      resources: [{ ...resource, configEntries: [{ name, value }] }],
    })
  }
  await sees('Redis', /^warn: .*noeviction, append-only file off/)
  await redis.config('SET', 'maxmemory-policy', 'allkeys-lru')
  await sees('Redis', /^fail: .*allkeys-lru/)
  await redis.config('SET', 'maxmemory-policy', 'noeviction')
  await redis.config('SET', 'appendonly', 'yes')
  await sees('Redis', /^ok: .*noeviction, append-only file on/)
  const kept = await sees('Retention', /^ok: (.*60 days){3}/)
  strictEqual(kept.match(/60 days/g)?.length, 3)
  await alter('decisions', 'retention.ms', String(39 * 86_400_000))
  await sees('Retention', /^warn: .*decisions 39 days/)
  await alter('transactions', 'cleanup.policy', 'compact')
  await sees('Retention', /^fail: /)
})
