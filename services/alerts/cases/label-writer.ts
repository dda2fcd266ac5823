// Writes what a person found: the label into the partition of its card, where the scorer meets it with the card's
// transactions, and the disposition, which says who found it and why. Both are one Kafka transaction.
//
// All processes that label share one transactional id. Who begins with it shuts out whoever had it before: what that one
// has not committed by then is never seen, and its next try fails. So what the topics hold after that is all that was
// said, until somebody else begins; and a look at it then tells whether there is anything to write. Who is shut out
// begins again and looks again.

import { setTimeout as sleepMs } from 'node:timers/promises'
import type { Kafka, TopicMessages } from 'kafkajs'
import { isSluiceError, SluiceError } from '../../core/errors.ts'
import {
  dispositionKey,
  labelOf,
  type LabelSubject,
  type Novelty,
} from '../../core/dispositions.ts'
import { partitionOf } from '../../core/murmur2.ts'
import type { Codecs } from '../../core/wire/codecs.ts'
import type { Disposition } from '../../core/wire/records.ts'
import { openKafka } from '../../platform/kafka/kafka-client.ts'
import type { KafkaConnection } from '../../platform/kafka/kafka-connection.ts'
import { explainKafka, kafkaAway } from '../../platform/kafka/kafka-failure.ts'
import {
  openPartitionTransactions,
  type PartitionTransactions,
} from '../../platform/kafka/partition-transactions.ts'
import { readPartitionCount, topicName } from '../../platform/kafka/topics.ts'
import type { Closable } from '../../platform/lifecycle.ts'

const CONNECTION_TIMEOUT_MS = 3_000
const RETRY = { initialRetryTime: 50, maxRetryTime: 1_000, retries: 5 } as const
/** A process that is killed in its transaction keeps scorers from the labels behind it for at most as long. */
const TRANSACTION_TIMEOUT_MS = 10_000
const ATTEMPTS_MAX = 12
/** Two that shut each other out wait for different times, at random. */
const PAUSE_MS_MAX = 1_000

export interface LabelWriterOptions extends KafkaConnection {
  readonly topicPrefix: string
  readonly codecs: Pick<Codecs, 'label' | 'disposition'>
}

/** Brings what is known up to all that is committed, and says what the disposition is beside it. */
export type Look = () => Promise<Novelty>

export interface LabelWriter extends Closable {
  /**
   * Resolves once the brokers have both, or when a look has shown that they are no news. One call at a time.
   * @throws SluiceError SLUICE_INPUT_INVALID when the label is none that the scorer would take,
   * SLUICE_BROKER_UNAVAILABLE or SLUICE_ACCESS_DENIED, and what `look` throws.
   */
  write(disposition: Disposition, subject: LabelSubject, look: Look): Promise<Novelty>
}

/** @throws SluiceError SLUICE_TOPICS_INVALID, SLUICE_BROKER_UNAVAILABLE, SLUICE_ACCESS_DENIED or SLUICE_TLS_FAILED. */
export async function openLabelWriter(options: LabelWriterOptions): Promise<LabelWriter> {
  const kafka = openKafka(options, {
    clientId: 'sluice-labels',
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    retry: RETRY,
  })
  const admin = kafka.admin()
  try {
    await admin.connect()
    const labelPartitions = await readPartitionCount(admin, options.topicPrefix, ['labels'])
    return new Writer(kafka, labelPartitions, options)
  } catch (error) {
    throw (await explainKafka(options, error)) ?? kafkaAway(options, error) ?? error
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
}

class Writer implements LabelWriter {
  readonly #kafka: Kafka
  readonly #labelPartitions: number
  readonly #options: LabelWriterOptions
  /** Null while nobody, or somebody else, has the transactional id. */
  #transactions: PartitionTransactions | null = null

  constructor(kafka: Kafka, labelPartitions: number, options: LabelWriterOptions) {
    this.#kafka = kafka
    this.#labelPartitions = labelPartitions
    this.#options = options
  }

  async write(disposition: Disposition, subject: LabelSubject, look: Look): Promise<Novelty> {
    const messages = this.#messagesOf(disposition, subject)
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#writeOnce(messages, look)
      } catch (error) {
        await this.close()
        const isOurs = error instanceof SluiceError && error.code !== 'SLUICE_COMMIT_UNKNOWN'
        const refusal = isOurs ? error : await explainKafka(this.#options, error)
        if (refusal !== null) throw refusal
        if (attempt === ATTEMPTS_MAX || !isSluiceError(error, 'SLUICE_COMMIT_UNKNOWN'))
          throw notWritten(error)
        await sleepMs(Math.random() * PAUSE_MS_MAX)
      }
    }
  }

  async close(): Promise<void> {
    const transactions = this.#transactions
    this.#transactions = null
    await transactions?.close().catch(() => undefined)
  }

  async #writeOnce(messages: readonly TopicMessages[], look: Look): Promise<Novelty> {
    if (this.#transactions === null) {
      const transactionalId = `${this.#options.topicPrefix}sluice-labels`
      this.#transactions = await openPartitionTransactions({
        kafka: this.#kafka,
        transactionalId,
        groupId: transactionalId,
        timeoutMs: TRANSACTION_TIMEOUT_MS,
      })
      const novelty = await look()
      if (novelty !== 'new') return novelty
    }
    await this.#transactions.commit(messages, [])
    return 'new'
  }

  #messagesOf(disposition: Disposition, subject: LabelSubject): readonly TopicMessages[] {
    const { topicPrefix, codecs } = this.#options
    const label = labelOf(disposition, subject)
    const timestamp = String(disposition.atMs)
    const said: TopicMessages = {
      topic: topicName(topicPrefix, 'dispositions'),
      messages: [
        {
          key: dispositionKey(disposition),
          value: codecs.disposition.encode(disposition),
          timestamp,
        },
      ],
    }
    if (label === null) return [said]
    const value = checkedLabel(codecs, codecs.label.encode(label))
    const key = Buffer.from(subject.card)
    const partition = partitionOf(key, this.#labelPartitions)
    return [
      { topic: topicName(topicPrefix, 'labels'), messages: [{ key, value, partition, timestamp }] },
      said,
    ]
  }
}

function notWritten(cause: unknown): SluiceError {
  return new SluiceError(
    'SLUICE_BROKER_UNAVAILABLE',
    'It is not known whether the label was written: Kafka did not answer, or others labelled all the while. Say it ' +
      'again: nothing is written twice.',
    { cause },
  )
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
