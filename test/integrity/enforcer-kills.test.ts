// Goal: an enforcer killed while alerts flow loses no block and answers none twice. Method: the enforcer in its own
// process, killed with SIGKILL between and within batches and started again, while a producer continues. At the end the
// status of every active block is queried, and a reader of the topic counts every receipt. The control commits the
// offsets of alerts before their receipts.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { setTimeout as sleepMs } from 'node:timers/promises'
import { test, type TestContext } from 'node:test'
import { partitionOf } from '../../services/core/murmur2.ts'
import type { Alert } from '../../services/core/wire/records.ts'
import {
  actingEnvironment,
  alertMessages,
  blockOf,
  followTopic,
  metricOf,
  openSender,
  post,
  releaseOf,
  startReceipts,
} from '../support/acting.ts'
import { claimPorts } from '../support/claims.ts'
import { closeWith } from '../support/cleanup.ts'
import { startCli, type CliProcess } from '../support/cli-process.ts'
import type { Entry } from '../support/services-build.ts'
import { eventually, readUntil } from '../support/poll.ts'
import { seededNumbers } from '../support/seeded-numbers.ts'
import { openStream, PARTITION_COUNT, type TestStream } from '../support/streams.ts'

const IS_FULL = process.env['SLUICE_FULL'] === '1'
const ROUNDS = IS_FULL ? 20 : 3
const BLOCKS_A_ROUND = 120
/** Largest delay of a kill after a receipt. */
const KILL_DELAY_MS_MAX = 120

class Killing {
  readonly blocks: Alert[] = []
  readonly released: Alert[] = []
  readonly #stream: TestStream
  readonly #send: Awaited<ReturnType<typeof openSender>>
  readonly #receipts: Awaited<ReturnType<typeof followReceipts>>
  readonly #start: () => Promise<CliProcess>
  readonly #random = seededNumbers(20_260_404)
  #number = 0

  constructor(
    stream: TestStream,
    send: Awaited<ReturnType<typeof openSender>>,
    receipts: Awaited<ReturnType<typeof followReceipts>>,
    start: () => Promise<CliProcess>,
  ) {
    this.#stream = stream
    this.#send = send
    this.#receipts = receipts
    this.#start = start
  }

  /** Alerts flow; once some are answered the enforcer is killed, and another one answers the rest. */
  async round(enforcer: CliProcess): Promise<CliProcess> {
    const before = this.#receipts.length
    const flowing = this.#flow()
    await eventually('it answers', () => Promise.resolve(this.#receipts.length > before))
    await sleepMs(this.#random() % KILL_DELAY_MS_MAX)
    await enforcer.end('SIGKILL')
    await flowing
    const next = await this.#start()
    await this.#allRead()
    return next
  }

  /** Faults of the receipts; empty when each alert has one. */
  get faults(): readonly string[] {
    const counts = new Map<string, number>()
    for (const { alertId, revision, status } of this.#receipts) {
      const answer = `${alertId}.${revision} ${status}`
      counts.set(answer, (counts.get(answer) ?? 0) + 1)
    }
    const faults: string[] = []
    for (const { alertId, revision } of [...this.blocks, ...this.released]) {
      const answer = `${alertId}.${revision} applied`
      const count = counts.get(answer) ?? 0
      counts.delete(answer)
      if (count !== 1) faults.push(`${answer}: ${count} receipts`)
    }
    return [...faults, ...[...counts.keys()].map((answer) => `${answer}: nobody asked`)]
  }

  async #flow(): Promise<void> {
    for (let count = 0; count < BLOCKS_A_ROUND; count += 1) {
      const block = this.#next(`card-${this.#number}`)
      const words = [block]
      if (count % 10 === 0) {
        const release = releaseOf(block)
        this.released.push(release)
        words.push(release)
      }
      await this.#send('alerts', alertMessages(this.#stream, words))
    }
  }

  /** Resolves once the last alert of each partition is answered, and so all before it. */
  async #allRead(): Promise<void> {
    const annotations = Array.from({ length: PARTITION_COUNT }, (_, partition) => {
      let tries = this.#number
      while (partitionOf(Buffer.from(`mark-${tries}`), PARTITION_COUNT) !== partition) tries += 1
      return this.#next(`mark-${tries}`)
    })
    await this.#send('alerts', alertMessages(this.#stream, annotations))
    await eventually('all are read', () => {
      const answered = new Set(this.#receipts.map(({ alertId }) => alertId))
      return Promise.resolve(annotations.every(({ alertId }) => answered.has(alertId)))
    })
  }

  #next(card: string): Alert {
    const block = blockOf(card, this.#number)
    this.#number += 1
    this.blocks.push(block)
    return block
  }
}

function followReceipts(t: TestContext, stream: TestStream) {
  return followTopic(t, stream, 'receipts', stream.codecs.receipt)
}

async function setUp(t: TestContext, name: string, main?: Entry) {
  const stream = await openStream(t, name)
  const send = await openSender(t, stream)
  const receipts = await followReceipts(t, stream)
  const claim = await claimPorts(1)
  closeWith(t, claim.release)
  const [port = 0] = claim.ports
  const args = ['enforce', '--port', String(port), '--metrics-port', '0']
  const environment = actingEnvironment(stream, { SLUICE_ENFORCER_PORT: String(port) })
  const start = () => startCli(t, args, environment, main)
  return {
    stream,
    start,
    url: `http://127.0.0.1:${port}/authorise`,
    killing: new Killing(stream, send, receipts, start),
  }
}

test('a killed enforcer enforces every active block again, and each has one receipt', async (t) => {
  const { stream, start, url, killing } = await setUp(t, 'enforcer-kills')
  const watch = await startReceipts(t, stream, { SLUICE_RECEIPT_WAIT_MS: '60000' })
  let enforcer = await start()
  for (let round = 0; round < ROUNDS; round += 1) enforcer = await killing.round(enforcer)

  deepStrictEqual(killing.faults.slice(0, 5), [])
  const letGo = new Set(killing.released.map(({ card }) => card))
  for (const { card, alertId } of killing.blocks) {
    const { body } = await post(url, { card })
    const expected = letGo.has(card) ? ['allowed', null] : ['refused', alertId]
    deepStrictEqual([body['answer'], body['alertId']], expected, card)
  }
  const counted = (action: string): Promise<number> =>
    metricOf(watch.metricsPort, `sluice_receipts_total{action="${action}",status="applied"}`)
  await readUntil(
    'all receipts are counted',
    () => Promise.all(['block', 'release'].map(counted)),
    ([blocks, releases]) =>
      blocks === killing.blocks.length && releases === killing.released.length,
  )
  strictEqual(await metricOf(watch.metricsPort, 'sluice_receipts_repeated_total'), 0)
})

test('an enforcer that commits offsets before its receipts leaves alerts unanswered by the same kills', async (t) => {
  const { start, killing } = await setUp(
    t,
    'enforcer-careless',
    'test/support/careless-enforcer.ts',
  )
  let enforcer = await start()
  for (let round = 0; round < 6 && killing.faults.length === 0; round += 1) {
    enforcer = await killing.round(enforcer)
  }
  const { faults } = killing
  ok(faults.length > 0, 'the control has lost nothing')
  ok(
    faults.every((fault) => fault.endsWith(': 0 receipts')),
    faults[0],
  )
})
