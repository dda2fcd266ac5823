// The output of one partition: the messages of one micro-batch and its input offsets, in one Kafka transaction. Each
// partition has its own transactional id, since kafkajs sends no group generation with offsets: a later owner of the
// partition fences an earlier one by initialising the id.

import kafkajs, { type Kafka, type Producer, type TopicMessages, type Transaction } from 'kafkajs'
import { SluiceError } from '../../core/errors.ts'
import { registerCompressionCodecs } from './compression.ts'
import { coordinatorRefusal } from './coordinator-refusal.ts'
import { rememberCoordinators } from './remembered-coordinators.ts'
import type { InputOffset } from './log-client.ts'
import { sendOffsets } from './transaction-offsets.ts'
import { rememberingPartitioner, sendWhole } from './whole-send.ts'

const TRANSACTION_TIMEOUT_MS = 30_000
/** CONCURRENT_TRANSACTIONS right after a commit is normal; kafkajs' own first wait would be 300 ms. */
const RETRY = { initialRetryTime: 5, multiplier: 1.5, maxRetryTime: 250, retries: 12 } as const

export interface PartitionTransactions {
  /**
   * Commits messages and offsets together. @throws SluiceError SLUICE_COMMIT_UNKNOWN on any failure: the outcome is
   * unknown, so the caller must discard this object, open a new one and read the committed offsets.
   */
  commit(messages: readonly TopicMessages[], offsets: readonly InputOffset[]): Promise<void>
  close(): Promise<void>
}

export interface PartitionTransactionsOptions {
  readonly kafka: Kafka
  readonly transactionalId: string
  readonly groupId: string
  /** The broker aborts a transaction that is open for longer, ms. */
  readonly timeoutMs?: number
}

/** Opens the producer. When it resolves, earlier owners are fenced and their open transaction has ended. */
export async function openPartitionTransactions(
  options: PartitionTransactionsOptions,
): Promise<PartitionTransactions> {
  rememberCoordinators()
  registerCompressionCodecs()
  const producer = options.kafka.producer({
    transactionalId: options.transactionalId,
    transactionTimeout: options.timeoutMs ?? TRANSACTION_TIMEOUT_MS,
    idempotent: true,
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
    createPartitioner: rememberingPartitioner,
    retry: RETRY,
  })
  await producer.connect()
  // Connecting does not fence: kafkajs initialises the transactional id when the first transaction begins.
  let begun: Transaction | null = await beginOrDisconnect(options.kafka, producer)
  return {
    async commit(messages, offsets) {
      try {
        const transaction = begun ?? (await producer.transaction())
        begun = null
        await commitOnce(transaction, options.groupId, messages, offsets)
      } catch (error) {
        throw new SluiceError(
          'SLUICE_COMMIT_UNKNOWN',
          `The transaction of ${options.transactionalId} failed; its outcome is read back.`,
          { cause: error },
        )
      }
    },
    close: () => producer.disconnect(),
  }
}

async function beginOrDisconnect(kafka: Kafka, producer: Producer): Promise<Transaction> {
  try {
    return await producer.transaction()
  } catch (error) {
    await producer.disconnect().catch(() => undefined)
    throw coordinatorRefusal(kafka, error) ?? error
  }
}

async function commitOnce(
  transaction: Transaction,
  groupId: string,
  messages: readonly TopicMessages[],
  offsets: readonly InputOffset[],
): Promise<void> {
  if (messages.length > 0) await sendWhole(transaction, messages, kafkajs.CompressionTypes.ZSTD)
  if (offsets.length > 0) await sendOffsets(transaction, groupId, offsets)
  await transaction.commit()
}
