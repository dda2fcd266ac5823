// Goal: a person's finding is one label and one disposition, whichever processes send it at once and whichever of them
// is killed. Method: several writers that have not read any label yet, services and commands on one stream; commands
// killed at many moments, and their open transactions; the topics are read as scorers read them. The writers of the
// control do not read the labels of others.

import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleepMs } from 'node:timers/promises'
import { test, type TestContext } from 'node:test'
import {
  label,
  loadQueueConfig,
  openLabelWriter,
  QueueState,
  readQueue,
} from '../../services/alerts/index.ts'
import { labelOf, type Novelty } from '../../services/core/cases.ts'
import type { Disposition } from '../../services/core/wire/records.ts'
import { systemClock } from '../../services/platform/clock.ts'
import { topicName } from '../../services/platform/kafka/topics.ts'
import { actingEnvironment, post, readTopic, startCases } from '../support/acting.ts'
import { closeWith } from '../support/cleanup.ts'
import { runSluice } from '../support/sluice-command.ts'
import { openStream, type TestStream } from '../support/streams.ts'

const IS_FULL = process.env['SLUICE_FULL'] === '1'
const ROUNDS = IS_FULL ? 20 : 5
const KILLS = IS_FULL ? 40 : 6
const WRITERS = 4
/** Share of a command's run time before the first kill; earlier it has not begun to write. */
const KILLED_FROM = 0.4
const ENTRY = join(import.meta.dirname, '../../services/cli/main.ts')
const EVENT_TIME_MS = 1_767_225_600_000

interface Request {
  readonly id: string
  readonly card: string
  readonly author: string
}

/** Reports fraud, as a process does that has read the topics up to now. */
type Say = (request: Request) => Promise<string>

async function openSaying(t: TestContext, stream: TestStream, looks = true): Promise<Say> {
  const config = loadQueueConfig(actingEnvironment(stream))
  const { codecs, prefix: topicPrefix } = stream
  const { horizonMs, cases } = config
  const state = new QueueState({ topicPrefix, horizonMs, cases, clock: systemClock, codecs })
  const signal = new AbortController().signal
  const changes = await readQueue(config, state, signal)
  const writer = await openLabelWriter({ ...config, codecs })
  closeWith(t, () => writer.close())
  const catchUp = (): Promise<void> => (looks ? changes.readOn(state, signal) : Promise.resolve())
  return async ({ id, card, author }) => {
    const nothing = { merchant: null, terminal: null, device: null, ipNetwork: null }
    const word = { finding: 'confirmed_fraud', source: 'analyst', reason: 'test' } as const
    const of = { id, card, author, eventTimeMs: EVENT_TIME_MS, idempotencyKey: null }
    const outcome = await label(
      { ...nothing, ...word, ...of },
      { state, writer, catchUp },
      systemClock.nowMs(),
    )
    return outcome.kind
  }
}

/** By transaction, the number of committed labels and dispositions, once there are this many of each. */
async function written(
  stream: TestStream,
  countMin: number,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const counts = new Map<string, [number, number]>()
  const topics = [
    await readTopic(stream, 'labels', stream.codecs.label, countMin),
    await readTopic(stream, 'dispositions', stream.codecs.disposition, countMin),
  ]
  for (const [index, records] of topics.entries()) {
    for (const { transactionId } of records) {
      const count = counts.get(transactionId) ?? [0, 0]
      count[index === 0 ? 0 : 1] += 1
      counts.set(transactionId, count)
    }
  }
  return counts
}

function once(ids: readonly string[]): ReadonlyMap<string, readonly number[]> {
  return new Map(ids.map((id) => [id, [1, 1]]))
}

function argsOf({ id, card, author }: Request): readonly string[] {
  const word = ['--verdict', 'fraud', '--reason', 'test', '--author', author, '--json']
  return ['label', id, '--card', card, '--event-time-ms', String(EVENT_TIME_MS), ...word]
}

test('a label sent by several writers at once is written once, by one of them', async (t) => {
  const stream = await openStream(t, 'labels-once')
  const saying = await Promise.all(Array.from({ length: WRITERS }, () => openSaying(t, stream)))
  const ids = Array.from({ length: ROUNDS }, (_, round) => `tx-${round}`)
  for (const [round, id] of ids.entries()) {
    const card = `card-${round}`
    const kinds = await Promise.all(
      saying.map((say, index) => say({ id, card, author: `analyst-${index}` })),
    )
    deepStrictEqual(kinds.toSorted(), ['new', 'repeated', 'repeated', 'repeated'])
  }
  deepStrictEqual(await written(stream, ids.length), once(ids))
})

