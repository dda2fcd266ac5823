// Goal: every receipt counts once, faulty receipts are reported, and an unanswered block is reported and sent again or
// lapses; a restart of the service neither duplicates nor loses receipts. Method: alerts and receipts produced into
// real topics, with no enforcer or one that starts late.

import { deepStrictEqual, fail, ok, strictEqual } from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseSigningKey } from '../../services/alerts/forward/signature.ts'
import {
  RECEIPT_SIGNATURE_HEADER,
  signReceipt,
} from '../../services/alerts/receipts/receipt-signature.ts'
import type { Alert, Receipt } from '../../services/core/wire/records.ts'
import {
  alertMessages,
  blockOf,
  metricOf,
  openSender,
  post,
  readTopic,
  releaseOf,
  startEnforcer,
  startReceipts,
  type Message,
} from '../support/acting.ts'
import { temporaryFolder } from '../support/model-variants.ts'
import { eventually, readUntil } from '../support/poll.ts'
import { openStream, type TestStream } from '../support/streams.ts'

const APPLIED = 'sluice_receipts_total{action="block",status="applied"}'
const IN_TIME = 'sluice_block_results_total{result="in_time"}'
const UNANSWERED = 'sluice_block_results_total{result="unanswered"}'
const SHORT_WAIT = { SLUICE_RECEIPT_WAIT_MS: '200' }
/** Long enough for a receipt to arrive on a busy machine. */
const LONG_WAIT = { SLUICE_RECEIPT_WAIT_MS: '4000' }

function receiptOf(alert: Alert, more: Partial<Receipt> = {}): Receipt {
  const { alertId, revision } = alert
  const word = { subscriber: 'bank', status: 'applied', reason: null, atMs: Date.now() } as const
  return { alertId, revision, ...word, ...more }
}

function newKey(): string {
  return `whsec_${randomBytes(32).toString('base64')}`
}

function receiptMessages(stream: TestStream, receipts: readonly Receipt[]): readonly Message[] {
  return receipts.map((receipt) => ({
    key: receipt.alertId,
    value: stream.codecs.receipt.encode(receipt),
  }))
}

test('a block without receipt lapses: it is reported, and not sent again', async (t) => {
  const stream = await openStream(t, 'receipts')
  const send = await openSender(t, stream)
  const watch = await startReceipts(t, stream, SHORT_WAIT)
  await send('alerts', alertMessages(stream, [blockOf('card-1', 1)]))
  await eventually(
    'the block has lapsed',
    async () => (await metricOf(watch.metricsPort, 'sluice_blocks_lapsed_total')) === 1,
  )
  await eventually(
    'the gauge tells',
    async () => (await metricOf(watch.metricsPort, 'sluice_blocks_without_receipt')) === 1,
  )
  strictEqual(await metricOf(watch.metricsPort, UNANSWERED), 1)
  deepStrictEqual(await readTopic(stream, 'alerts-resent', stream.codecs.alert, 0), [])
})

test('a block without receipt is sent again until an enforcer applies it', async (t) => {
  const stream = await openStream(t, 'receipts')
  const send = await openSender(t, stream)
  const watch = await startReceipts(t, stream, { ...SHORT_WAIT, SLUICE_RECEIPT_MISSING: 'resend' })
  // This enforcer never reads alerts older than its group; the block reaches it as a resent alert.
  const block = blockOf('card-1', 1)
  await send('alerts', alertMessages(stream, [block]))
  await eventually(
    'it is sent again',
    async () => (await metricOf(watch.metricsPort, 'sluice_blocks_resent_total')) > 0,
  )
  deepStrictEqual((await readTopic(stream, 'alerts-resent', stream.codecs.alert, 1))[0], block)
  const enforcer = await startEnforcer(t, stream)
  await eventually(
    'the card is refused',
    async () =>
      (await post(`${enforcer.url}/authorise`, { card: 'card-1' })).body['answer'] === 'refused',
  )
  await eventually(
    'its receipt is counted',
    async () => (await metricOf(watch.metricsPort, APPLIED)) === 1,
  )
  await eventually(
    'nothing waits',
    async () => (await metricOf(watch.metricsPort, 'sluice_blocks_without_receipt')) === 0,
  )
  // It was judged before the receipt arrived, and is judged once.
  strictEqual(await metricOf(watch.metricsPort, UNANSWERED), 1)
  strictEqual(await metricOf(watch.metricsPort, IN_TIME), 0)
})

