// Goal: dead letters can be looked at without a card number coming out, and what is sent again once its cause is
// gone is decided exactly once, however often and by however many it is sent again.
// Method: a real stream with a scorer in a process of its own; the commands are run as people run them.

import { deepStrictEqual, match, ok, rejects, strictEqual } from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { DEFAULT_RATES } from '../../services/core/currency.ts'
import { isSluiceError } from '../../services/core/errors.ts'
import { partitionOf } from '../../services/core/murmur2.ts'
import { REDRIVEN_FROM_HEADER } from '../../services/core/redrive.ts'
import type { RejectReason } from '../../services/core/reject-reasons.ts'
import type { Transaction } from '../../services/core/transaction.ts'
import { EVERY_LETTER } from '../../services/cli/dead-letters/letter-filter.ts'
import { openRedriveSender } from '../../services/cli/dead-letters/redrive-sender.ts'
import { redrive, type RedriveOptions } from '../../services/cli/dead-letters/redrive.ts'
import { readToEnd } from '../../services/platform/kafka/committed-reader.ts'
import { topicName } from '../../services/platform/kafka/topics.ts'
import { FileRegistry } from '../../services/platform/registry/file-registry.ts'
import { openSchemaRegistry } from '../../services/platform/registry/open-registry.ts'
import { simulate } from '../../services/producer/index.ts'
import { audit } from '../support/audit.ts'
import { followOutputs, type Outputs } from '../support/outputs.ts'
import { startScorer } from '../support/scorer-process.ts'
import { runSluice, type EndedCommand } from '../support/sluice-command.ts'
import { eventually } from '../support/poll.ts'
import { openStream, PARTITION_COUNT, type TestStream } from '../support/streams.ts'
import { fullLabel } from '../unit/core/wire/samples.ts'
import { openLocalRegistry, type LocalRegistry } from '../unit/platform/registry/local-registry.ts'

/** A number that card schemes give out for tests. */
const CARD_NUMBER = '4111111111111111'
const CARD_NUMBER_GROUPED = '4111 1111 1111 1111'
const LATER_SCHEMA_ID = 7_001
const HOUR_MS = 3_600_000

const partitionOfCard = (card: string): number => partitionOf(Buffer.from(card), PARTITION_COUNT)

/** Transactions of one card, with ids of their own. */
function sample(id: string, change: Partial<Transaction> = {}): Transaction {
  const [first] = simulate({ seed: 3, transactionsMax: 1 })
  if (first?.kind !== 'transaction') throw new Error('The simulator begins with a transaction.')
  return { ...first.transaction, id, ...change }
}

const HOME = partitionOfCard(sample('').card)
/** A card that belongs elsewhere. */
const STRANGER =
  Array.from({ length: 100 }, (_, index) => `stranger-${index}`).find(
    (card) => partitionOfCard(card) !== HOME,
  ) ?? ''

interface Bad {
  readonly reason: RejectReason
  readonly value: Buffer
}

function badMessages({ codecs }: TestStream): readonly Bad[] {
  const encode = (id: string, change: Partial<Transaction> = {}): Buffer =>
    codecs.transaction.encode(sample(id, change))
  const later = encode('later-schema')
  later.writeUInt32BE(LATER_SCHEMA_ID, 1)
  const good = encode('cut-short')
  return [
    { reason: 'wrong_partition', value: encode('moved', { card: STRANGER }) },
    { reason: 'unknown_schema', value: later },
    { reason: 'malformed', value: good.subarray(0, good.length - 3) },
    { reason: 'malformed', value: Buffer.concat([good, Buffer.from(CARD_NUMBER)]) },
    { reason: 'not_framed', value: Buffer.from(`{"pan":"${CARD_NUMBER_GROUPED}"}`) },
    { reason: 'card_number_suspected', value: encode('pan', { card: CARD_NUMBER }) },
    { reason: 'unknown_currency', value: encode('currency', { currency: 'ZZZ' }) },
  ]
}

/** Sends bad messages between good ones and has them decided. */
async function streamWithLetters(
  t: TestContext,
  name: string,
  choose: (bad: Bad) => boolean = () => true,
): Promise<{
  readonly stream: TestStream
  readonly outputs: Outputs
  readonly bad: readonly Bad[]
}> {
  const stream = await openStream(t, name)
  const outputs = followOutputs(t, stream)
  const bad = badMessages(stream).filter(choose)
  const key = sample('').card
  await stream.sendRaw(
    'transactions',
    HOME,
    bad.flatMap(({ value }, index) => [
      { key, value },
      { key, value: stream.codecs.transaction.encode(sample(`good-${index}`)) },
    ]),
  )
  await decideAll(t, stream, outputs)
  strictEqual(outputs.deadLetters.length, bad.length)
  return { stream, outputs, bad }
}

