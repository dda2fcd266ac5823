// Streams with dead letters, for the tests that list, show and redrive them.

import { strictEqual } from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { partitionOf } from '../../services/core/murmur2.ts'
import { REDRIVEN_FROM_HEADER } from '../../services/core/redrive.ts'
import type { RejectReason } from '../../services/core/dead-letters.ts'
import type { Transaction } from '../../services/core/transaction.ts'
import { readToEnd } from '../../services/platform/kafka/committed-reader.ts'
import { topicName } from '../../services/platform/kafka/topics.ts'
import { FileRegistry } from '../../services/platform/registry/file-registry.ts'
import { openSchemaRegistry } from '../../services/platform/registry/http-registry.ts'
import { simulate } from '../../tools/simulator/simulate.ts'
import { followOutputs, type Outputs } from './outputs.ts'
import { readUntil } from './poll.ts'
import { startScorer } from './scorer-process.ts'
import { runSluice, type EndedCommand } from './sluice-command.ts'
import { openStream, PARTITION_COUNT, type TestStream } from './streams.ts'
import { openLocalRegistry, type LocalRegistry } from '../unit/platform/registry/local-registry.ts'

/** A test number published by card schemes. */
export const CARD_NUMBER = '4111111111111111'
export const CARD_NUMBER_GROUPED = '4111 1111 1111 1111'
const LATER_SCHEMA_ID = 7_001

export const partitionOfCard = (card: string): number =>
  partitionOf(Buffer.from(card), PARTITION_COUNT)

/** Transactions of one card, with ids of their own. */
export function sample(id: string, change: Partial<Transaction> = {}): Transaction {
  const [first] = simulate({ seed: 3, transactionsMax: 1 })
  if (first?.kind !== 'transaction') throw new Error('The simulator begins with a transaction.')
  return { ...first.transaction, id, ...change }
}

export const HOME = partitionOfCard(sample('').card)
/** A card of another partition. */
export const STRANGER =
  Array.from({ length: 100 }, (_, index) => `stranger-${index}`).find(
    (card) => partitionOfCard(card) !== HOME,
  ) ?? ''

export interface Bad {
  readonly reason: RejectReason
  readonly value: Buffer
}

function badMessages({ codecs }: TestStream): readonly Bad[] {
  const encode = (id: string, change: Partial<Transaction> = {}): Buffer =>
    codecs.transaction.encode(sample(id, change))
  const later = encode('later-schema')
  later.writeUInt32BE(LATER_SCHEMA_ID, 1)
  const good = encode('cut-short')
  return [
    { reason: 'wrong_partition', value: encode('moved', { card: STRANGER }) },
    { reason: 'unknown_schema', value: later },
    { reason: 'malformed', value: good.subarray(0, good.length - 3) },
    { reason: 'malformed', value: Buffer.concat([good, Buffer.from(CARD_NUMBER)]) },
    { reason: 'not_framed', value: Buffer.from(`{"pan":"${CARD_NUMBER_GROUPED}"}`) },
    { reason: 'card_number_suspected', value: encode('pan', { card: CARD_NUMBER }) },
    { reason: 'unknown_currency', value: encode('currency', { currency: 'ZZZ' }) },
  ]
}

/** Sends bad messages between good ones and has them decided. */
export async function streamWithLetters(
  t: TestContext,
  name: string,
  choose: (bad: Bad) => boolean = () => true,
): Promise<{
  readonly stream: TestStream
  readonly outputs: Outputs
  readonly bad: readonly Bad[]
}> {
  const stream = await openStream(t, name)
  const outputs = followOutputs(t, stream)
  const bad = badMessages(stream).filter(choose)
  const key = sample('').card
  await stream.sendRaw(
    'transactions',
    HOME,
    bad.flatMap(({ value }, index) => [
      { key, value },
      { key, value: stream.codecs.transaction.encode(sample(`good-${index}`)) },
    ]),
  )
  await decideAll(t, stream, outputs)
  strictEqual(outputs.deadLetters.length, bad.length)
  return { stream, outputs, bad }
}

