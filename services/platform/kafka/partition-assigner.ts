// Assigns partitions: partition p of transactions and partition p of labels always go to the same member. kafkajs' own
// assigner distributes topics separately, which would separate a card's labels from its transactions.

import {
  AssignerProtocol,
  type Assignment,
  type GroupMember,
  type PartitionAssigner,
} from 'kafkajs'
import { SluiceError } from '../../core/errors.ts'

const NAME = 'sluice-partitions'
const VERSION = 1

/** Assigns partitions to members in turn, in the order of the members' ids. */
export function partitionAssigner(topics: readonly string[]): PartitionAssigner {
  return ({ cluster }) => ({
    name: NAME,
    version: VERSION,
    assign({ members }) {
      refuseOtherStreams(topics, members)
      const memberIds = members.map(({ memberId }) => memberId).sort()
      const [firstTopic] = topics
      const partitions = cluster
        .findTopicPartitionMetadata(firstTopic ?? '')
        .map(({ partitionId }) => partitionId)
        .sort((a, b) => a - b)
      return Promise.resolve(
        memberIds.map((memberId, member) => {
          const own = partitions.filter((_, index) => index % memberIds.length === member)
          const assignment: Assignment = Object.fromEntries(topics.map((topic) => [topic, own]))
          return {
            memberId,
            memberAssignment: AssignerProtocol.MemberAssignment.encode({
              version: VERSION,
              assignment,
              userData: Buffer.alloc(0),
            }),
          }
        }),
      )
    },
    protocol: ({ topics: subscribed }) => ({
      name: NAME,
      metadata: AssignerProtocol.MemberMetadata.encode({
        version: VERSION,
        topics: subscribed,
        userData: Buffer.alloc(0),
      }),
    }),
  })
}

/** @throws SluiceError SLUICE_TOPICS_INVALID when a member subscribes to other topics: it would drop its assignment. */
function refuseOtherStreams(topics: readonly string[], members: readonly GroupMember[]): void {
  for (const { memberId, memberMetadata } of members) {
    const subscribed = AssignerProtocol.MemberMetadata.decode(memberMetadata)?.topics ?? []
    const refusal = otherStream(topics, memberId, subscribed)
    if (refusal !== null) throw refusal
  }
}

/** The reason for which a member must not share our group; null when it subscribes to our topics. */
export function otherStream(
  topics: readonly string[],
  memberId: string,
  subscribed: readonly string[],
): SluiceError | null {
  if (subscribed.toSorted().join() === topics.toSorted().join()) return null
  return new SluiceError(
    'SLUICE_TOPICS_INVALID',
    `Member ${memberId} of this consumer group subscribes to ${subscribed.join(', ')}, and we to ${topics.join(', ')}. ` +
      'Partitions of one stream would go to scorers of another: give each stream a separate SLUICE_GROUP_ID.',
  )
}

/** Assigns one partition of each topic to the only member, to read one partition's log outside the group. */
export function singlePartitionAssigner(
  topics: readonly string[],
  partition: number,
): PartitionAssigner {
  return (config) => ({
    ...partitionAssigner(topics)(config),
    assign: ({ members }) =>
      Promise.resolve(
        members.map(({ memberId }) => ({
          memberId,
          memberAssignment: AssignerProtocol.MemberAssignment.encode({
            version: VERSION,
            assignment: Object.fromEntries(topics.map((topic) => [topic, [partition]])),
            userData: Buffer.alloc(0),
          }),
        })),
      ),
  })
}
