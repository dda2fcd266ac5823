// Goal: nothing is sent twice, with concurrent senders and after retention has removed messages.
// Method: redrives on a real stream that interfere with each other at a chosen moment.

import { deepStrictEqual, match, ok, rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_RATES } from '../../services/core/rates/default-rates.ts'
import { isSluiceError } from '../../services/core/errors.ts'
import { EVERY_LETTER } from '../../services/cli/dead-letters/read-letters.ts'
import {
  type RedriveOptions,
  type RedriveSender,
  openRedriveSender,
  redrive,
} from '../../services/cli/dead-letters/redrive.ts'
import { topicName } from '../../services/platform/kafka/topics.ts'
import { closeWith } from '../support/cleanup.ts'
import { followOutputs } from '../support/outputs.ts'
import { startScorer } from '../support/scorer-process.ts'
import { eventually, readAtLeast } from '../support/poll.ts'
import { openStream, type TestStream } from '../support/streams.ts'
import { fullLabel } from '../unit/core/wire/samples.ts'
import {
  partitionOfCard,
  sample,
  HOME,
  STRANGER,
  streamWithLetters,
  messagesOf,
  messagesWith,
} from '../support/letter-streams.ts'

const HOUR_MS = 3_600_000

function optionsFor(stream: TestStream, change: Partial<RedriveOptions> = {}): RedriveOptions {
  return {
    brokers: stream.brokers,
    topicPrefix: stream.prefix,
    codecs: stream.codecs,
    filter: EVERY_LETTER,
    sendMax: 100,
    force: false,
    rates: DEFAULT_RATES,
    eventAheadMsMax: HOUR_MS,
    nowMs: () => Date.now(),
    onProgress: () => undefined,
    confirm: () => Promise.resolve(true),
    ...change,
  }
}

test('nothing is sent where retention may have removed the record of an earlier redrive', async (t) => {
  const { stream } = await streamWithLetters(
    t,
    'letters-unprovable',
    ({ reason }) => reason === 'wrong_partition',
  )
  const target = partitionOfCard(STRANGER)
  const state = async (): Promise<unknown> => {
    const confirm = (): Promise<boolean> => Promise.resolve(false)
    const signal = new AbortController().signal
    return (await redrive(optionsFor(stream, { confirm }), signal)).planned[0]?.state
  }
  strictEqual(await state(), 'send')
  await stream.sendRaw('transactions', target, [{ value: Buffer.from('old') }])
  await stream.admin.deleteTopicRecords({
    topic: topicName(stream.prefix, 'transactions'),
    partitions: [{ partition: target, offset: '1' }],
  })
  strictEqual(await state(), 'unprovable')
})

test('a label in the wrong partition is sent to the partition of its card, once', async (t) => {
  const stream = await openStream(t, 'letters-labels')
  const outputs = followOutputs(t, stream)
  const label = { ...fullLabel, card: STRANGER }
  await stream.sendRaw('labels', HOME, [{ value: stream.codecs.label.encode(label) }])
  const scorer = await startScorer(t, stream.patientEnvironment())
  await outputs.until('the letter', () => outputs.deadLetters.length === 1)
  const signal = new AbortController().signal
  strictEqual((await redrive(optionsFor(stream), signal)).sent, 1)
  strictEqual((await redrive(optionsFor(stream), signal)).sent, 0)
  const committed = async (): Promise<number> => {
    const topic = topicName(stream.prefix, 'labels')
    const [offsets] = await stream.admin.fetchOffsets({ groupId: stream.groupId, topics: [topic] })
    const own = offsets?.partitions.find(({ partition }) => partition === partitionOfCard(STRANGER))
    return Number(own?.offset ?? -1)
  }
  await eventually('the label is used', async () => (await committed()) === 1)
  strictEqual(await scorer.end('SIGTERM'), 0)
  strictEqual(outputs.deadLetters.length, 1)
})

test('one of two operators who confirm the same plan sends it', async (t) => {
  const { stream } = await streamWithLetters(
    t,
    'letters-operators',
    ({ reason }) => reason === 'wrong_partition',
  )
  const signal = new AbortController().signal
  let inner = 0
  const outer = await redrive(
    optionsFor(stream, {
      // While the first operator reads the plan, the second one sends.
      confirm: async () => {
        inner = (await redrive(optionsFor(stream), signal)).sent
        return true
      },
    }),
    signal,
  )
  strictEqual(inner, 1)
  strictEqual(outer.sent, 0)
  deepStrictEqual(
    outer.planned.map(({ state }) => state),
    ['sent_before'],
  )
  const marked = (await messagesWith(stream, 1)).filter(({ redrivenFrom }) => redrivenFrom !== null)
  strictEqual(marked.length, 1)
})

test('an operator who is fenced off while sending can send nothing more', async (t) => {
  const stream = await openStream(t, 'letters-fence')
  const topic = topicName(stream.prefix, 'transactions')
  // Also closed when the test fails, since an open connection would keep the run from ending.
  const open = async (prefix: string): Promise<RedriveSender> => {
    const sender = await openRedriveSender(stream.kafka, stream.admin, prefix)
    closeWith(t, () => sender.close())
    return sender
  }
  const earlier = await open(stream.prefix)
  await earlier.send(topic, [{ value: 'a', partition: 0 }])
  const later = await open(stream.prefix)
  await rejects(earlier.send(topic, [{ value: 'never', partition: 0 }]), (error) => {
    ok(isSluiceError(error, 'SLUICE_COMMIT_UNKNOWN'))
    match(error.message, /Another redrive of this stream has begun/)
    return true
  })
  await later.send(topic, [{ value: 'b', partition: 0 }])
  // Control: the sender of another stream fences nobody.
  await open(`other-${stream.prefix}`)
  await later.send(topic, [{ value: 'c', partition: 0 }])
  const sent = await readAtLeast(3, 'messages are seen', () => messagesOf(stream))
  deepStrictEqual(
    sent.map(({ value }) => String(value)),
    ['a', 'b', 'c'],
  )
})

test('nothing is sent while an unrelated transaction is open, and everything once it ends', async (t) => {
  const { stream } = await streamWithLetters(
    t,
    'letters-open',
    ({ reason }) => reason === 'wrong_partition',
  )
  const stranger = stream.kafka.producer({
    transactionalId: `${stream.prefix}stranger`,
    idempotent: true,
    maxInFlightRequests: 1,
  })
  await stranger.connect()
  const open = await stranger.transaction()
  const topic = topicName(stream.prefix, 'transactions')
  const value = stream.codecs.transaction.encode(sample('stranger', { card: STRANGER }))
  await open.send({ topic, messages: [{ value, partition: partitionOfCard(STRANGER) }] })
  const signal = new AbortController().signal
  await rejects(redrive(optionsFor(stream), signal), (error) => {
    ok(isSluiceError(error, 'SLUICE_COMMIT_UNKNOWN'))
    match(error.message, /holds a transaction open/)
    return true
  })
  await open.commit()
  await stranger.disconnect()
  strictEqual((await redrive(optionsFor(stream), signal)).sent, 1)
  const marked = (await messagesWith(stream, 1)).filter(({ redrivenFrom }) => redrivenFrom !== null)
  strictEqual(marked.length, 1)
})