/** Has a scorer decide everything sent so far, and ends it. */
export async function decideAll(
  t: TestContext,
  stream: TestStream,
  outputs: Outputs,
  environment: Readonly<Record<string, string>> = {},
): Promise<void> {
  const scorer = await startScorer(t, stream.patientEnvironment(environment))
  await outputs.readToEnd()
  strictEqual(await scorer.end('SIGTERM'), 0)
}

export function command(
  stream: TestStream,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<EndedCommand> {
  return runSluice(['dead-letters', ...args], stream.patientEnvironment(environment))
}

export interface Seen {
  readonly partition: number
  readonly offset: number
  readonly value: Buffer | null
  readonly redrivenFrom: string | null
}

/** Every committed message of the topic. */
export async function messagesOf({ brokers, prefix }: TestStream): Promise<readonly Seen[]> {
  const topics = [topicName(prefix, 'transactions')]
  const seen: Seen[] = []
  await readToEnd(
    { brokers, name: 'test-dead-letters', topics, startAt: 'beginning' },
    ({ partition, messages }) => {
      for (const { offset, value, headers } of messages) {
        const mark = headers?.[REDRIVEN_FROM_HEADER]
        const redrivenFrom = mark === undefined ? null : String(mark)
        seen.push({ partition, offset: Number(offset), value, redrivenFrom })
      }
    },
  )
  return seen
}

/**
 * The same, once this many of them have been sent again: a commit is answered before its marker is written everywhere.
 */
export function messagesWith(stream: TestStream, redriven: number): Promise<readonly Seen[]> {
  return readUntil(
    `${redriven} messages were sent again`,
    () => messagesOf(stream),
    (seen) => seen.filter(({ redrivenFrom }) => redrivenFrom !== null).length >= redriven,
  )
}

/**
 * Adds messages of other senders to the audit, once there are this many. An offset without a message is a control
 * record.
 */
export async function noteWhatWasSent(
  stream: TestStream,
  redriven: number,
): Promise<readonly Seen[]> {
  const seen = await messagesWith(stream, redriven)
  const ends = await stream.admin.fetchTopicOffsets(topicName(stream.prefix, 'transactions'))
  for (const { partition, high } of ends) {
    const sent = stream.sent[partition] ?? []
    for (let offset = sent.length; offset < Number(high); offset += 1) {
      const isMessage = seen.some((each) => each.partition === partition && each.offset === offset)
      sent.push(isMessage ? 'other' : 'control')
    }
  }
  return seen
}

export async function endsOf(stream: TestStream): Promise<readonly string[]> {
  const offsets = await stream.admin.fetchTopicOffsets(topicName(stream.prefix, 'transactions'))
  return offsets.sort((a, b) => a.partition - b.partition).map(({ high }) => high)
}

/** A registry that has the ids of schemas/, and the later id for transactions. */
export async function laterRegistry(topicPrefix: string): Promise<LocalRegistry> {
  const registry = await openLocalRegistry()
  const { schemas } = await openSchemaRegistry({
    url: registry.url,
    topicPrefix,
    register: true,
  }).load()
  const released = await new FileRegistry().load()
  for (const { id, subject, version } of schemas) {
    const entry = registry.schemas.get(id)
    const file = released.schemas.find(
      (each) => each.subject === subject && each.version === version,
    )
    if (entry === undefined || file === undefined) continue
    registry.schemas.delete(id)
    registry.schemas.set(subject === 'transaction' ? LATER_SCHEMA_ID : file.id, entry)
  }
  return registry
}

export function decidedIds(outputs: Outputs): readonly string[] {
  return outputs.decisionBatches
    .flatMap(({ batch }) => batch.decisions.map(({ transactionId }) => transactionId))
    .sort()
}

export function countsOf(ended: EndedCommand): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const { state } of ended.json()) counts[String(state)] = (counts[String(state)] ?? 0) + 1
  return counts
}
