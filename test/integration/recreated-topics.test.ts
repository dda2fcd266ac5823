// Goal: topics that were created again under the same names are another stream: no alert id comes twice, and no history of the
// old stream is mixed in. Method: a scorer without SLUICE_STREAM_ID decides the same messages in topics of the same names,
// created twice.

import { deepStrictEqual, notStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { Redis } from 'ioredis'
import type { Alert, DecisionBatch } from '../../services/core/wire/records.ts'
import { readToEnd } from '../../services/platform/kafka/committed-reader.ts'
import { createTopics, deleteTopics } from '../../services/platform/kafka/topics.ts'
import { closeWith } from '../support/cleanup.ts'
import { eventually } from '../support/poll.ts'
import { startScorer } from '../support/scorer-process.ts'
import {
  keysOf,
  openStream,
  PARTITION_COUNT,
  simulatedEvents,
  type TestStream,
} from '../support/streams.ts'

/** Starts a scorer, waits until it has decided everything, and stops it. Returns all that it has published. */
async function decide(t: TestContext, stream: TestStream, sentCounts: readonly number[]) {
  const { admin, groupId, prefix, brokers, codecs } = stream
  const environment = stream.patientEnvironment()
  delete environment['SLUICE_STREAM_ID']
  const scorer = await startScorer(t, environment)
  const topic = `${prefix}transactions`
  await eventually('everything is decided', async () => {
    const [found] = await admin.fetchOffsets({ groupId, topics: [topic] })
    const offsets = new Map(found?.partitions.map((each) => [each.partition, Number(each.offset)]))
    return sentCounts.every((count, partition) => offsets.get(partition) === count)
  })
  strictEqual(await scorer.end('SIGTERM'), 0)
  const batches: DecisionBatch[] = []
  const alerts: Alert[] = []
  await readToEnd(
    {
      brokers,
      name: 'sluice-test-recreated',
      topics: [`${prefix}decisions`, `${prefix}alerts`],
      startAt: 'beginning',
    },
    ({ messages }) => {
      for (const { value } of messages) {
        const batch = codecs.decisionBatch.decode(value)
        const alert = codecs.alert.decode(value)
        if (batch.ok) batches.push(batch.value)
        if (alert.ok) alerts.push(alert.value)
      }
    },
  )
  const [streamId = ''] = batches.map((batch) => batch.streamId)
  closeWith(t, async () => {
    const redis = new Redis(stream.redisUrl)
    for (const key of await keysOf(redis, streamId)) await redis.del(key)
    redis.disconnect()
  })
  const duplicates = batches.flatMap(({ decisions }) =>
    decisions.filter(({ duplicateOfOffset }) => duplicateOfOffset !== null),
  )
  return { streamId, duplicates, alertIds: new Set(alerts.map(({ alertId }) => alertId)) }
}

test('topics that were created again are another stream', async (t) => {
  const stream = await openStream(t, 'recreated')
  const { admin, prefix, sent } = stream
  const events = await simulatedEvents(400)
  await stream.send(events)
  const sentCounts = sent.map(({ length }) => length)
  const before = await decide(t, stream, sentCounts)
  ok(before.alertIds.size > 0)
  await deleteTopics(admin, prefix)
  await createTopics(admin, prefix, { partitionCount: PARTITION_COUNT, replicationFactor: 1 })
  await stream.send(events)
  const after = await decide(t, stream, sentCounts)
  notStrictEqual(after.streamId, before.streamId)
  // Not the same number: features of entities lag by the time of the machine.
  ok(after.alertIds.size > 0)
  deepStrictEqual(
    [...after.alertIds].filter((alertId) => before.alertIds.has(alertId)),
    [],
  )
  strictEqual(after.duplicates.length, before.duplicates.length, 'no card of before is known')
})
