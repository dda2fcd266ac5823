// Goal: a published block is enforced, answered with one receipt, and timed; the enforcer does nothing that its
// configuration forbids. Method: alerts produced into a real topic, the services in this process, real HTTP.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
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
  TOKEN,
} from '../support/acting.ts'
import { eventually } from '../support/poll.ts'
import { temporaryFolder } from '../support/prometheus.ts'
import { openStream } from '../support/streams.ts'

const APPLIED_BLOCKS = 'sluice_receipts_total{action="block",status="applied"}'

test('a block is enforced, answered and timed; a release unblocks the card', async (t) => {
  const stream = await openStream(t, 'enforcer')
  const send = await openSender(t, stream)
  const watch = await startReceipts(t, stream)
  const enforcer = await startEnforcer(t, stream)
  const ask = () => post(`${enforcer.url}/authorise`, { card: 'card-1', amountMinor: 500 })
  const block = blockOf('card-1', 1)

  deepStrictEqual(await ask(), {
    status: 200,
    body: { answer: 'allowed', alertId: null, untilMs: null },
  })
  await send('alerts', alertMessages(stream, [block]))
  await eventually('the card is refused', async () => (await ask()).body['answer'] === 'refused')
  deepStrictEqual((await ask()).body, {
    answer: 'refused',
    alertId: block.alertId,
    untilMs: block.lease?.endMs,
  })
  strictEqual(
    (await post(`${enforcer.url}/authorise`, { card: 'card-2' })).body['answer'],
    'allowed',
  )

  await eventually(
    'the receipt is counted',
    async () => (await metricOf(watch.metricsPort, APPLIED_BLOCKS)) === 1,
  )
  strictEqual(await metricOf(watch.metricsPort, 'sluice_time_to_block_seconds_count'), 1)
  strictEqual(await metricOf(watch.metricsPort, 'sluice_decision_to_block_seconds_count'), 1)
  const [receipt] = await readTopic(stream, 'receipts', stream.codecs.receipt, 1)
  ok(receipt !== undefined)
  deepStrictEqual(
    { ...receipt, atMs: 0 },
    {
      alertId: block.alertId,
      revision: 0,
      subscriber: 'enforcer',
      status: 'applied',
      reason: null,
      atMs: 0,
    },
  )

  await send('alerts', alertMessages(stream, [releaseOf(block)]))
  await eventually('the card is let go', async () => (await ask()).body['answer'] === 'allowed')
  await eventually(
    'the release is answered, too',
    async () =>
      (await metricOf(
        watch.metricsPort,
        'sluice_receipts_total{action="release",status="applied"}',
      )) === 1,
  )
})

test('an expired lease is too late to enforce, and a card that is never blocked is refused', async (t) => {
  const stream = await openStream(t, 'enforcer')
  const send = await openSender(t, stream)
  const file = join(temporaryFolder(t), 'cards.txt')
  writeFileSync(file, 'card-vip\n')
  const enforcer = await startEnforcer(t, stream, { SLUICE_NEVER_BLOCK_FILE: file })
  const pastMs = Date.now() - 1_000
  const lease = { grade: 'suspected', startMs: pastMs - 1_000, endMs: pastMs } as const
  await send('alerts', [
    ...alertMessages(stream, [blockOf('card-over', 1, { lease }), blockOf('card-vip', 2)]),
    { key: 'card-3', value: Buffer.from('no alert at all'), partition: 0 },
    ...alertMessages(stream, [blockOf('card-4', 3)]),
  ])
  const receipts = await readTopic(stream, 'receipts', stream.codecs.receipt, 3)
  deepStrictEqual(receipts.map(({ status, reason }) => `${status} ${reason ?? ''}`).toSorted(), [
    'applied ',
    'refused card_never_blocked',
    'too_late lease_over',
  ])
  for (const [card, answer] of [
    ['card-over', 'allowed'],
    ['card-vip', 'allowed'],
    ['card-4', 'refused'],
  ] as const) {
    strictEqual((await post(`${enforcer.url}/authorise`, { card })).body['answer'], answer)
  }
  const response = await fetch(`${enforcer.url}/blocks`, {
    headers: { authorization: `Bearer ${TOKEN}` },
  })
  const listed = (await response.json()) as { live: number; blocks: { card: string }[] }
  deepStrictEqual([listed.live, listed.blocks.map(({ card }) => card)], [1, ['card-4']])
})
