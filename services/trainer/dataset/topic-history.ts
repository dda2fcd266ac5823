// Reads a history from Kafka: the transactions and labels topics from their beginning to their current end.

import { randomUUID } from 'node:crypto'
import type { Kafka, KafkaMessage } from 'kafkajs'
import { SluiceError } from '../../core/errors.ts'
import type { Codecs } from '../../core/wire/codecs.ts'
import { registerCompressionCodecs } from '../../platform/kafka/compression.ts'
import { openKafka } from '../../platform/kafka/kafka-client.ts'
import type { KafkaConnection } from '../../platform/kafka/kafka-connection.ts'
import { explainKafka, kafkaRefusal } from '../../platform/kafka/kafka-failure.ts'
import { readPartitionLog, type LogStretch } from '../../platform/kafka/partition-log.ts'
import { readLogEnds } from '../../platform/kafka/log-ends.ts'
import { readPartitionCount, topicName } from '../../platform/kafka/topics.ts'
import { DATASET_ROWS_MAX, type HistoryEvent } from './dataset.ts'

/** Labels are few compared with transactions; both are held in memory to be merged by time. */
const EVENTS_MAX = 2 * DATASET_ROWS_MAX

const CONNECTION_TIMEOUT_MS = 5_000
const RETRY = { retries: 5, initialRetryTime: 50, maxRetryTime: 1_000 }

export interface TopicHistoryOptions extends KafkaConnection {
  readonly topicPrefix: string
  readonly codecs: Codecs
  readonly onProgress: (line: string) => void
  /** Called once with the number of messages that were left out, if any. */
  readonly onUnreadable?: (count: number) => void
}

/**
 * All events, merged by event time and known-at time. Messages that cannot be decoded are counted and left out; the
 * scorer sends the same messages to the dead letters.
 * @throws SluiceError SLUICE_PREREQUISITE_MISSING when Kafka does not answer, SLUICE_TOPICS_INVALID when topics are
 * missing, SLUICE_TRAINING_DATA_INVALID when there is more than fits in memory.
 */
export async function readTopicHistory(
  options: TopicHistoryOptions,
): Promise<readonly HistoryEvent[]> {
  const { topicPrefix, onProgress } = options
  registerCompressionCodecs()
  const kafka = openKafka(options, {
    clientId: 'sluice-trainer',
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    retry: RETRY,
  })
  const partitions = await findStretches(kafka, options, topicPrefix)
  const groupId = `sluice-trainer-${randomUUID()}`
  const gathered = new Gathered(options.codecs, topicName(topicPrefix, 'labels'))
  for (const [partition, stretches] of partitions.entries()) {
    await readPartitionLog(kafka, { groupId, partition, stretches }, (topic, messages) => {
      gathered.add(topic, messages)
      return Promise.resolve()
    }).catch((error: unknown) => {
      throw kafkaRefusal(error) ?? error
    })
    onProgress(
      `partition ${partition + 1} of ${partitions.length}: ${gathered.events.length} events`,
    )
  }
  if (gathered.unreadable > 0) {
    onProgress(`${gathered.unreadable} messages could not be decoded and are left out`)
    options.onUnreadable?.(gathered.unreadable)
  }
  return gathered.inOrder()
}

class Gathered {
  readonly events: { readonly timeMs: number; readonly event: HistoryEvent }[] = []
  unreadable = 0
  readonly #codecs: Codecs
  readonly #labelsTopic: string

  constructor(codecs: Codecs, labelsTopic: string) {
    this.#codecs = codecs
    this.#labelsTopic = labelsTopic
  }

  add(topic: string, messages: readonly KafkaMessage[]): void {
    if (this.events.length + messages.length > EVENTS_MAX) {
      throw new SluiceError(
        'SLUICE_TRAINING_DATA_INVALID',
        `The topics hold more than ${EVENTS_MAX} events; train from files of a shorter period instead.`,
      )
    }
    for (const { value } of messages) {
      if (topic === this.#labelsTopic) this.#addLabel(value)
      else this.#addTransaction(value)
    }
  }

  /** By time, labels before transactions of the same moment; otherwise in the order of the log. */
  inOrder(): readonly HistoryEvent[] {
    const rank = (event: HistoryEvent): number => (event.kind === 'label' ? 0 : 1)
    return this.events
      .sort((a, b) => a.timeMs - b.timeMs || rank(a.event) - rank(b.event))
      .map(({ event }) => event)
  }

  #addTransaction(bytes: Buffer | null): void {
    const message = this.#codecs.decodeTransactionMessage(bytes)
    if (message.kind === 'reject') this.unreadable += 1
    if (message.kind !== 'transaction') return
    const { value: transaction } = message
    this.events.push({
      timeMs: transaction.eventTimeMs,
      event: { kind: 'transaction', transaction },
    })
  }

  #addLabel(bytes: Buffer | null): void {
    const message = this.#codecs.decodeLabelMessage(bytes)
    if (message.kind === 'reject') this.unreadable += 1
    if (message.kind !== 'label') return
    const { value: label } = message
    this.events.push({ timeMs: label.knownAtMs, event: { kind: 'label', label } })
  }
}

/** Both topics of each partition, from the first retained offset to the current end. */
async function findStretches(
  kafka: Kafka,
  connection: KafkaConnection,
  topicPrefix: string,
): Promise<readonly (readonly LogStretch[])[]> {
  const admin = kafka.admin()
  try {
    await admin.connect()
    const partitionCount = await readPartitionCount(admin, topicPrefix, ['transactions', 'labels'])
    const stretches: LogStretch[][] = Array.from({ length: partitionCount }, () => [])
    for (const topic of ['labels', 'transactions'] as const) {
      const name = topicName(topicPrefix, topic)
      for (const [partition, { low, high }] of await readLogEnds(admin, name)) {
        stretches[partition]?.push({ topic: name, from: low, to: high })
      }
    }
    return stretches
  } catch (error) {
    if (error instanceof SluiceError) throw error
    const refusal = await explainKafka(connection, error)
    if (refusal !== null) throw refusal
    throw new SluiceError(
      'SLUICE_PREREQUISITE_MISSING',
      `Kafka at ${connection.brokers.join(',')} does not answer. Start it with "sluice up", or give its address with ` +
        '--brokers or SLUICE_KAFKA_BROKERS.',
      { cause: error },
    )
  } finally {
    await admin.disconnect()
  }
}
