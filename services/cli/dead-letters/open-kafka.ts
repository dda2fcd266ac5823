// The Kafka client of the dead-letter commands: its failures are thrown with a remedy, its own messages are not
// shown.

import type { Kafka } from 'kafkajs'
import { SluiceError } from '../../core/errors.ts'
import { openKafka } from '../../platform/kafka/kafka-client.ts'
import type { KafkaConnection } from '../../platform/kafka/kafka-connection.ts'
import { explainKafka } from '../../platform/kafka/kafka-failure.ts'

const CONNECTION_TIMEOUT_MS = 3_000
/** CONCURRENT_TRANSACTIONS right after a commit is normal; kafkajs' own first wait would be 300 ms. */
const RETRY = { initialRetryTime: 5, multiplier: 1.5, maxRetryTime: 500, retries: 16 } as const

/** Opens nothing yet; admin and producers made from it connect. */
export function openLettersKafka(connection: KafkaConnection): Kafka {
  return openKafka(connection, {
    clientId: 'sluice-dead-letters',
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    retry: RETRY,
  })
}

/** @throws SluiceError for whatever a client throws: what Kafka refuses, or SLUICE_BROKER_UNAVAILABLE. */
export async function asking<Value>(
  connection: KafkaConnection,
  use: () => Promise<Value>,
): Promise<Value> {
  try {
    return await use()
  } catch (error) {
    if (error instanceof SluiceError) throw error
    const refusal = await explainKafka(connection, error)
    if (refusal !== null) throw refusal
    const problem = error instanceof Error ? error.message : String(error)
    throw new SluiceError(
      'SLUICE_BROKER_UNAVAILABLE',
      `Kafka at ${connection.brokers.join(',')} cannot be asked (${problem}); start it with "sluice up", or give ` +
        'its address in SLUICE_KAFKA_BROKERS.',
      { cause: error },
    )
  }
}
