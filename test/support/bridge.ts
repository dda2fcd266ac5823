// A team's own topic, its mapping, and a bridge in a process of its own.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Message } from 'kafkajs'
import type { Label, Transaction } from '../../services/core/transaction.ts'
import type { DeadLetter } from '../../services/core/wire/records.ts'
import { readToEnd } from '../../services/platform/kafka/committed-reader.ts'
import { makeTopics, topicName } from '../../services/platform/kafka/topics.ts'
import { closeWith } from './cleanup.ts'
import { startCli, type CliProcess } from './cli-process.ts'
import { temporaryFolder } from './model-variants.ts'
import type { Entry } from './services-build.ts'
import type { TestStream } from './streams.ts'

export const TOKEN_KEY = `k1:${Buffer.alloc(32, 7).toString('base64')}`

/** Partitions of the team's topic, other than ours on purpose. */
export const SOURCE_PARTITIONS = 3

/** The rules of the mapping that the tests share: authorisations, chargebacks, and messages that are left out. */
export const PAYMENT_RULES = `
rules:
  - name: ping
    when: message.type == "PING"
    skip: true
  - name: chargeback
    when: message.type == "CHARGEBACK"
    label:
      transactionId: payment.id
      card: { path: payment.pan, token: hmac }
      eventTime: { path: payment.at, zone: Asia/Seoul }
      knownAt: reportedAt
      verdict: { value: fraud }
      source: { value: chargeback }
  - name: payment
    when: message.type == "AUTH"
    transaction:
      id: /payment/id
      card: { path: payment.pan, token: hmac }
      eventTime: { path: payment.at, zone: Asia/Seoul }
      amount: payment.amount.value
      currency: { path: payment.amount.currency, default: KRW }
      merchant: { join: [shop.name, shop.branch], with: ' / ' }
      channel: { path: channel, table: { WEB: ecommerce, SHOP: pos }, otherwise: absent }
      country: { value: KR }
`

/** Text of a mapping of the topic; `more` are further lines of its source. */
export function mappingOf(topic: string, rules = PAYMENT_RULES, more = ''): string {
  return `apiVersion: sluice/v1
name: payments
version: 3
source:
  topic: ${topic}
  format: json
${more}${rules}`
}

/** A message of the team about a payment. */
export function authorisation(index: number, more: Readonly<Record<string, unknown>> = {}): object {
  const second = String(index % 60).padStart(2, '0')
  const minute = String(Math.floor(index / 60) % 60).padStart(2, '0')
  return {
    type: 'AUTH',
    payment: {
      id: `p-${index}`,
      pan: numberOf(index % 50),
      at: `2026-01-01 10:${minute}:${second}`,
      amount: { value: 1_000 + index, currency: 'KRW' },
    },
    shop: { name: `shop ${index % 7}`, branch: 'B1' },
    channel: index % 2 === 0 ? 'WEB' : 'SHOP',
    ...more,
  }
}

/** A valid card number of 16 digits. */
export function numberOf(card: number): string {
  const digits = `400000${String(card).padStart(9, '0')}`
  let sum = 0
  for (const [index, digit] of Array.from(digits, Number).entries()) {
    const doubled = digit * (index % 2 === 0 ? 2 : 1)
    sum += doubled > 9 ? doubled - 9 : doubled
  }
  return `${digits}${(10 - (sum % 10)) % 10}`
}

export interface SourceTopic {
  readonly name: string
  readonly mappingFile: string
  send(messages: readonly Message[]): Promise<void>
}

/** Creates a topic of the team and writes its mapping to a file. */
export async function openSource(
  t: TestContext,
  stream: TestStream,
  mapping: (topic: string) => string = mappingOf,
): Promise<SourceTopic> {
  const name = `${stream.prefix}acme.payments`
  await makeTopics(stream.admin, [
    { topic: name, numPartitions: SOURCE_PARTITIONS, replicationFactor: 1 },
  ])
  const producer = stream.kafka.producer({ allowAutoTopicCreation: false })
  await producer.connect()
  closeWith(t, async () => {
    await producer.disconnect()
    await stream.admin.deleteTopics({ topics: [name] })
  })
  const mappingFile = join(temporaryFolder(t, 'bridge'), 'payments.yaml')
  writeFileSync(mappingFile, mapping(name))
  return {
    name,
    mappingFile,
    send: async (messages) => {
      await producer.send({ topic: name, messages: [...messages] })
    },
  }
}

/** Variables of a bridge of the stream. */
export function bridgeEnvironment(
  stream: TestStream,
  more: Readonly<Record<string, string>> = {},
): Record<string, string> {
  return stream.environment({ SLUICE_BRIDGE_TOKEN_KEY: TOKEN_KEY, ...more })
}

/** Starts a bridge, or a stand-in without a guard; resolves once it has joined its group. */
export function startBridge(
  t: TestContext,
  stream: TestStream,
  source: SourceTopic,
  more: Readonly<Record<string, string>> = {},
  main: Entry = 'services/cli/main.ts',
): Promise<CliProcess> {
  const args = ['bridge', '--mapping', source.mappingFile]
  return startCli(t, args, bridgeEnvironment(stream, more), main)
}

/** A committed message of the bridge. */
export interface Written<Value> {
  readonly partition: number
  readonly offset: number
  readonly key: string | null
  readonly value: Value
  readonly headers: Readonly<Record<string, string>>
}

export interface BridgeOutputs {
  readonly transactions: readonly Written<Transaction>[]
  readonly labels: readonly Written<Label>[]
  readonly letters: readonly Written<DeadLetter>[]
}

/** Everything that was committed to the topics of the stream so far. */
export async function readOutputs(stream: TestStream): Promise<BridgeOutputs> {
  const { codecs, prefix, brokers } = stream
  const outputs = {
    transactions: [] as Written<Transaction>[],
    labels: [] as Written<Label>[],
    letters: [] as Written<DeadLetter>[],
  }
  const topics = (['transactions', 'labels', 'dead-letters'] as const).map((topic) =>
    topicName(prefix, topic),
  )
  await readToEnd(
    { brokers, name: 'sluice-test-bridge', topics, startAt: 'beginning' },
    ({ topic, partition, messages }) => {
      for (const { offset, key, value, headers } of messages) {
        const place = {
          partition,
          offset: Number(offset),
          key: key?.toString() ?? null,
          headers: Object.fromEntries(
            Object.entries(headers ?? {}).map(([name, text]) => [name, String(text)]),
          ),
        }
        if (topic === topicName(prefix, 'transactions')) {
          const decoded = codecs.decodeTransactionMessage(value)
          if (decoded.kind !== 'transaction') throw new Error('The bridge wrote no transaction.')
          outputs.transactions.push({ ...place, value: decoded.value })
        } else if (topic === topicName(prefix, 'labels')) {
          const decoded = codecs.decodeLabelMessage(value)
          if (decoded.kind !== 'label') throw new Error('The bridge wrote no label.')
          outputs.labels.push({ ...place, value: decoded.value })
        } else {
          const decoded = codecs.deadLetter.decode(value)
          if (!decoded.ok) throw new Error('The bridge wrote no dead letter.')
          outputs.letters.push({ ...place, value: decoded.value })
        }
      }
    },
  )
  return outputs
}
