// Goal: scorers of two streams in one group fail with an error instead of receiving each other's partitions.

import { deepStrictEqual, rejects } from 'node:assert/strict'
import { test } from 'node:test'
import { AssignerProtocol, type Cluster, type GroupMember } from 'kafkajs'
import { isSluiceError } from '../../../../services/core/errors.ts'
import { partitionAssigner } from '../../../../services/platform/kafka/partition-assigner.ts'

const TOPICS = ['a.transactions', 'a.labels']

const assigner = partitionAssigner(TOPICS)({
  cluster: {
    findTopicPartitionMetadata: () => [0, 1, 2].map((partitionId) => ({ partitionId })),
  } as unknown as Cluster,
  groupId: 'sluice-scorer',
  logger: {} as never,
})

function memberOf(memberId: string, topics: readonly string[]): GroupMember {
  const memberMetadata = AssignerProtocol.MemberMetadata.encode({
    version: 1,
    topics: [...topics],
    userData: Buffer.alloc(0),
  })
  return { memberId, memberMetadata }
}

// A thrown error becomes a rejection too.
async function assigned(members: GroupMember[]): Promise<readonly (readonly number[])[]> {
  const given = await assigner.assign({ members, topics: TOPICS })
  return given.map(
    ({ memberAssignment }) =>
      AssignerProtocol.MemberAssignment.decode(memberAssignment)?.assignment['a.labels'] ?? [],
  )
}

test('members of one stream share its partitions, in whatever order they name its topics', async () => {
  const members = [memberOf('m1', TOPICS), memberOf('m2', TOPICS.toReversed())]
  deepStrictEqual(await assigned(members), [[0, 2], [1]])
})

test('a member of another stream is refused by name', async () => {
  await rejects(
    assigned([memberOf('m1', TOPICS), memberOf('m2', ['b.transactions', 'b.labels'])]),
    (error) =>
      isSluiceError(error, 'SLUICE_TOPICS_INVALID') &&
      /m2 .*b\.transactions.*SLUICE_GROUP_ID/.test(error.message),
  )
})
