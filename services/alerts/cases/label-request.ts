// Labels a transaction: checks a person's request against the known alerts, then writes the label to the partition of its
// card and the disposition, which records the author and the reason, in one Kafka transaction.

import type { Kafka, TopicMessages } from 'kafkajs'
import { createHash } from 'node:crypto'
import { setTimeout as sleepMs } from 'node:timers/promises'
import {
  dispositionKey,
  labelOf,
  type LabelSubject,
  type NamedFinding,
  type Novelty,
} from '../../core/cases.ts'
import { isSluiceError, SluiceError } from '../../core/errors.ts'
import { partitionOf } from '../../core/murmur2.ts'
import type { Codecs } from '../../core/wire/codecs.ts'
import type { Alert, Disposition } from '../../core/wire/records.ts'
import { openKafka } from '../../platform/kafka/kafka-client.ts'
import type { KafkaConnection } from '../../platform/kafka/kafka-connection.ts'
import { explainKafka, kafkaAway } from '../../platform/kafka/kafka-failure.ts'
import {
  openPartitionTransactions,
  type PartitionTransactions,
} from '../../platform/kafka/partition-transactions.ts'
import { readPartitionCount, topicName } from '../../platform/kafka/topics.ts'
import type { Closable } from '../../platform/lifecycle.ts'
import type { QueueState } from './queue-state.ts'

/** A finding to record. Fields of the transaction are needed only when no alert of it is remembered. */
export interface LabelRequest {
  /** Id of a transaction or of an alert. */
  readonly id: string
  readonly finding: NamedFinding
  readonly source: Exclude<Disposition['source'], 'unknown' | 'replay'>
  readonly author: string
  readonly reason: string
  /** Null when only the content distinguishes the request from others. */
  readonly idempotencyKey: string | null
  readonly card: string | null
  readonly eventTimeMs: number | null
  readonly merchant: string | null
  readonly terminal: string | null
  readonly device: string | null
  readonly ipNetwork: string | null
}

/** Sources that a person or a system of the bank may state. */
export const LABEL_SOURCES_SAID = ['analyst', 'chargeback', 'customer'] as const

/**
 * Outcome of a request. `unknown`: no alert of it is remembered, and card and event time are missing. `other_card`: the
 * alert is about another card than the request.
 */
export type LabelOutcome =
  | { readonly kind: 'unknown' | 'other_card' }
  | {
      readonly kind: Novelty
      readonly disposition: Disposition
      /** False for a finding without a verdict, which writes no label. */
      readonly isLabel: boolean
    }

/** Dependencies of labelling. */
export interface Labelling {
  readonly state: QueueState
  readonly writer: LabelWriter
  /** Applies to the state every disposition that is committed at the call. */
  readonly catchUp: () => Promise<void>
}

/**
 * Writes a label, unless the finding is already recorded. The caller ensures that calls do not overlap. @throws
 * SluiceError as `LabelWriter.write`.
 */
export async function label(
  request: LabelRequest,
  { state, writer, catchUp }: Labelling,
  nowMs: number,
): Promise<LabelOutcome> {
  const alert = state.alerts.find(request.id)
  if (alert !== null && request.card !== null && request.card !== alert.card)
    return { kind: 'other_card' }
  const subject = subjectOf(request, alert)
  if (subject === null) return { kind: 'unknown' }
  const disposition: Disposition = {
    transactionId: subject.transactionId,
    alertId: alert?.alertId ?? null,
    card: subject.card,
    finding: request.finding,
    source: request.source,
    author: request.author,
    reason: request.reason,
    requestKey: request.idempotencyKey === null ? null : hashOf(request.idempotencyKey),
    atMs: nowMs,
  }
  const { dispositions } = state
  const known = dispositions.noveltyOf(disposition)
  const written =
    known === 'new'
      ? await writer.write(disposition, subject, async () => {
          await catchUp()
          return dispositions.noveltyOf(disposition)
        })
      : known
  if (written === 'new') {
    // Applied here at once; reading it from the topic later changes nothing.
    dispositions.take(disposition)
    state.alerts.takeDisposition(disposition)
  }
  if (written === 'repeated') dispositions.takeRepeated(disposition)
  // A repeat found in the topic may be an earlier attempt of this request whose outcome was lost.
  const kind = known === 'new' && dispositions.holds(disposition) ? 'new' : written
  return { kind, disposition, isLabel: request.finding !== 'inconclusive' }
}

function subjectOf(request: LabelRequest, alert: Alert | null): LabelSubject | null {
  const { device, ipNetwork } = request
  const card = alert?.card ?? request.card
  const eventTimeMs = alert?.eventTimeMs ?? request.eventTimeMs
  if (card === null || eventTimeMs === null) return null
  return {
    transactionId: alert?.transactionId ?? request.id,
    card,
    eventTimeMs,
    merchant: alert?.merchant ?? request.merchant,
    terminal: alert?.terminal ?? request.terminal,
    // An alert does not hold these fields.
    device,
    ipNetwork,
  }
}

/** A key may be any text, including text that must not be stored in a topic. */
function hashOf(key: string): string {
  return createHash('sha256').update(key).digest('hex')
}

// All processes that label share one transactional id. A process that initialises it fences the previous one: the pending
// transaction of that one is aborted, and its next attempt fails. The topics then hold every label so far, and a read of
// them reports whether a request is new. A fenced process initialises again and reads again.

const CONNECTION_TIMEOUT_MS = 3_000
const RETRY = { initialRetryTime: 50, maxRetryTime: 1_000, retries: 5 } as const
/** The labels behind the open transaction of a killed process are hidden from scorers for at most this time. */
const TRANSACTION_TIMEOUT_MS = 10_000
const ATTEMPTS_MAX = 12
/** Two processes that fence each other wait for different, random times. */
const PAUSE_MS_MAX = 1_000

export interface LabelWriterOptions extends KafkaConnection {
  readonly topicPrefix: string
  readonly codecs: Pick<Codecs, 'label' | 'disposition'>
}

/** Applies everything that is committed, and returns whether the disposition is new. */
export type Look = () => Promise<Novelty>

export interface LabelWriter extends Closable {
  /**
   * Resolves once the brokers have both records, or once a look shows that they are not new. One call at a time.
   * @throws SluiceError SLUICE_INPUT_INVALID for a label that the scorer would refuse, SLUICE_BROKER_UNAVAILABLE or
   * SLUICE_ACCESS_DENIED, and errors of `look`.
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
  /** Null while this process does not hold the transactional id. */
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
