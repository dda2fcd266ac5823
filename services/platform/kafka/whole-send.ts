// Sends by kafkajs and checks that every partition was written. kafkajs 2.2.4 remembers which brokers have answered a
// send. When a leader fails in the middle of one, and its partition moves to a broker that has already answered,
// kafkajs leaves that partition out and reports success. Its report lists the written partitions, so that the others
// can be sent again; no sequence number was used for them.

import assert from 'node:assert/strict'
import kafkajs, {
  type CompressionTypes,
  type ICustomPartitioner,
  type Message,
  type RecordMetadata,
  type Sender,
  type TopicMessages,
} from 'kafkajs'
import { SluiceError } from '../../core/errors.ts'

const ATTEMPTS_MAX = 5

const partitions = new WeakMap<Message, number>()

/** Java's partitioner, which remembers the partition of each message: for producers that `sendWhole` uses. */
export const rememberingPartitioner: ICustomPartitioner = () => {
  const partitionOf = kafkajs.Partitioners.DefaultPartitioner()
  return (args) => {
    const partition = partitionOf(args)
    partitions.set(args.message, partition)
    return partition
  }
}

/**
 * Sends to all partitions, and returns the brokers' answers. The producer must use the partitioner above. @throws
 * SluiceError SLUICE_BROKER_UNAVAILABLE when partitions are left out again and again; errors of kafkajs
 */
export async function sendWhole(
  sender: Pick<Sender, 'sendBatch'>,
  batch: readonly TopicMessages[],
  compression: CompressionTypes = kafkajs.CompressionTypes.None,
): Promise<readonly RecordMetadata[]> {
  const written: RecordMetadata[] = []
  let rest = batch
  for (let attempt = 1; rest.length > 0; attempt += 1) {
    if (attempt > ATTEMPTS_MAX) throw leftOut(rest)
    const answers = await sender.sendBatch({ acks: -1, compression, topicMessages: [...rest] })
    written.push(...answers)
    rest = without(rest, answers)
  }
  return written
}

/** The messages of partitions without an answer. */
function without(
  batch: readonly TopicMessages[],
  answers: readonly RecordMetadata[],
): readonly TopicMessages[] {
  const answered = new Set(answers.map(({ topicName, partition }) => `${topicName}/${partition}`))
  const isLeftOut = (topic: string, message: Message): boolean => {
    const partition = partitions.get(message)
    assert(partition !== undefined, 'The producer remembers partitions.')
    return !answered.has(`${topic}/${partition}`)
  }
  return batch
    .map(({ topic, messages }) => ({
      topic,
      messages: messages.filter((message) => isLeftOut(topic, message)),
    }))
    .filter(({ messages }) => messages.length > 0)
}

function leftOut(rest: readonly TopicMessages[]): SluiceError {
  const topics = rest.map(({ topic }) => topic).join(', ')
  return new SluiceError(
    'SLUICE_BROKER_UNAVAILABLE',
    `Partitions of ${topics} changed their leaders during each of ${ATTEMPTS_MAX} sends; not everything was written.`,
  )
}