/** Lets a scorer decide what was sent so far, and ends it. */
async function decideAll(
  t: TestContext,
  stream: TestStream,
  outputs: Outputs,
  environment: Readonly<Record<string, string>> = {},
): Promise<void> {
  const scorer = await startScorer(t, stream.environment(environment))
  await outputs.readToEnd()
  strictEqual(await scorer.end('SIGTERM'), 0)
}

function command(
  stream: TestStream,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<EndedCommand> {
  return runSluice(['dead-letters', ...args], stream.environment(environment))
}

interface Seen {
  readonly partition: number
  readonly offset: number
  readonly value: Buffer | null
  readonly redrivenFrom: string | null
}

/** Every committed message of the topic. */
async function messagesOf({ brokers, prefix }: TestStream): Promise<readonly Seen[]> {
  const topics = [topicName(prefix, 'transactions')]
  const seen: Seen[] = []
  await readToEnd(
    { brokers, name: 'test-dead-letters', topics, startAt: 'beginning' },
    ({ partition, messages }) => {
      for (const { offset, value, headers } of messages) {
        const mark = headers?.[REDRIVEN_FROM_HEADER]
        const redrivenFrom = mark === undefined ? null : String(mark)
        seen.push({ partition, offset: Number(offset), value, redrivenFrom })
      }
    },
  )
  return seen
}

/** Tells the audit what was sent by others: at an offset without a message stands a control record. */
async function noteWhatWasSent(stream: TestStream): Promise<readonly Seen[]> {
  const seen = await messagesOf(stream)
  const ends = await stream.admin.fetchTopicOffsets(topicName(stream.prefix, 'transactions'))
  for (const { partition, high } of ends) {
    const sent = stream.sent[partition] ?? []
    for (let offset = sent.length; offset < Number(high); offset += 1) {
      const isMessage = seen.some((each) => each.partition === partition && each.offset === offset)
      sent.push(isMessage ? 'other' : 'control')
    }
  }
  return seen
}

async function endsOf(stream: TestStream): Promise<readonly string[]> {
  const offsets = await stream.admin.fetchTopicOffsets(topicName(stream.prefix, 'transactions'))
  return offsets.sort((a, b) => a.partition - b.partition).map(({ high }) => high)
}

/** A registry that has the ids of schemas/, and the later id for transactions. */
async function laterRegistry(topicPrefix: string): Promise<LocalRegistry> {
  const registry = await openLocalRegistry()
  const { schemas } = await openSchemaRegistry({
    url: registry.url,
    topicPrefix,
    register: true,
  }).load()
  const released = await new FileRegistry().load()
  for (const { id, subject } of schemas) {
    const entry = registry.schemas.get(id)
    const file = released.schemas.find((each) => each.subject === subject)
    if (entry === undefined || file === undefined) continue
    registry.schemas.delete(id)
    registry.schemas.set(subject === 'transaction' ? LATER_SCHEMA_ID : file.id, entry)
  }
  return registry
}

function decidedIds(outputs: Outputs): readonly string[] {
  return outputs.blocks
    .flatMap(({ block }) => block.decisions.map(({ transactionId }) => transactionId))
    .sort()
}

function countsOf(ended: EndedCommand): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const { state } of ended.json()) counts[String(state)] = (counts[String(state)] ?? 0) + 1
  return counts
}