test('receipts that cannot count become dead letters, each with its reason', async (t) => {
  const stream = await openStream(t, 'receipts')
  const send = await openSender(t, stream)
  const watch = await startReceipts(t, stream, {
    ...LONG_WAIT,
    SLUICE_RECEIPT_SUBSCRIBERS: 'bank',
  })
  const block = blockOf('card-1', 1)
  await send('alerts', alertMessages(stream, [block]))
  const hourAgoMs = Date.now() - 3_600_000
  await send('receipts', [
    { key: 'x', value: Buffer.from('no receipt') },
    { key: 'another', value: stream.codecs.receipt.encode(receiptOf(block)) },
    ...receiptMessages(stream, [
      receiptOf(block, { subscriber: 'stranger' }),
      receiptOf(block, { atMs: Date.now() + 3_600_000 }),
      receiptOf(block, { atMs: hourAgoMs }),
      receiptOf({ ...block, alertId: 'never published' }),
      receiptOf({ ...block, revision: 7 }),
      receiptOf(block),
      receiptOf(block),
    ]),
  ])
  const series = (fault: string): string => `sluice_receipt_faults_total{fault="${fault}"}`
  const told: readonly (readonly [name: string, count: number])[] = [
    [series('unknown_alert'), 2],
    [series('unreadable'), 1],
    [series('wrong_key'), 1],
    [series('unknown_subscriber'), 1],
    [series('from_the_future'), 1],
    [series('before_its_alert'), 1],
    [APPLIED, 1],
    ['sluice_receipts_repeated_total', 1],
  ]
  // They are in several partitions, which are read in any order.
  await readUntil(
    'all are told',
    () => Promise.all(told.map(([name]) => metricOf(watch.metricsPort, name))),
    (counts) => counts.join() === told.map(([, count]) => count).join(),
  )
  const letters = await readTopic(stream, 'dead-letters', stream.codecs.deadLetter, 7)
  deepStrictEqual(letters.map(({ reason }) => reason).toSorted(), [
    'before_its_alert',
    'from_the_future',
    'not_framed',
    'unknown_alert',
    'unknown_alert',
    'unknown_subscriber',
    'wrong_key',
  ])
  deepStrictEqual([...new Set(letters.map(({ topic }) => topic))], [`${stream.prefix}receipts`])
})

