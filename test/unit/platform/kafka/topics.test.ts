import { deepStrictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import type { Admin, ITopicConfig } from 'kafkajs'
import { createTopics, TOPICS } from '../../../../services/platform/kafka/topics.ts'

/** The settings of the requested topics. */
async function settingsOf(replicationFactor: number): Promise<readonly ITopicConfig[]> {
  const asked: ITopicConfig[] = []
  const admin = {
    listTopics: () => Promise.resolve([]),
    createTopics: ({ topics }: { topics: ITopicConfig[] }) =>
      Promise.resolve(asked.push(...topics)),
    fetchTopicMetadata: () => Promise.resolve({ topics: [] }),
    fetchTopicOffsets: () => Promise.resolve([]),
  } as unknown as Admin
  await createTopics(admin, '', { partitionCount: 4, replicationFactor })
  return asked
}

for (const [replicas, inSyncMin] of [
  [1, undefined],
  [2, undefined],
  [3, '2'],
  [5, '2'],
] as const) {
  test(`with ${replicas} replicas every topic has min.insync.replicas ${inSyncMin} and clean elections`, async () => {
    const valueOf = ({ configEntries = [] }: ITopicConfig, key: string): string | undefined =>
      configEntries.find(({ name }) => name === key)?.value
    deepStrictEqual(
      (await settingsOf(replicas)).map((topic) => [
        topic.topic,
        valueOf(topic, 'min.insync.replicas'),
        valueOf(topic, 'unclean.leader.election.enable'),
      ]),
      TOPICS.map((topic) => [topic, inSyncMin, 'false']),
    )
  })
}