test('letters are listed, counted and shown, and no card number comes out', async (t) => {
  const { stream, bad } = await streamWithLetters(t, 'letters-shown')
  const positionOf = (index: number): string =>
    `${topicName(stream.prefix, 'transactions')}/${HOME}/${2 * index}`
  const listed = await command(stream, ['list', '--json'])
  strictEqual(listed.code, 0, listed.stderr)
  deepStrictEqual(
    listed.json().map(({ position, reason }) => [position, reason]),
    bad.map(({ reason }, index) => [positionOf(index), reason]),
  )
  const filtered = await command(stream, [
    'list',
    '--json',
    '--reason',
    'malformed',
    '--since',
    '1h',
  ])
  deepStrictEqual(
    filtered.json().map(({ position }) => position),
    [positionOf(2), positionOf(3)],
  )
  const limited = await command(stream, ['list', '--limit', '2'])
  strictEqual(limited.stdout.trimEnd().split('\n').length, 3)
  match(limited.stderr, new RegExp(`2 of ${bad.length} shown`))
  const summary = await command(stream, ['list', '--summary', '--json'])
  deepStrictEqual(summary.json()[0], {
    topic: topicName(stream.prefix, 'transactions'),
    reason: 'malformed',
    count: 2,
  })
  const none = await command(stream, ['list', '--topic', 'labels'])
  strictEqual(none.stdout, '')
  match(none.stderr, /no dead letter/)

  const shown = []
  for (const [index] of bad.entries()) {
    shown.push(await command(stream, ['show', `transactions/${HOME}/${2 * index}`, '--payload']))
  }
  match(shown[0]?.stdout ?? '', new RegExp(`"card": "${STRANGER}"`))
  match(shown[5]?.stdout ?? '', /"card": "#{16}"/)
  match(shown[4]?.stdout ?? '', /text: \{"pan":"#### #### #### ####"\}/)
  const absent = await command(stream, ['show', `transactions/${HOME}/1`])
  strictEqual(absent.code, 2)
  match(absent.stderr, /no dead letter about/)

  const hex = Buffer.from(CARD_NUMBER).toString('hex')
  for (const { stdout, stderr } of [listed, limited, ...shown]) {
    const text = `${stdout}${stderr}`
    ok(stdout.length > 0)
    ok(!text.includes(CARD_NUMBER) && !text.includes(CARD_NUMBER_GROUPED), 'a card number is out')
    ok(!text.replaceAll(' ', '').includes(hex), 'a card number is out as hex')
  }
  // The control: the messages do hold it.
  const raw = Buffer.concat((await messagesOf(stream)).map(({ value }) => value ?? Buffer.alloc(0)))
  ok(raw.includes(CARD_NUMBER) && raw.includes(CARD_NUMBER_GROUPED))
})

test('what is sent again once its cause is gone is decided exactly once', async (t) => {
  const { stream, outputs, bad } = await streamWithLetters(t, 'letters-redriven')
  await using registry = await laterRegistry(stream.prefix)
  const fixed = { SLUICE_SCHEMA_REGISTRY_URL: registry.url }
  const before = await endsOf(stream)

  const unasked = await command(stream, ['redrive'], fixed)
  strictEqual(unasked.code, 2)
  match(unasked.stderr, /--yes/)
  const dry = await command(stream, [
    'redrive',
    '--dry-run',
    '--json',
    '--reason',
    'wrong_partition',
  ])
  deepStrictEqual(dry.json(), [
    {
      position: `${topicName(stream.prefix, 'transactions')}/${HOME}/0`,
      reason: 'wrong_partition',
      state: 'send',
      detail: null,
      toTopic: topicName(stream.prefix, 'transactions'),
      toPartition: partitionOfCard(STRANGER),
      bytes: bad[0]?.value.length,
      headers: {
        [REDRIVEN_FROM_HEADER]: `${topicName(stream.prefix, 'transactions')}/${HOME}/0`,
      },
    },
  ])
  const unregistered = await command(stream, ['redrive', '--dry-run', '--json', '--offset', '2'])
  deepStrictEqual(countsOf(unregistered), { refused_again: 1 })
  deepStrictEqual(await endsOf(stream), before)

  // What can be decided by this registry: every transaction of the stream was written under the later id.
  const first = await command(stream, ['redrive', '--yes', '--json'])
  strictEqual(first.code, 0, first.stderr)
  deepStrictEqual(countsOf(first), { sent: 1, refused_again: bad.length - 1 })
  await noteWhatWasSent(stream)
  await decideAll(t, stream, outputs)
  const second = await command(stream, ['redrive', '--yes', '--json'], fixed)
  deepStrictEqual(countsOf(second), { sent: 1, sent_before: 1, refused_again: bad.length - 2 })
  const third = await command(stream, ['redrive', '--yes', '--json'], fixed)
  deepStrictEqual(countsOf(third), { sent_before: 2, refused_again: bad.length - 2 })

  const seen = await noteWhatWasSent(stream)
  deepStrictEqual(
    seen.filter(({ redrivenFrom }) => redrivenFrom !== null).length,
    2,
    'each message was sent again once',
  )
  await decideAll(t, stream, outputs, fixed)
  deepStrictEqual(audit(stream, outputs), [])
  deepStrictEqual(
    decidedIds(outputs),
    [...bad.map((_, index) => `good-${index}`), 'later-schema', 'moved'].sort(),
  )
})