test('with keys, a receipt signed by its subscriber counts, and a forged or replayed one does not', async (t) => {
  const stream = await openStream(t, 'receipts')
  const send = await openSender(t, stream)
  const [bank, shop] = [newKey(), newKey()]
  const keysFile = join(temporaryFolder(t, 'receipts'), 'keys')
  writeFileSync(keysFile, `# who, and by which key\nbank ${newKey()}\nbank ${bank}\nshop ${shop}\n`)
  const watch = await startReceipts(t, stream, {
    ...LONG_WAIT,
    SLUICE_RECEIPT_KEYS_FILE: keysFile,
  })
  await startEnforcer(t, stream, { SLUICE_SUBSCRIBER: 'bank', SLUICE_RECEIPT_KEY: bank })
  const block = blockOf('card-1', 1)
  await send('alerts', alertMessages(stream, [block]))
  const [receipt] = await readTopic(stream, 'receipts', stream.codecs.receipt, 1)
  await eventually(
    'the signed receipt counts',
    async () => (await metricOf(watch.metricsPort, APPLIED)) === 1,
  )
  const signed = (by: string, said: Receipt, of = said): Message => {
    const value = stream.codecs.receipt.encode(said)
    const key = parseSigningKey(by) ?? fail('no key')
    const signature = signReceipt(key, of, stream.codecs.receipt.encode(of))
    return { key: said.alertId, value, headers: { [RECEIPT_SIGNATURE_HEADER]: signature } }
  }
  ok(receipt !== undefined)
  const asShop = { ...receipt, subscriber: 'shop' }
  await send('receipts', [
    ...receiptMessages(stream, [receipt]), // without a signature
    signed(shop, receipt), // by another subscriber's key
    signed(bank, asShop), // by the wrong key, the other way round
    signed(newKey(), receipt), // by an unknown key
    signed(bank, { ...receipt, status: 'refused' }, receipt), // other content under a known signature
    signed(bank, receipt), // replayed
    signed(shop, asShop),
  ])
  await eventually(
    'the other subscriber counts',
    async () => (await metricOf(watch.metricsPort, APPLIED)) === 2,
  )
  strictEqual(await metricOf(watch.metricsPort, 'sluice_receipt_faults_total{fault="forged"}'), 5)
  strictEqual(await metricOf(watch.metricsPort, 'sluice_receipts_repeated_total'), 1)
  const letters = await readTopic(stream, 'dead-letters', stream.codecs.deadLetter, 5)
  deepStrictEqual(
    letters.map(({ reason }) => reason),
    Array<string>(5).fill('forged'),
  )
})

test('a restarted receipt watch counts nothing twice and forgets nothing', async (t) => {
  const stream = await openStream(t, 'receipts')
  const send = await openSender(t, stream)
  const answered = blockOf('card-1', 1)
  const unanswered = blockOf('card-2', 2)
  const forged = blockOf('card-4', 4)
  const first = await startReceipts(t, stream, LONG_WAIT)
  await send('alerts', alertMessages(stream, [answered, unanswered]))
  await send('receipts', receiptMessages(stream, [receiptOf(answered), receiptOf(forged)]))
  await eventually('one is answered, one has lapsed, one receipt is of no alert', async () => {
    const seen = await Promise.all(
      [APPLIED, UNANSWERED, 'sluice_receipt_faults_total{fault="unknown_alert"}'].map((series) =>
        metricOf(first.metricsPort, series),
      ),
    )
    return seen.join() === '1,1,1'
  })
  await first.stop()
  const late = blockOf('card-3', 3)
  // In the meantime another block arrives, and one of the old ones is answered after all.
  await send('alerts', alertMessages(stream, [late, releaseOf(late)]))
  await send('receipts', receiptMessages(stream, [receiptOf(unanswered), receiptOf(late)]))

  const second = await startReceipts(t, stream, LONG_WAIT)
  await eventually(
    'both are counted',
    async () => (await metricOf(second.metricsPort, APPLIED)) === 2,
  )
  await eventually(
    'the release has lapsed',
    async () => (await metricOf(second.metricsPort, 'sluice_blocks_lapsed_total')) === 1,
  )
  strictEqual(await metricOf(second.metricsPort, IN_TIME), 1)
  strictEqual(await metricOf(second.metricsPort, UNANSWERED), 0)
  strictEqual(
    await metricOf(second.metricsPort, 'sluice_receipt_faults_total{fault="unknown_alert"}'),
    0,
  )
  strictEqual((await readTopic(stream, 'dead-letters', stream.codecs.deadLetter, 1)).length, 1)
})

test('a second receipt watch fences off the first', async (t) => {
  const stream = await openStream(t, 'receipts')
  const send = await openSender(t, stream)
  const first = await startReceipts(t, stream, SHORT_WAIT)
  const second = await startReceipts(t, stream, SHORT_WAIT)
  await send('alerts', alertMessages(stream, [blockOf('card-1', 1)]))
  await eventually(
    'the second one counts',
    async () => (await metricOf(second.metricsPort, UNANSWERED)) === 1,
  )
  let ended: unknown = null
  await first.stop().catch((error: unknown) => {
    ended = error
  })
  strictEqual((ended as { code?: string } | null)?.code, 'SLUICE_COMMIT_UNKNOWN')
})
