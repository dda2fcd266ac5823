// A live stream in which every payment is blocked: payments of given cards, at chosen event and message times, and the
// releases and labels that follow.

import type { TestContext } from 'node:test'
import { releaseControlOf } from '../../services/core/control/deployment.ts'
import { partitionOfText } from '../../services/core/murmur2.ts'
import type { Label, Transaction } from '../../services/core/transaction.ts'
import type { Alert } from '../../services/core/wire/records.ts'
import { topicName } from '../../services/platform/kafka/topics.ts'
import { closeWith } from './cleanup.ts'
import { BLOCK_ALL, draftVariantOf } from './model-variants.ts'
import { followOutputs, type Outputs } from './outputs.ts'
import { openStream, PARTITION_COUNT, simulatedEvents, type TestStream } from './streams.ts'

/** The shortest allowed lease. */
export const LEASE_MS = 60_000
/** No cap prevents a block. */
const NO_BREAKER = {
  SLUICE_BREAKER_BLOCKS_PER_MINUTE: '1000000',
  SLUICE_BREAKER_TRAFFIC_SHARE: '1',
  SLUICE_BREAKER_VALUE_SHARE: '1',
}

export interface Payment {
  readonly card: string
  /** After the stream's begin. */
  readonly atMs: number
  /** Time of the message; now unless given. An idle partition's clock continues from there. */
  readonly sentMs?: number
}

export interface LeaseStream {
  readonly stream: TestStream
  readonly outputs: Outputs
  readonly environment: Record<string, string>
  /** Event time at which the stream begins. */
  readonly beginMs: number
  pay(payments: readonly Payment[]): Promise<void>
  /** A label on the payment of this alert. */
  label(alert: Alert, verdict: Label['verdict'], knownAtMs: number): Promise<void>
  /** A release by an operator, as `sluice release` writes it. */
  release(card: string, alertId: string): Promise<void>
}

export async function openLeaseStream(
  t: TestContext,
  name: string,
  more: Readonly<Record<string, string>> = {},
): Promise<LeaseStream> {
  const stream = await openStream(t, name)
  const { codecs, prefix } = stream
  const pattern = await patternOf()
  const producer = stream.kafka.producer({ idempotent: true, allowAutoTopicCreation: false })
  await producer.connect()
  closeWith(t, () => producer.disconnect())
  let count = 0
  const made = ({ card, atMs }: Payment): Transaction => {
    count += 1
    const eventTimeMs = pattern.eventTimeMs + atMs
    return { ...pattern, id: `paid-${count}`, intentId: null, card, eventTimeMs }
  }
  return {
    stream,
    outputs: followOutputs(t, stream),
    environment: stream.patientEnvironment({
      SLUICE_MODE: 'enforce',
      SLUICE_MODEL: draftVariantOf(t, 'block-all', BLOCK_ALL).folder,
      SLUICE_LEASE_MS: String(LEASE_MS),
      SLUICE_LEASE_GRACE_MS: '100',
      ...NO_BREAKER,
      ...more,
    }),
    beginMs: pattern.eventTimeMs,
    async pay(payments) {
      for (let partition = 0; partition < PARTITION_COUNT; partition += 1) {
        const messages = payments
          .filter(({ card }) => partitionOf(card) === partition)
          .map((payment) => ({
            key: payment.card,
            value: codecs.transaction.encode(made(payment)),
            timestamp: String(payment.sentMs ?? Date.now()),
          }))
        if (messages.length > 0) await stream.sendRaw('transactions', partition, messages)
      }
    },
    async label({ card, transactionId, eventTimeMs }, verdict, knownAtMs) {
      const { merchant, terminal, device, ipNetwork } = pattern
      const value = codecs.label.encode({
        ...{ transactionId, card, eventTimeMs, knownAtMs, verdict, source: 'analyst' },
        ...{ merchant, terminal, device, ipNetwork },
      })
      await stream.sendRaw('labels', partitionOf(card), [{ key: card, value }])
    },
    async release(card, alertId) {
      const change = { author: 'test', reason: 'the holder called', atMs: Date.now() }
      const control = releaseControlOf({ card, alertId }, change)
      const value = codecs.control.encode(control)
      const topic = topicName(prefix, 'control')
      await producer.send({ topic, messages: [{ key: control.subject, value }] })
    },
  }
}

/** Cards of one partition. */
export function cardsOfPartition(partition: number, count: number): readonly string[] {
  const cards: string[] = []
  for (let number = 0; cards.length < count; number += 1) {
    const card = `leased-${number}`
    if (partitionOf(card) === partition) cards.push(card)
  }
  return cards
}

export const PARTITIONS = Array.from({ length: PARTITION_COUNT }, (_, partition) => partition)

function partitionOf(card: string): number {
  return partitionOfText(card, PARTITION_COUNT)
}

/** A simulated transaction, on which all payments are based. */
async function patternOf(): Promise<Transaction> {
  for (const event of await simulatedEvents(200)) {
    if (event.kind === 'transaction') return event.transaction
  }
  throw new Error('The simulator made nothing.')
}
