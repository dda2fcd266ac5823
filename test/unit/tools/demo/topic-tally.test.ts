// Goal: the count of a run finds every forbidden message, and nothing else. Method: runs made by hand with the real
// codecs, complete ones and ones with a single fault each, in any order of messages.

import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { TopicTally } from '../../../../tools/demo/topic-tally.ts'
import type { TalliedMessage, TalliedTopic } from '../../../../tools/demo/topic-tally.ts'
import type { DecisionRecord } from '../../../../services/core/wire/records.ts'
import {
  fullAlert,
  fullDecisionBatch,
  fullDeadLetter,
  fullTransaction,
} from '../../core/wire/samples.ts'
import { codecs } from '../../core/wire/wire-fixture.ts'

type Sent = readonly [TalliedTopic, TalliedMessage]

const [sampleDecision] = fullDecisionBatch.decisions

function transactionAt(partition: number, offset: number): Sent {
  const value = codecs.transaction.encode(fullTransaction)
  return ['transactions', { partition, offset, timestampMs: 0, value }]
}

function watermarkAt(partition: number, offset: number): Sent {
  const value = codecs.watermark.encode({ timeMs: 1_532_476_800_000 })
  return ['transactions', { partition, offset, timestampMs: 0, value }]
}

function blockOf(
  partition: number,
  timestampMs: number,
  offsets: readonly number[],
  change: Partial<DecisionRecord> = {},
): Sent {
  if (sampleDecision === undefined) throw new Error('The sample block has decisions.')
  const decisions = offsets.map((offset) => ({
    ...sampleDecision,
    duplicateOfOffset: null,
    outcome: 'approve' as const,
    ...change,
    offset,
  }))
  const features = Buffer.alloc(8 * fullDecisionBatch.featureCount * offsets.length)
  const value = codecs.decisionBatch.encode({
    ...fullDecisionBatch,
    partition,
    decisions,
    features,
    featureStates: null,
  })
  return ['decisions', { partition, offset: timestampMs, timestampMs, value }]
}

function deadLetterOf(topic: string, partition: number, offset: number): Sent {
  const value = codecs.deadLetter.encode({ ...fullDeadLetter, topic, partition, offset })
  return ['dead-letters', { partition: 0, offset, timestampMs: 0, value }]
}

function alertOf(alertId: string, revision: number, action: 'flag' | 'block'): Sent {
  const value = codecs.alert.encode({
    ...{ ...fullAlert, alertId, revision, action },
    cause: revision === 0 ? null : 'extended',
  })
  return ['alerts', { partition: 0, offset: 0, timestampMs: 0, value }]
}

/** Two partitions, one watermark, one dead letter, two alerts; nothing wrong with it. */
const whole: readonly Sent[] = [
  transactionAt(0, 0),
  watermarkAt(0, 1),
  transactionAt(0, 2),
  transactionAt(1, 0),
  transactionAt(1, 1),
  blockOf(0, 1_000, [0, 2]),
  blockOf(1, 3_000, [1]),
  deadLetterOf('demo-1.transactions', 1, 0),
  alertOf('a', 0, 'flag'),
  alertOf('b', 0, 'block'),
]

function tallyOf(messages: readonly Sent[]) {
  const tally = new TopicTally(codecs)
  for (const [topic, message] of messages) tally.add(topic, message)
  return tally.result()
}

test('a whole run adds up, in whatever order its messages are read', () => {
  const expected = tallyOf(whole)
  strictEqual(expected.transactions, 4)
  strictEqual(expected.watermarks, 1)
  strictEqual(expected.decisions, 3)
  strictEqual(expected.deadLetters, 1)
  deepStrictEqual(expected.deadLettersByReason, { [fullDeadLetter.reason]: 1 })
  deepStrictEqual([expected.alerts.flag, expected.alerts.block], [1, 1])
  deepStrictEqual([expected.firstBatchMs, expected.lastBatchMs], [1_000, 3_000])
  const faults = ['missing', 'repeatedAnswers', 'repeatedAlerts', 'strays', 'notRead'] as const
  for (const fault of faults) strictEqual(expected[fault], 0, fault)
  fc.assert(
    fc.property(fc.shuffledSubarray([...whole], { minLength: whole.length }), (shuffled) => {
      deepStrictEqual(tallyOf(shuffled), expected)
    }),
  )
})

test('any answer that is left out is missed', () => {
  strictEqual(tallyOf(whole.filter((sent) => sent !== whole[7])).missing, 1)
  strictEqual(tallyOf(whole.filter((sent) => sent !== whole[5])).missing, 2)
})

test('an answer that is there twice is counted, be it a decision or a dead letter', () => {
  strictEqual(tallyOf([...whole, blockOf(0, 4_000, [2])]).repeatedAnswers, 1)
  strictEqual(tallyOf([...whole, blockOf(1, 4_000, [0])]).repeatedAnswers, 1)
  strictEqual(tallyOf([...whole, deadLetterOf('x.transactions', 0, 0)]).repeatedAnswers, 1)
})

test('an answer to a watermark, or to an offset that does not exist, is a stray', () => {
  strictEqual(tallyOf([...whole, blockOf(0, 4_000, [1])]).strays, 1)
  strictEqual(tallyOf([...whole, blockOf(1, 4_000, [100_000])]).strays, 1)
})

test('an alert revision that is there twice is counted, and a later revision is not', () => {
  strictEqual(tallyOf([...whole, alertOf('a', 0, 'flag')]).repeatedAlerts, 1)
  strictEqual(tallyOf([...whole, alertOf('a', 1, 'flag')]).repeatedAlerts, 0)
})

test('a decision on a duplicate answers its offset and is counted as a duplicate', () => {
  const result = tallyOf([
    ...whole,
    transactionAt(0, 3),
    blockOf(0, 5_000, [3], { duplicateOfOffset: 0, score: null, notScored: 'duplicate' }),
  ])
  deepStrictEqual([result.duplicates, result.missing, result.decisions], [1, 0, 4])
})

test('a dead letter of a label answers no transaction', () => {
  const result = tallyOf([...whole, deadLetterOf('demo-1.labels', 0, 0)])
  deepStrictEqual([result.labelDeadLetters, result.deadLetters], [1, 1])
  strictEqual(result.repeatedAnswers, 0)
})

test('what cannot be decoded in an output topic is counted', () => {
  const garbage = { partition: 0, offset: 9, timestampMs: 0, value: Buffer.from('no') }
  for (const topic of ['decisions', 'alerts', 'dead-letters'] as const) {
    strictEqual(tallyOf([...whole, [topic, garbage]]).notRead, 1, topic)
  }
})

test('what cannot be decoded in the transactions topic is a transaction that needs an answer', () => {
  const garbage = { partition: 0, offset: 3, timestampMs: 0, value: Buffer.from('no') }
  const unanswered = tallyOf([...whole, ['transactions', garbage]])
  deepStrictEqual([unanswered.transactions, unanswered.missing], [5, 1])
  const answered = tallyOf([
    ...whole,
    ['transactions', garbage],
    deadLetterOf('x.transactions', 0, 3),
  ])
  strictEqual(answered.missing, 0)
})
