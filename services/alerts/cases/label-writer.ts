// Writes what a person found: the label into the partition of its card, where the scorer meets it with the card's
// transactions, and then the disposition, which says who found it and why.
//
// The label comes first: a stop between the two leaves a label whose repetition the scorer passes over, and never a
// disposition whose label is missing.

import type { Producer } from 'kafkajs'
import { SluiceError } from '../../core/errors.ts'
import { dispositionKey, labelOf, type LabelSubject } from '../../core/dispositions.ts'
import { partitionOf } from '../../core/murmur2.ts'
import type { Codecs } from '../../core/wire/codecs.ts'
import type { Disposition } from '../../core/wire/records.ts'
import { openKafka } from '../../platform/kafka/kafka-client.ts'
import type { KafkaConnection } from '../../platform/kafka/kafka-connection.ts'
import { explainKafka, kafkaAway } from '../../platform/kafka/kafka-failure.ts'
import { readPartitionCount, topicName } from '../../platform/kafka/topics.ts'
import type { Closable } from '../../platform/lifecycle.ts'

const CONNECTION_TIMEOUT_MS = 3_000
const RETRY = { initialRetryTime: 50, maxRetryTime: 1_000, retries: 5 } as const

export interface LabelWriterOptions extends KafkaConnection {
  readonly topicPrefix: string
  readonly codecs: Pick<Codecs, 'label' | 'disposition'>
}

export interface LabelWriter extends Closable {
  /**
   * Resolves once the brokers have both. @throws SluiceError SLUICE_INPUT_INVALID when the label is none that the scorer
   * would take, SLUICE_BROKER_UNAVAILABLE or SLUICE_ACCESS_DENIED.
   */
  write(disposition: Disposition, subject: LabelSubject): Promise<void>
}

/** @throws SluiceError SLUICE_TOPICS_INVALID, SLUICE_BROKER_UNAVAILABLE, SLUICE_ACCESS_DENIED or SLUICE_TLS_FAILED. */
export async function openLabelWriter(options: LabelWriterOptions): Promise<LabelWriter> {
  const kafka = openKafka(options, {
    clientId: 'sluice-labels',
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    retry: RETRY,
  })
  const admin = kafka.admin()
  const producer = kafka.producer({
    idempotent: true,
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
    retry: RETRY,
  })
  try {
    await admin.connect()
    const labelPartitions = await readPartitionCount(admin, options.topicPrefix, ['labels'])
    await producer.connect()
    return new Writer(producer, labelPartitions, options)
  } catch (error) {
    await producer.disconnect().catch(() => undefined)
    throw (await explainKafka(options, error)) ?? kafkaAway(options, error) ?? error
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
}

class Writer implements LabelWriter {
  readonly #producer: Producer
  readonly #labelPartitions: number
  readonly #options: LabelWriterOptions

  constructor(producer: Producer, labelPartitions: number, options: LabelWriterOptions) {
    this.#producer = producer
    this.#labelPartitions = labelPartitions
    this.#options = options
  }

  async write(disposition: Disposition, subject: LabelSubject): Promise<void> {
    const { topicPrefix, codecs } = this.#options
    const label = labelOf(disposition, subject)
    const labelBytes = label === null ? null : checkedLabel(codecs, codecs.label.encode(label))
    const value = codecs.disposition.encode(disposition)
    const timestamp = String(disposition.atMs)
    try {
      if (labelBytes !== null) {
        const key = Buffer.from(subject.card)
        const partition = partitionOf(key, this.#labelPartitions)
        await this.#producer.send({
          topic: topicName(topicPrefix, 'labels'),
          acks: -1,
          messages: [{ key, value: labelBytes, partition, timestamp }],
        })
      }
      await this.#producer.send({
        topic: topicName(topicPrefix, 'dispositions'),
        acks: -1,
        messages: [{ key: dispositionKey(disposition), value, timestamp }],
      })
    } catch (error) {
      throw (
        (await explainKafka(this.#options, error)) ??
        new SluiceError(
          'SLUICE_BROKER_UNAVAILABLE',
          'The label could not be written, or not all of it; say it again once Kafka answers: nothing is counted twice.',
          { cause: error },
        )
      )
    }
  }

  close(): Promise<void> {
    return this.#producer.disconnect()
  }
}

/** A label that the scorer would refuse must not be written. */
function checkedLabel(codecs: LabelWriterOptions['codecs'], bytes: Buffer): Buffer {
  const decoded = codecs.label.decode(bytes)
  if (decoded.ok) return bytes
  const { reason, field } = decoded
  throw new SluiceError(
    'SLUICE_INPUT_INVALID',
    `The scorer would refuse this label: ${reason}${field === null ? '' : ` in ${field}`}. Correct it.`,
    { details: { reason, field } },
  )
}
