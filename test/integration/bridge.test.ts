// Goal: messages of a team's own topic become transactions, labels and dead letters, each once, keyed by card, with no card
// number anywhere. Method: a bridge in a process of its own on real topics.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { partitionOf } from '../../services/core/murmur2.ts'
import { metricOf } from '../support/acting.ts'
import {
  authorisation,
  numberOf,
  openSource,
  readOutputs,
  SOURCE_PARTITIONS,
  startBridge,
} from '../support/bridge.ts'
import { eventually, readUntil } from '../support/poll.ts'
import { openStream, PARTITION_COUNT } from '../support/streams.ts'

const MESSAGES = 300

test('JSON becomes transactions, labels and dead letters, keyed by card as Kafka does', async (t) => {
  const stream = await openStream(t, 'bridge')
  const source = await openSource(t, stream)
  const messages = Array.from({ length: MESSAGES }, (_, index) => ({
    // Their key and partitioner are theirs: here each card comes on one partition, chosen by its last digit.
    key: `their-key-${index}`,
    partition: (index % 50) % SOURCE_PARTITIONS,
    value: JSON.stringify(authorisation(index)),
  }))
  const chargeback = {
    type: 'CHARGEBACK',
    payment: { id: 'p-7', pan: numberOf(7), at: '2026-01-01 10:00:07' },
    reportedAt: 1_767_400_000_000,
  }
  const odd = [
    { key: null, value: JSON.stringify(chargeback) },
    { key: null, value: JSON.stringify({ type: 'PING' }) },
    { key: null, value: 'no JSON 4000000000000002' },
    { key: null, value: JSON.stringify({ type: 'REFUND' }) },
    { key: null, value: JSON.stringify(authorisation(1, { payment: { id: 'p-x' } })) },
    { key: null, value: null },
  ]
  await source.send([...messages, ...odd.map((message) => ({ ...message, partition: 0 }))])
  const bridge = await startBridge(t, stream, source)
  const outputs = await readUntil(
    'everything is written',
    () => readOutputs(stream),
    ({ transactions, labels, letters }) =>
      transactions.length >= MESSAGES && labels.length >= 1 && letters.length >= 4,
  )
  const { transactions, labels, letters } = outputs
  strictEqual(transactions.length, MESSAGES)
  deepStrictEqual(
    transactions.map(({ value }) => value.id).sort(),
    messages.map((_, index) => `p-${index}`).sort(),
  )
  for (const { partition, key, value } of transactions) {
    strictEqual(key, value.card)
    strictEqual(partition, partitionOf(Buffer.from(value.card), PARTITION_COUNT))
  }
  const seventh = transactions.find(({ value }) => value.id === 'p-7')?.value
  const card = seventh?.card ?? ''
  ok(/^k1-[a-p]{32}$/.test(card), card)
  deepStrictEqual(seventh, {
    ...seventh,
    eventTimeMs: Date.parse('2026-01-01T01:00:07Z'),
    amountMinor: 1_007,
    currency: 'KRW',
    merchant: 'shop 0 / B1',
    channel: 'pos',
    country: 'KR',
  })
  deepStrictEqual(
    labels.map(({ value }) => [value.transactionId, value.card, value.verdict, value.source]),
    [['p-7', card, 'fraud', 'chargeback']],
  )
  deepStrictEqual(
    letters.map(({ value }) => [value.reason, value.field, value.topic]),
    [
      ['malformed', null, source.name],
      ['no_rule', null, source.name],
      ['missing_field', 'eventTime', source.name],
      ['empty', null, source.name],
    ],
  )
  for (const { headers, value } of letters) {
    ok(/^payments@3 [0-9a-f]{12}$/.test(headers['sluice-mapping'] ?? ''))
    ok(!/\d/.test(value.sample), value.sample)
  }
  // Within a partition of theirs, a card's order is kept.
  for (let of = 0; of < 50; of += 1) {
    const ids = transactions
      .filter(({ value }) => Number(value.id.slice(2)) % 50 === of)
      .map(({ value }) => Number(value.id.slice(2)))
    deepStrictEqual(
      ids,
      ids.toSorted((a, b) => a - b),
    )
  }
  await eventually(
    'the metrics tell',
    async () =>
      (await metricOf(bridge.metricsPort, 'sluice_bridge_behind_messages')) === 0 &&
      (await metricOf(bridge.metricsPort, 'sluice_bridge_written_total{topic="transactions"}')) ===
        MESSAGES,
  )
  strictEqual(await metricOf(bridge.metricsPort, 'sluice_bridge_skipped_total'), 1)
  strictEqual(
    await metricOf(bridge.metricsPort, 'sluice_bridge_refused_total{reason="no_rule"}'),
    1,
  )
  // After a clean stop the next one continues where this one ended.
  strictEqual(await bridge.end('SIGTERM'), 0)
  await startBridge(t, stream, source)
  await source.send([{ key: 'x', value: JSON.stringify(authorisation(MESSAGES)) }])
  const after = await readUntil(
    'one more',
    () => readOutputs(stream),
    (found) => found.transactions.length > MESSAGES,
  )
  strictEqual(after.transactions.length, MESSAGES + 1)
  strictEqual(after.letters.length, 4)
})

test('two bridges of one mapping share the partitions, and each message is written once', async (t) => {
  const stream = await openStream(t, 'bridge')
  const source = await openSource(t, stream)
  const send = (from: number): Promise<void> =>
    source.send(
      Array.from({ length: MESSAGES }, (_, index) => ({
        key: `k-${index}`,
        value: JSON.stringify(authorisation(from + index)),
      })),
    )
  await send(0)
  const first = await startBridge(t, stream, source)
  const second = await startBridge(t, stream, source)
  await eventually('they share', async () => {
    const shares = await Promise.all(
      [first, second].map(({ metricsPort }) => metricOf(metricsPort, 'sluice_bridge_partitions')),
    )
    return shares[0] !== 0 && shares[1] !== 0 && Number(shares[0]) + Number(shares[1]) === 3
  })
  await send(MESSAGES)
  const { transactions } = await readUntil(
    'all are written',
    () => readOutputs(stream),
    (found) => found.transactions.length >= 2 * MESSAGES,
  )
  strictEqual(new Set(transactions.map(({ value }) => value.id)).size, 2 * MESSAGES)
  strictEqual(transactions.length, 2 * MESSAGES)
})
