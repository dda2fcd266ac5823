// The Kafka client of the dead-letter commands: its failures are thrown with a remedy, its own messages are not
// shown.

import kafkajs, { type Kafka } from 'kafkajs'
import { SluiceError } from '../../core/errors.ts'

const CONNECTION_TIMEOUT_MS = 3_000
/** CONCURRENT_TRANSACTIONS right after a commit is normal; kafkajs' own first wait would be 300 ms. */
const RETRY = { initialRetryTime: 5, multiplier: 1.5, maxRetryTime: 500, retries: 16 } as const

/** Opens nothing yet; admin and producers made from it connect. */
export function openKafka(brokers: readonly string[]): Kafka {
  return new kafkajs.Kafka({
    clientId: 'sluice-dead-letters',
    brokers: [...brokers],
    logLevel: kafkajs.logLevel.NOTHING,
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    retry: RETRY,
  })
}

/** @throws SluiceError SLUICE_BROKER_UNAVAILABLE for whatever a client throws that is none of ours. */
export async function asking<Value>(
  brokers: readonly string[],
  use: () => Promise<Value>,
): Promise<Value> {
  try {
    return await use()
  } catch (error) {
    if (error instanceof SluiceError) throw error
    const problem = error instanceof Error ? error.message : String(error)
    throw new SluiceError(
      'SLUICE_BROKER_UNAVAILABLE',
      `Kafka at ${brokers.join(',')} cannot be asked (${problem}); start it with "sluice up", or give its ` +
        'address in SLUICE_KAFKA_BROKERS.',
      { cause: error },
    )
  }
}
