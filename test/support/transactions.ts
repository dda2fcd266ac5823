// A producer of the input that writes in transactions.

import type { TestContext } from 'node:test'
import type { Transaction } from 'kafkajs'
import { closeWith } from './cleanup.ts'
import type { TestStream } from './streams.ts'

export interface TransactionalProducer {
  /** Begins a transaction with one record in partition 0 of transactions; the caller ends it. */
  begin(text: string): Promise<Transaction>
}

/** Connects the producer; it disconnects when the test ends. */
export async function openTransactionalProducer(
  t: TestContext,
  stream: TestStream,
  name = 'bank',
): Promise<TransactionalProducer> {
  const producer = stream.kafka.producer({
    transactionalId: `${stream.prefix}${name}`,
    maxInFlightRequests: 1,
    idempotent: true,
  })
  await producer.connect()
  closeWith(t, () => producer.disconnect())
  const topic = `${stream.prefix}transactions`
  return {
    async begin(text) {
      const transaction = await producer.transaction()
      await transaction.send({ topic, messages: [{ key: 'c', value: text, partition: 0 }] })
      return transaction
    },
  }
}
