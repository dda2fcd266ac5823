// Goal: a range is read to its end whatever a broker answers, or ends with an error that names the cause. Method: a
// cluster with scripted answers; test/integration/log-client.test.ts reads from a real broker.

import assert, { deepStrictEqual, rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { isSluiceError } from '../../../../../services/core/errors.ts'
import type { Cluster } from '../../../../../services/platform/kafka/native/cluster.ts'
import type { FetchedPartition } from '../../../../../services/platform/kafka/native/fetch-requests.ts'
import { KafkaAnswerError } from '../../../../../services/platform/kafka/native/kafka-errors.ts'
import { readRange } from '../../../../../services/platform/kafka/native/range-reader.ts'
import { batchAt } from './batch-fixture.ts'

const TOPIC_ID = '00000000-0000-0000-0000-000000000001'

/** One answer to a fetch: fields of the partition, an answer without it, or no answer. */
type Answer = Partial<FetchedPartition> | 'throttled' | Error

interface Asked {
  readonly offset: number
  readonly bytesMax: number
}

/** A cluster that returns these answers, one after the other, and records the requests. */
function clusterOf(answers: readonly Answer[], topicIds: readonly string[] = [TOPIC_ID]) {
  const asked: Asked[] = []
  let forgotten = 0
  const cluster = {
    topic: () => Promise.resolve({ topicId: topicIds[forgotten] ?? TOPIC_ID }),
    leaderOf: () => Promise.resolve(1),
    forgetTopic: () => {
      forgotten += 1
    },
    send: (
      _node: number,
      _purpose: string,
      _kind: unknown,
      { topics }: { topics: readonly { partitions: readonly Asked[] }[] },
    ) => {
      const [place] = topics[0]?.partitions ?? []
      assert(place !== undefined)
      asked.push({ offset: place.offset, bytesMax: place.bytesMax })
      const answer = answers[asked.length - 1]
      assert(answer !== undefined, 'no more answers')
      if (answer instanceof Error) return Promise.reject(answer)
      const sound = { error: 'NONE', highWatermark: 100, lastStableOffset: 100, aborted: [] }
      const partitions = answer === 'throttled' ? [] : [{ ...sound, bytes: null, ...answer }]
      return Promise.resolve({ error: 'NONE', partitions })
    },
  }
  return { cluster: cluster as unknown as Cluster, asked }
}

function textsOf(cluster: Cluster, to: number, signal: AbortSignal | null = null) {
  const texts: string[] = []
  const onRecords = (records: readonly { readonly value: Buffer | null }[]) => {
    texts.push(...records.map(({ value }) => value?.toString() ?? ''))
    return Promise.resolve()
  }
  const reading = readRange(cluster, { topic: 't', partition: 0, from: 0, to }, onRecords, signal)
  return { texts, reading }
}

test('goes on after a leader that moved, a broken connection and an answer without the partition', async () => {
  const { cluster, asked } = clusterOf([
    { error: 'NOT_LEADER_OR_FOLLOWER' },
    new Error('Connection closed.'),
    'throttled',
    { bytes: batchAt(0, ['a', 'b']) },
    { error: 'UNKNOWN_TOPIC_ID' },
    { bytes: batchAt(2, ['c', 'd', 'e']) },
  ])
  const { texts, reading } = textsOf(cluster, 4)
  await reading
  deepStrictEqual(texts, ['a', 'b', 'c', 'd'])
  deepStrictEqual(
    asked.map(({ offset }) => offset),
    [0, 0, 0, 0, 2, 2],
  )
})

test('waits while a transaction is open, and ends where the last offsets hold nothing', async () => {
  const { cluster, asked } = clusterOf([
    { bytes: batchAt(0, ['a']) },
    { lastStableOffset: 1 },
    { lastStableOffset: 1, highWatermark: 3 },
    { lastStableOffset: 3, highWatermark: 3 },
  ])
  const { texts, reading } = textsOf(cluster, 3)
  await reading
  deepStrictEqual(texts, ['a'])
  strictEqual(asked.length, 4)
})

test('a batch that does not fit is asked for with more room', async () => {
  const batch = batchAt(0, ['a', 'b'])
  const { cluster, asked } = clusterOf([{ bytes: batch.subarray(0, 70) }, { bytes: batch }])
  const { texts, reading } = textsOf(cluster, 2)
  await reading
  deepStrictEqual(texts, ['a', 'b'])
  strictEqual(asked[1]?.bytesMax, 2 * (asked[0]?.bytesMax ?? NaN))
})

test('a wrong checksum ends the reading, after the records before it', async () => {
  const damaged = batchAt(1, ['b'])
  damaged.writeUInt8(0xff, damaged.length - 2)
  const { cluster } = clusterOf([{ bytes: Buffer.concat([batchAt(0, ['a']), damaged]) }])
  const { texts, reading } = textsOf(cluster, 2)
  await rejects(reading, (error) => isSluiceError(error, 'SLUICE_LOG_CORRUPT'))
  deepStrictEqual(texts, ['a'])
})

test('a topic that was created again amid the range is not read on', async () => {
  const { cluster } = clusterOf(
    [{ bytes: batchAt(0, ['a']) }, { error: 'UNKNOWN_TOPIC_ID' }],
    [TOPIC_ID, '00000000-0000-0000-0000-000000000002'],
  )
  const { texts, reading } = textsOf(cluster, 2)
  await rejects(reading, (error) => isSluiceError(error, 'SLUICE_PARTITION_OFFSET_OUT_OF_RANGE'))
  deepStrictEqual(texts, ['a'])
})

test('a missing right is told at once', async () => {
  const { cluster, asked } = clusterOf([
    new KafkaAnswerError('Fetch', 'TOPIC_AUTHORIZATION_FAILED', 't/0'),
  ])
  const { reading } = textsOf(cluster, 2)
  await rejects(reading, (error) => isSluiceError(error, 'SLUICE_ACCESS_DENIED'))
  strictEqual(asked.length, 1)
})

test('a cluster that stays away ends the reading, and so does the signal meanwhile', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let nowMs = 0
  t.mock.method(performance, 'now', () => nowMs)
  const away = Array.from({ length: 40 }, () => new Error('connect ECONNREFUSED'))
  const { reading } = textsOf(clusterOf(away).cluster, 2)
  nowMs = 10_001
  await rejects(reading, (error) => isSluiceError(error, 'SLUICE_BROKER_UNAVAILABLE'))
  const stopping = new AbortController()
  const stopped = textsOf(clusterOf(away).cluster, 2, stopping.signal)
  stopping.abort(new Error('given up'))
  await rejects(stopped.reading, /given up/)
})
