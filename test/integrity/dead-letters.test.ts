// Goal: P1 and P8 for messages that cannot be decided: each gets a dead letter with its reason, the valid ones around
// them get decisions, and no card number appears anywhere. Method: one message per reason through Kafka; a control whose
// dead letters are not sent.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { partitionOf } from '../../services/core/murmur2.ts'
import { REJECT_REASONS, type RejectReason } from '../../services/core/dead-letters.ts'
import type { Transaction } from '../../services/core/transaction.ts'
import { simulate } from '../../tools/simulator/simulate.ts'
import { audit } from '../support/audit.ts'
import { followOutputs } from '../support/outputs.ts'
import { startScorer } from '../support/scorer-process.ts'
import { openStream, PARTITION_COUNT, type TestStream } from '../support/streams.ts'

/** A test number published by card schemes. */
const CARD_NUMBER = '4111111111111111'
const CARD_NUMBER_GROUPED = '4111 1111 1111 1111'
const YEAR_MS = 31_536_000_000
/** Raised only for unreadable schemas of a registry, which this installation does not have. */
const NOT_BY_MESSAGE: readonly RejectReason[] = ['codec_refused']

const partitionOfCard = (card: string): number => partitionOf(Buffer.from(card), PARTITION_COUNT)

const hasCardNumber = (text: string): boolean =>
  text.includes(CARD_NUMBER) || text.includes(CARD_NUMBER_GROUPED)

function sample(): Transaction {
  const [first] = simulate({ seed: 3, transactionsMax: 1 })
  if (first?.kind !== 'transaction') throw new Error('The simulator begins with a transaction.')
  return first.transaction
}

/** Messages for the sample's partition, by the reason that each must get. */
function badMessages({ codecs }: TestStream, good: Transaction): [RejectReason, Buffer | null][] {
  const encode = (change: Partial<Transaction>): Buffer =>
    codecs.transaction.encode({ ...good, id: 'bad', ...change })
  const value = encode({})
  const unknownSchema = Buffer.from(value)
  unknownSchema.writeUInt32BE(2_000_000_000, 1)
  const strangers = Array.from({ length: 100 }, (_, index) => `stranger-${index}`)
  const stranger = strangers.find((card) => partitionOfCard(card) !== partitionOfCard(good.card))
  return [
    ['empty', null],
    ['empty', Buffer.alloc(0)],
    ['too_large', Buffer.alloc(codecs.transaction.messageBytesMax + 1)],
    ['not_framed', Buffer.from(`{"card":"${CARD_NUMBER_GROUPED}"}`)],
    ['not_framed', Buffer.from(`pay ${CARD_NUMBER}`)],
    ['unknown_schema', unknownSchema],
    ['unexpected_schema', codecs.lease.encode(lease(good.card))],
    ['malformed', value.subarray(0, value.length - 3)],
    ['malformed', Buffer.concat([value, Buffer.from(CARD_NUMBER)])],
    ['missing_field', encode({ id: '' })],
    ['out_of_range', encode({ amountMinor: -1 })],
    ['unknown_currency', encode({ currency: 'ZZZ' })],
    ['card_number_suspected', encode({ card: CARD_NUMBER })],
    ['card_number_suspected', encode({ merchant: CARD_NUMBER_GROUPED })],
    ['wrong_partition', encode({ card: stranger ?? '' })],
    ['event_time_ahead', encode({ eventTimeMs: Date.now() + YEAR_MS })],
  ]
}

function lease(card: string) {
  const times = { startMs: 1_700_000_000_000, endMs: 1_700_000_001_000 }
  const grade = 'suspected' as const
  return {
    card,
    alertId: 'a',
    revision: 0,
    grade,
    reason: 'r',
    ...times,
    alert: Buffer.alloc(0),
    releaseAtMs: null,
  }
}

test('every message that cannot be decided gets a dead letter with its reason and no card number', async (t) => {
  const stream = await openStream(t, 'dead-letters')
  const outputs = followOutputs(t, stream)
  const good = sample()
  const partition = partitionOfCard(good.card)
  const bad = badMessages(stream, good)
  deepStrictEqual(
    REJECT_REASONS.filter((reason) => !bad.some(([known]) => known === reason)),
    NOT_BY_MESSAGE,
  )
  ok(
    hasCardNumber(
      Buffer.concat(bad.map(([, value]) => value ?? Buffer.alloc(0))).toString('latin1'),
    ),
    'no card number was sent',
  )
  const messages = bad.flatMap(([, value], index) => [
    { key: good.card, value },
    { key: good.card, value: stream.codecs.transaction.encode({ ...good, id: `good-${index}` }) },
  ])
  await stream.sendRaw('transactions', partition, messages)
  await stream.sendRaw('labels', partition, [{ value: Buffer.from(`label ${CARD_NUMBER}`) }])
  const scorer = await startScorer(t, stream.environment({ SLUICE_LOG_LEVEL: 'debug' }))
  await outputs.until('the bad label', () =>
    outputs.deadLetters.some(({ topic }) => topic.endsWith('labels')),
  )
  await outputs.readToEnd()

  deepStrictEqual(await audit(stream, outputs), [])
  const letters = outputs.deadLetters.filter(({ topic }) => topic.endsWith('transactions'))
  deepStrictEqual(
    letters.map(({ offset, reason }) => [offset, reason]).sort(([a], [b]) => Number(a) - Number(b)),
    bad.map(([reason], index) => [2 * index, reason]),
  )
  deepStrictEqual(
    outputs.decisionBatches.flatMap(({ batch }) => batch.decisions.map(({ offset }) => offset)),
    bad.map((_, index) => 2 * index + 1),
  )
  const { body } = await scorer.page('/metrics')
  for (const reason of new Set(bad.map(([known]) => known))) {
    ok(body.includes(`topic="transactions",reason="${reason}"`), `no metric of ${reason}`)
  }
  strictEqual(await scorer.end('SIGTERM'), 0)
  // The letters in the topic, and the complete log of the process.
  const published = Buffer.concat(
    outputs.deadLetters.map((letter) => stream.codecs.deadLetter.encode(letter)),
  ).toString('latin1')
  for (const text of [published, scorer.log, body]) {
    ok(text.length > 0)
    ok(!hasCardNumber(text), 'a card number is out')
  }
})

test('without dead letters the auditor finds the same messages unanswered', async (t) => {
  const stream = await openStream(t, 'no-letters')
  const outputs = followOutputs(t, stream)
  const good = sample()
  const bad = badMessages(stream, good)
  const messages = bad.map(([, value]) => ({ key: good.card, value }))
  await stream.sendRaw('transactions', partitionOfCard(good.card), messages)
  const scorer = await startScorer(t, stream.environment(), 'dead-letters')
  await outputs.readToEnd()
  strictEqual(await scorer.end('SIGTERM'), 0)
  const faults = await audit(stream, outputs)
  deepStrictEqual(
    faults.map(({ promise }) => promise),
    bad.map(() => 'answered'),
  )
})
