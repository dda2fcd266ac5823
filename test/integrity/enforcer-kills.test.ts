// Goal: an enforcer that is killed while alerts flow loses no block and answers none twice. Method: the enforcer in a
// process of its own, killed with SIGKILL between and within batches and started again, while a producer goes on; in
// the end every live block is asked about, and every receipt is counted by whoever reads the topic.

import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import type { Alert } from '../../services/core/wire/records.ts'
import { freePorts } from '../../services/platform/provision/ports.ts'
import {
  actingEnvironment,
  alertMessages,
  blockOf,
  metricOf,
  openSender,
  post,
  readTopic,
  releaseOf,
  startReceipts,
} from '../support/acting.ts'
import { startCli } from '../support/cli-process.ts'
import { eventually } from '../support/poll.ts'
import { openStream } from '../support/streams.ts'

const ROUNDS = 4
const BLOCKS_A_ROUND = 120
const FIRST_PORT = 19_700

test('a killed enforcer enforces every live block again, and each has one receipt', async (t) => {
  const stream = await openStream(t, 'enforcer-kills')
  const send = await openSender(t, stream)
  const watch = await startReceipts(t, stream, { SLUICE_RECEIPT_WAIT_MS: '60000' })
  const [port = 0] = await freePorts(FIRST_PORT, 1)
  const start = () =>
    startCli(
      t,
      ['enforce', '--port', String(port), '--metrics-port', '0'],
      actingEnvironment(stream),
    )
  const blocks: Alert[] = []
  const released: Alert[] = []
  let enforcer = await start()
  for (let round = 0; round < ROUNDS; round += 1) {
    const receiptsBefore = blocks.length + released.length
    const flowing = (async () => {
      for (let count = 0; count < BLOCKS_A_ROUND; count += 1) {
        const number = round * BLOCKS_A_ROUND + count
        const block = blockOf(`card-${number}`, number)
        blocks.push(block)
        const words = [block]
        if (number % 10 === 0) {
          const release = releaseOf(block)
          released.push(release)
          words.push(release)
        }
        await send('alerts', alertMessages(stream, words))
      }
    })()
    // Killed once it has answered something of this round, while more comes.
    await eventually('it answers', async () => {
      const receipts = await readTopic(stream, 'receipts', stream.codecs.receipt)
      return receipts.length > receiptsBefore
    })
    await enforcer.end('SIGKILL')
    await flowing
    enforcer = await start()
    await eventually('all of the round are answered', async () => {
      const receipts = await readTopic(stream, 'receipts', stream.codecs.receipt)
      return receipts.length >= blocks.length + released.length
    })
  }

  const receipts = await readTopic(stream, 'receipts', stream.codecs.receipt)
  deepStrictEqual(
    receipts.map(({ alertId, revision, status }) => `${alertId}.${revision} ${status}`).toSorted(),
    [...blocks, ...released]
      .map(({ alertId, revision }) => `${alertId}.${revision} applied`)
      .toSorted(),
  )
  const letGo = new Set(released.map(({ card }) => card))
  for (const { card, alertId } of blocks) {
    const { body } = await post(`http://127.0.0.1:${port}/authorise`, { card })
    const expected = letGo.has(card) ? ['allowed', null] : ['refused', alertId]
    deepStrictEqual([body['answer'], body['alertId']], expected, card)
  }
  const counted = (action: string): Promise<number> =>
    metricOf(watch.metricsPort, `sluice_receipts_total{action="${action}",status="applied"}`)
  await eventually(
    'all receipts are counted',
    async () => (await counted('block')) === blocks.length,
  )
  strictEqual(await counted('release'), released.length)
  strictEqual(await metricOf(watch.metricsPort, 'sluice_receipts_repeated_total'), 0)
})
