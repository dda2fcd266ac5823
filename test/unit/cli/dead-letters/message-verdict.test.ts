// Goal: a redrive predicts the verdict of a partition. Method: the same messages go through a partition's queue.

import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { judgeMessage } from '../../../../services/cli/dead-letters/letter-lines.ts'
import { loadRedriveConfig } from '../../../../services/cli/dead-letters/read-letters.ts'
import { DEFAULT_RATES } from '../../../../services/core/rates/default-rates.ts'
import { partitionOf } from '../../../../services/core/murmur2.ts'
import type { Transaction } from '../../../../services/core/transaction.ts'
import { loadScorerConfig } from '../../../../services/scorer/config.ts'
import { RecordQueue } from '../../../../services/scorer/intake/record-queue.ts'
import { fullLabel, minimalTransaction, minimalWatermark } from '../../core/wire/samples.ts'
import { codecs } from '../../core/wire/wire-fixture.ts'

const PARTITION_COUNT = 4
const SEND_AT_MS = minimalTransaction.eventTimeMs
const EVENT_AHEAD_MS_MAX = 60_000
const options = {
  codecs,
  rates: DEFAULT_RATES,
  missingRate: 'dead_letter',
  partitionCount: PARTITION_COUNT,
  eventAheadMsMax: EVENT_AHEAD_MS_MAX,
  sendAtMs: SEND_AT_MS,
}

const home = partitionOf(Buffer.from(minimalTransaction.card), PARTITION_COUNT)

function encode(change: Partial<Transaction> = {}): Buffer {
  return codecs.transaction.encode({ ...minimalTransaction, ...change })
}

/** The reason for which a partition refuses the message, or null. */
function partitionRefusal(value: Buffer | null): string | null {
  const inbox = new RecordQueue(
    {
      partition: home,
      partitionCount: PARTITION_COUNT,
      transactionsTopic: 'transactions',
      labelsTopic: 'labels',
      codecs,
      rates: DEFAULT_RATES,
      missingRate: 'dead_letter',
      batchSizeMax: 10,
      alignment: 'live',
      eventAheadMsMax: EVENT_AHEAD_MS_MAX,
      hmacKey: 'key',
    },
    0,
    0,
  )
  inbox.push('transactions', [
    { key: null, value, offset: 0, timestampMs: SEND_AT_MS, headers: {}, refused: null },
  ])
  return inbox.take(SEND_AT_MS, -1, () => true)?.rejected[0]?.reason ?? null
}

test('what is foreseen is what a partition does, for every message but watermarks', () => {
  const values: readonly (Buffer | null)[] = [
    null,
    Buffer.from('{}'),
    encode(),
    encode().subarray(0, 20),
    encode({ id: '' }),
    encode({ card: '4111111111111111' }),
    encode({ amountMinor: -1 }),
    encode({ currency: 'ZZZ' }),
    encode({ eventTimeMs: SEND_AT_MS + EVENT_AHEAD_MS_MAX }),
    encode({ eventTimeMs: SEND_AT_MS + EVENT_AHEAD_MS_MAX + 1 }),
    codecs.label.encode(fullLabel),
  ]
  const seen = new Set<string | null>()
  for (const value of values) {
    const { refusal } = judgeMessage('transactions', { key: null, value }, home, options)
    strictEqual(refusal, partitionRefusal(value))
    seen.add(refusal)
  }
  strictEqual(seen.size, 10)
})

test('the card decides the partition and the key, whatever the key was', () => {
  const verdict = judgeMessage(
    'transactions',
    { key: Buffer.from('merchant-1'), value: encode() },
    (home + 1) % PARTITION_COUNT,
    options,
  )
  deepStrictEqual(verdict, {
    refusal: null,
    partition: home,
    key: Buffer.from(minimalTransaction.card),
  })
  const label = judgeMessage(
    'labels',
    { key: null, value: codecs.label.encode(fullLabel) },
    0,
    options,
  )
  strictEqual(label.refusal, null)
  strictEqual(label.partition, partitionOf(Buffer.from(fullLabel.card), PARTITION_COUNT))
})

test('what cannot be decoded goes by its key, or stays where it was', () => {
  const value = Buffer.from('{}')
  const keyed = judgeMessage('labels', { key: Buffer.from('card-00042'), value }, 2, options)
  strictEqual(keyed.partition, partitionOf(Buffer.from('card-00042'), PARTITION_COUNT))
  strictEqual(judgeMessage('labels', { key: null, value }, 2, options).partition, 2)
})

test('a watermark is not sent again, since its moment is over', () => {
  const value = codecs.watermark.encode(minimalWatermark)
  const { refusal } = judgeMessage('transactions', { key: null, value }, 0, options)
  strictEqual(refusal, 'unexpected_schema')
})

test('the redrive and the scorer have the same default of how far ahead an event may be', () => {
  strictEqual(loadRedriveConfig({}).eventAheadMsMax, loadScorerConfig({}).eventAheadMsMax)
})