test('services and commands that send the same label at once write it once', async (t) => {
  const stream = await openStream(t, 'labels-once')
  const services = await Promise.all([startCases(t, stream), startCases(t, stream)])
  const request = { id: 'tx-1', card: 'card-1' }
  const body = { ...request, finding: 'confirmed_fraud', reason: 'test' }
  const commands = ['ana', 'ben'].map((author) =>
    runSluice(argsOf({ ...request, author }), actingEnvironment(stream)),
  )
  // Until the commands have written; all the while the services fence each other and them.
  const ended = Promise.all(commands)
  const others: string[] = []
  const run = { isDone: false }
  void ended.then(() => {
    run.isDone = true
  })
  for (let number = 2; !run.isDone; number += 1) {
    const id = `tx-${number}`
    const word = { ...body, id, eventTimeMs: EVENT_TIME_MS }
    const answers = await Promise.all(services.map(({ url }) => post(`${url}/labels`, word)))
    deepStrictEqual(answers.map(({ status }) => status).toSorted(), [200, 201])
    others.push(id)
  }
  const said = (await ended).map(({ code, stdout, stderr }) => {
    strictEqual(code, 0, stderr)
    return (JSON.parse(stdout) as { readonly said: Novelty }).said
  })
  deepStrictEqual(said.toSorted(), ['new', 'repeated'])
  ok(others.length > 0)
  const ids = ['tx-1', ...others]
  deepStrictEqual(await written(stream, ids.length), once(ids))
})

test('a killed command writes all or nothing, and a repeat leaves each label once', async (t) => {
  const stream = await openStream(t, 'labels-once')
  const environment = actingEnvironment(stream)
  const requestOf = (number: number): Request => ({
    id: `tx-${number}`,
    card: `card-${number}`,
    author: 'ana',
  })
  const startMs = performance.now()
  const { code, stderr } = await runSluice(argsOf(requestOf(0)), environment)
  strictEqual(code, 0, stderr)
  const tookMs = performance.now() - startMs
  const { url } = await startCases(t, stream)
  for (let number = 1; number <= KILLS; number += 1) {
    const request = requestOf(number)
    const child = spawn(process.execPath, [ENTRY, ...argsOf(request)], {
      stdio: 'ignore',
      env: { ...process.env, NODE_TEST_CONTEXT: undefined, ...environment },
    })
    const exited = new Promise((resolve) => child.once('exit', resolve))
    await sleepMs(tookMs * (KILLED_FROM + ((1 - KILLED_FROM) * number) / KILLS))
    child.kill('SIGKILL')
    await exited
    const { id, card } = request
    const word = { finding: 'confirmed_fraud', reason: 'test' }
    const again = await post(`${url}/labels`, { id, card, eventTimeMs: EVENT_TIME_MS, ...word })
    ok([200, 201].includes(again.status), JSON.stringify(again.body))
  }
  const ids = Array.from({ length: KILLS + 1 }, (_, number) => requestOf(number).id)
  deepStrictEqual(await written(stream, ids.length), once(ids))
})

test('the open transaction of a replaced process is never visible, and that process cannot continue', async (t) => {
  const stream = await openStream(t, 'labels-once')
  const say = await openSaying(t, stream)
  const request = { id: 'tx-1', card: 'card-1', author: 'ana' }
  const left = await leaveOpen(t, stream, request)
  strictEqual(await say(request), 'new')
  await rejects(left.commit())
  deepStrictEqual(await written(stream, 1), once(['tx-1']))
})

/** Both messages of a label in a transaction that is neither committed nor aborted, as after a kill. */
async function leaveOpen(
  t: TestContext,
  { kafka, prefix, codecs }: TestStream,
  { id, card, author }: Request,
): Promise<{ commit(): Promise<void> }> {
  const producer = kafka.producer({
    transactionalId: `${prefix}sluice-labels`,
    idempotent: true,
    maxInFlightRequests: 1,
    retry: { retries: 2, initialRetryTime: 5 },
  })
  await producer.connect()
  closeWith(t, () => producer.disconnect())
  const word = { finding: 'confirmed_fraud', source: 'analyst', author, reason: 'test' } as const
  const disposition: Disposition = {
    ...word,
    transactionId: id,
    alertId: null,
    card,
    requestKey: null,
    atMs: Date.now(),
  }
  const nothing = { merchant: null, terminal: null, device: null, ipNetwork: null }
  const known = labelOf(disposition, {
    ...nothing,
    transactionId: id,
    card,
    eventTimeMs: EVENT_TIME_MS,
  })
  ok(known !== null)
  const transaction = await producer.transaction()
  await transaction.send({
    topic: topicName(prefix, 'labels'),
    messages: [{ key: card, value: codecs.label.encode(known), partition: 0 }],
  })
  await transaction.send({
    topic: topicName(prefix, 'dispositions'),
    messages: [{ key: `${id}/analyst`, value: codecs.disposition.encode(disposition) }],
  })
  return { commit: () => transaction.commit() }
}

test('control: writers that do not read the labels of others write them again', async (t) => {
  const stream = await openStream(t, 'labels-once')
  const saying = await Promise.all([false, false].map((looks) => openSaying(t, stream, looks)))
  for (const say of saying) await say({ id: 'tx-1', card: 'card-1', author: 'ana' })
  deepStrictEqual((await written(stream, 2)).get('tx-1'), [2, 2])
})