test('a message that fails again when it is sent again is not sent a third time', async (t) => {
  const { stream, outputs } = await streamWithLetters(
    t,
    'letters-loop',
    ({ reason }) => reason === 'unknown_currency',
  )
  const forced = await command(stream, ['redrive', '--yes', '--json', '--force'])
  deepStrictEqual(countsOf(forced), { sent: 1 })
  await noteWhatWasSent(stream)
  await decideAll(t, stream, outputs)
  strictEqual(outputs.deadLetters.length, 2)
  const listed = await command(stream, ['list', '--json'])
  deepStrictEqual(
    listed.json().map(({ redrivenFrom }) => redrivenFrom),
    [null, `${topicName(stream.prefix, 'transactions')}/${HOME}/0`],
  )
  match((await command(stream, ['list'])).stdout, /redriven before, from 0/)
  const ends = await endsOf(stream)
  const again = await command(stream, ['redrive', '--yes', '--json', '--force'])
  deepStrictEqual(countsOf(again), { sent_before: 1, redriven_before: 1 })
  deepStrictEqual(await endsOf(stream), ends)
  deepStrictEqual(audit(stream, outputs), [])
})

test('a message with a card number is not sent again, not even by force', async (t) => {
  const { stream } = await streamWithLetters(t, 'letters-cards', ({ value }) =>
    /4111/.test(value.toString('latin1')),
  )
  const ends = await endsOf(stream)
  const forced = await command(stream, ['redrive', '--yes', '--json', '--force'])
  deepStrictEqual(countsOf(forced), { refused_again: 3 })
  deepStrictEqual(await endsOf(stream), ends)
})

test('what retention has taken is said, and the rest is sent', async (t) => {
  const { stream } = await streamWithLetters(
    t,
    'letters-gone',
    ({ reason }) => reason === 'wrong_partition' || reason === 'unknown_currency',
  )
  await stream.admin.deleteTopicRecords({
    topic: topicName(stream.prefix, 'transactions'),
    partitions: [{ partition: HOME, offset: '1' }],
  })
  const shown = await command(stream, ['show', `transactions/${HOME}/0`, '--payload'])
  match(shown.stdout, /no longer in its topic/)
  const sent = await command(stream, ['redrive', '--yes', '--json', '--force'])
  deepStrictEqual(countsOf(sent), { gone: 1, sent: 1 })
  match(sent.stderr, /1 {2}no longer in its topic/)
})

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

test('where retention may have taken the mark of an earlier redrive, nothing is sent', async (t) => {
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

test('a label in the wrong partition goes to the one of its card, once', async (t) => {
  const stream = await openStream(t, 'letters-labels')
  const outputs = followOutputs(t, stream)
  const label = { ...fullLabel, card: STRANGER }
  await stream.sendRaw('labels', HOME, [{ value: stream.codecs.label.encode(label) }])
  const scorer = await startScorer(t, stream.environment())
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

test('of two operators who confirm the same plan, one sends it', async (t) => {
  const { stream } = await streamWithLetters(
    t,
    'letters-operators',
    ({ reason }) => reason === 'wrong_partition',
  )
  const signal = new AbortController().signal
  let inner = 0
  const outer = await redrive(
    optionsFor(stream, {
      // While the first one reads its plan, the second one sends.
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
  const marked = (await messagesOf(stream)).filter(({ redrivenFrom }) => redrivenFrom !== null)
  strictEqual(marked.length, 1)
})

test('an operator who is overtaken while sending can send nothing more', async (t) => {
  const stream = await openStream(t, 'letters-fence')
  const topic = topicName(stream.prefix, 'transactions')
  const earlier = await openRedriveSender(stream.kafka, stream.admin, stream.prefix)
  await earlier.send(topic, [{ value: 'a', partition: 0 }])
  const later = await openRedriveSender(stream.kafka, stream.admin, stream.prefix)
  await rejects(earlier.send(topic, [{ value: 'never', partition: 0 }]), (error) => {
    ok(isSluiceError(error, 'SLUICE_COMMIT_UNKNOWN'))
    match(error.message, /Another redrive of this stream has begun/)
    return true
  })
  await later.send(topic, [{ value: 'b', partition: 0 }])
  // The control: the sender of another stream fences nobody.
  const stranger = await openRedriveSender(stream.kafka, stream.admin, `other-${stream.prefix}`)
  await later.send(topic, [{ value: 'c', partition: 0 }])
  deepStrictEqual(
    (await messagesOf(stream)).map(({ value }) => String(value)),
    ['a', 'b', 'c'],
  )
  for (const sender of [earlier, later, stranger]) await sender.close()
})

test('behind the open transaction of a stranger nothing is sent, and once it is over it is', async (t) => {
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
  const marked = (await messagesOf(stream)).filter(({ redrivenFrom }) => redrivenFrom !== null)
  strictEqual(marked.length, 1)
})
