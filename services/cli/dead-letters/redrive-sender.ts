// Sends messages again, in Kafka transactions of a fixed transactional id per stream. Opening it fences whoever
// redrove the same stream before: after that nothing more can come from them, so that what the topic holds then
// about annotations is the last word, and two operators at once cannot both send a message.
//
// A committed reader sees nothing behind a transaction that is open, be it of a stranger. So a step commits only when
// nothing open stands before its messages: then its annotations are seen by whoever looks next.

import { setTimeout as sleepMs } from 'node:timers/promises'
import type { Admin, Kafka, Message, Producer, RecordMetadata, Transaction } from 'kafkajs'
import { SluiceError } from '../../core/errors.ts'

/**
 * An open transaction keeps readers of the topic, partitions included, from what comes after it; if this process dies in
 * one, the broker ends it after this time.
 */
const TRANSACTION_TIMEOUT_MS = 10_000
const RETRY = { initialRetryTime: 5, multiplier: 1.5, maxRetryTime: 250, retries: 12 } as const
const FENCED = ['PRODUCER_FENCED', 'INVALID_PRODUCER_EPOCH', 'INVALID_PRODUCER_ID_MAPPING']

/** How long a step waits for open transactions before its messages; well below the limit of its own. */
const SETTLED_MS_MAX = 4_000
const SETTLED_POLL_MS = 20

/** Largest transaction: short ones hold partitions up for milliseconds, and a batch must fit in a broker's message. */
export const SENT_AT_ONCE_MAX = 500
export const SENT_AT_ONCE_BYTES_MAX = 512 * 1024

export interface RedriveSender {
  /**
   * Sends all of it or nothing. @throws SluiceError SLUICE_COMMIT_UNKNOWN; running again finds out what was sent.
   */
  send(topic: string, messages: readonly Message[]): Promise<void>
  close(): Promise<void>
}

/** Opens the sender of a stream, and fences every earlier one. */
export async function openRedriveSender(
  kafka: Kafka,
  admin: Admin,
  topicPrefix: string,
): Promise<RedriveSender> {
  const producer = kafka.producer({
    transactionalId: `${topicPrefix}sluice-redrive`,
    transactionTimeout: TRANSACTION_TIMEOUT_MS,
    idempotent: true,
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
    retry: RETRY,
  })
  await producer.connect()
  // kafkajs initialises the transactional id, and so fences others, when the first transaction begins.
  let begun: Transaction | null = await beginOrDisconnect(producer)
  return {
    async send(topic, messages) {
      let transaction: Transaction | null = null
      try {
        transaction = begun ?? (await producer.transaction())
        begun = null
        const written = await transaction.send({ topic, messages: [...messages], acks: -1 })
        await allFinalisedBefore(admin, topic, written)
        await transaction.commit()
      } catch (error) {
        await transaction?.abort().catch(() => undefined)
        throw notSent(error)
      }
    },
    close: () => producer.disconnect(),
  }
}

async function beginOrDisconnect(producer: Producer): Promise<Transaction> {
  try {
    return await producer.transaction()
  } catch (error) {
    await producer.disconnect().catch(() => undefined)
    throw error
  }
}

/** Waits until every transaction before the written messages is over. The ends are those a committed reader sees. */
async function allFinalisedBefore(
  admin: Admin,
  topic: string,
  written: readonly RecordMetadata[],
): Promise<void> {
  const endMs = performance.now() + SETTLED_MS_MAX
  for (;;) {
    const ends = await admin.fetchTopicOffsets(topic)
    const hidden = written.find(({ partition, baseOffset }) => {
      const end = ends.find((each) => each.partition === partition)
      return Number(end?.high ?? -1) < Number(baseOffset ?? Infinity)
    })
    if (hidden === undefined) return
    if (performance.now() > endMs) throw heldUp(topic, hidden.partition)
    await sleepMs(SETTLED_POLL_MS)
  }
}

function heldUp(topic: string, partition: number): SluiceError {
  return new SluiceError(
    'SLUICE_COMMIT_UNKNOWN',
    `A producer holds a transaction open in ${topic}/${partition}, so that it cannot be seen what was sent again ` +
      'before; the messages of this step were not sent. Run again once that transaction is over.',
  )
}

function notSent(error: unknown): SluiceError {
  if (error instanceof SluiceError) return error
  const isFenced = FENCED.includes((error as { readonly type?: string }).type ?? '')
  return new SluiceError(
    'SLUICE_COMMIT_UNKNOWN',
    isFenced
      ? 'Another redrive of this stream has begun, so this one has stopped; what it had sent stands. Let the ' +
          'other one end, then run again: nothing is sent twice.'
      : 'The connection broke while messages were sent, so that it is not known whether the last of them were; ' +
          'run again: nothing is sent twice.',
    { cause: error },
  )
}
