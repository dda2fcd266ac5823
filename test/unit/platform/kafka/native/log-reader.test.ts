// Goal: a partition is read wherever its leader moves. Method: a cluster whose leaders are moved by the test;
// test/integration/log-client.test.ts reads from a real broker, test/integrity/broker-kills.test.ts moves real leaders.

import { deepStrictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import type { Cluster } from '../../../../../services/platform/kafka/native/cluster.ts'
import { NativeLogReader } from '../../../../../services/platform/kafka/native/log-reader.ts'
import { eventually } from '../../../../support/poll.ts'
import { openLogger } from '../../../../../services/platform/log.ts'

const TOPIC_ID = '00000000-0000-0000-0000-000000000001'

interface Request {
  readonly topics: readonly { readonly partitions: readonly { readonly partition: number }[] }[]
}

test('a partition that moves to a broker that led none is read there, while its old leader leads others', async (t) => {
  const leaders = new Map([
    [0, 1],
    [1, 1],
  ])
  const asked = new Set<string>()
  const cluster = {
    topic: () => Promise.resolve({ topicId: TOPIC_ID }),
    leaderOf: (_topic: string, partition: number) => Promise.resolve(leaders.get(partition)),
    forgetTopic: () => undefined,
    send: (node: number, _purpose: string, _kind: unknown, { topics }: Request) => {
      for (const { partition } of topics[0]?.partitions ?? []) asked.add(`${partition} of ${node}`)
      return Promise.resolve({ error: 'NONE', partitions: [] })
    },
  } as unknown as Cluster
  const reader = new NativeLogReader({
    cluster,
    log: openLogger('log-reader-test', 'error', 'json'),
    onRecords: () => undefined,
    onFault: () => undefined,
  })
  t.after(() => reader.close())
  reader.seek('t', 0, 0)
  reader.seek('t', 1, 0)
  await eventually('both are read', () => Promise.resolve(asked.size === 2))
  leaders.set(1, 2)
  await eventually('the new leader is asked', () => Promise.resolve(asked.has('1 of 2')))
  deepStrictEqual([...asked].sort(), ['0 of 1', '1 of 1', '1 of 2'])
})
