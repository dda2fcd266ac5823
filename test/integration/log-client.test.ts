// Goal: both clients of the log behave alike through the interfaces of log-client.ts. Method: one suite, run against
// each on a real broker. KAFKAJS_LIMITS lists the abilities that kafkajs lacks, and so does docs/kafka.md.

import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleepMs } from 'node:timers/promises'
import { isSluiceError } from '../../services/core/errors.ts'
import { openKafkajsLogClient } from '../../services/platform/kafka/kafkajs-log-client.ts'
import type {
  FetchedRecords,
  InputOffset,
  LogClient,
  LogClientOptions,
  LogFault,
  LogRecord,
} from '../../services/platform/kafka/log-client.ts'
import { openNativeLogClient } from '../../services/platform/kafka/native/native-log-client.ts'
import { readToEnd } from '../../services/platform/kafka/committed-reader.ts'
import { makeTopics } from '../../services/platform/kafka/topics.ts'
import { openLogger } from '../../services/platform/log.ts'
import { closeWith } from '../support/cleanup.ts'
import { emptyRecords, HEADERS_8000, sendBatch } from '../support/hostile-records.ts'
import { eventually, readAtLeast, readUntil } from '../support/poll.ts'
import { openStream, type TestStream } from '../support/streams.ts'
import { openTransactionalProducer } from '../support/transactions.ts'

type ClientName = 'native' | 'kafkajs'

/** Abilities that a test needs and kafkajs 2.2.4 lacks. */
const KAFKAJS_LIMITS = {
  headers: 'kafkajs reads the headers of a record in quadratic time',
  records: 'kafkajs ends the process for a batch of more than 125,000 records',
  stable: 'kafkajs does not tell the last stable offset',
  aborted: 'kafkajs takes aborted transactions in the order in which they ended',
  recreated: 'kafkajs reads a topic that was created again on from its old offset',
} as const

/** Settings of a topic whose older segments are compacted at the next run of the cleaner. */
const COMPACTED_AT_ONCE = [
  { name: 'cleanup.policy', value: 'compact' },
  { name: 'segment.ms', value: '100' },
  { name: 'min.cleanable.dirty.ratio', value: '0.01' },
]

interface Opened {
  readonly client: LogClient
  readonly records: Map<string, LogRecord[]>
  readonly fetched: FetchedRecords[]
  readonly faults: {
    readonly topic: string
    readonly partition: number
    readonly fault: LogFault
  }[]
  readonly assigned: number[][]
}

const OPEN: Readonly<
  Record<ClientName, (options: LogClientOptions) => LogClient | Promise<LogClient>>
> = { native: openNativeLogClient, kafkajs: openKafkajsLogClient }

async function open(
  t: TestContext,
  name: ClientName,
  stream: TestStream,
  instanceId: string | null = null,
): Promise<Opened> {
  const records = new Map<string, LogRecord[]>()
  const fetched: FetchedRecords[] = []
  const faults: Opened['faults'] = []
  const client = await OPEN[name]({
    connection: { brokers: stream.brokers },
    log: openLogger('log-client-test', 'error', 'json'),
    groupId: stream.groupId,
    topics: [`${stream.prefix}transactions`, `${stream.prefix}labels`],
    sessionTimeoutMs: 6_000,
    instanceId,
    clientId: 'sluice-test',
    transactionalIdPrefix: `${stream.prefix}member-`,
    onRecords: (of) => {
      fetched.push(of)
      const key = `${of.topic.slice(stream.prefix.length)}/${of.partition}`
      records.set(key, [...(records.get(key) ?? []), ...of.records])
    },
    onFault: (topic, partition, fault) => {
      faults.push({ topic: topic.slice(stream.prefix.length), partition, fault })
    },
  })
  const assigned: number[][] = []
  await client.group.join({
    onAssigned: (partitions) => {
      assigned.push([...partitions])
    },
    onRevoked: () => Promise.resolve(),
  })
  closeWith(t, async () => {
    await client.group.leave()
    await client.close()
  })
  return { client, records, fetched, faults, assigned }
}

/** Sends texts to partition 0 of transactions. */
function send(stream: TestStream, texts: readonly string[]): Promise<void> {
  const messages = texts.map((value) => ({ key: 'c', value, headers: { h: value } }))
  return stream.sendRaw('transactions', 0, messages)
}

function startReading({ client }: Opened, stream: TestStream, offset: number): void {
  client.reader.seek(`${stream.prefix}transactions`, 0, offset)
  client.reader.resume(`${stream.prefix}transactions`, 0)
}

const textsOf = (opened: Opened, key = 'transactions/0'): readonly string[] =>
  (opened.records.get(key) ?? []).map(({ value }) => value?.toString() ?? '')

const numbered = (count: number, word = 'm'): readonly string[] =>
  Array.from({ length: count }, (_, index) => `${word}${index}`)

for (const name of ['native', 'kafkajs'] as const) {
  test(`${name}: reads from an offset on, in order, with keys, headers and times`, async (t) => {
    const stream = await openStream(t, 'log-read')
    const opened = await open(t, name, stream)
    deepStrictEqual(opened.assigned.at(-1), [0, 1, 2, 3])
    await send(stream, numbered(5))
    startReading(opened, stream, 2)
    await readAtLeast(3, 'records are read', () => Promise.resolve(textsOf(opened)))
    await send(stream, ['later'])
    await readAtLeast(4, 'a later record is read', () => Promise.resolve(textsOf(opened)))
    deepStrictEqual(textsOf(opened), ['m2', 'm3', 'm4', 'later'])
    const [first] = opened.records.get('transactions/0') ?? []
    deepStrictEqual(
      [first?.offset, first?.key?.toString(), String(first?.headers?.['h']), first?.refused],
      [2, 'c', 'm2', null],
    )
    ok(Math.abs((first?.timestampMs ?? 0) - Date.now()) < 600_000)
  })

  test(`${name}: a paused partition brings nothing, and loses nothing`, async (t) => {
    const stream = await openStream(t, 'log-pause')
    const opened = await open(t, name, stream)
    const topic = `${stream.prefix}transactions`
    startReading(opened, stream, 0)
    await send(stream, ['a'])
    await readAtLeast(1, 'a is read', () => Promise.resolve(textsOf(opened)))
    opened.client.reader.pause(topic, 0)
    // A running fetch may still bring records sent now.
    const seen = await settledCount(opened)
    await send(stream, ['b', 'c'])
    await settledCount(opened)
    ok(textsOf(opened).length <= seen + 2)
    opened.client.reader.resume(topic, 0)
    await readAtLeast(3, 'all are read', () => Promise.resolve(textsOf(opened)))
    deepStrictEqual(textsOf(opened), ['a', 'b', 'c'])
  })

  test(`${name}: a seek reads again from there, and nothing of before comes after it`, async (t) => {
    const stream = await openStream(t, 'log-seek')
    const opened = await open(t, name, stream)
    await send(stream, numbered(4))
    startReading(opened, stream, 0)
    await readAtLeast(4, 'all are read', () => Promise.resolve(textsOf(opened)))
    opened.records.clear()
    startReading(opened, stream, 1)
    await readAtLeast(3, 'three are read again', () => Promise.resolve(textsOf(opened)))
    deepStrictEqual(textsOf(opened), ['m1', 'm2', 'm3'])
  })

  test(`${name}: reads what is committed, and tells how far it is past what is not`, async (t) => {
    const stream = await openStream(t, 'log-committed')
    const opened = await open(t, name, stream)
    const producer = await openTransactionalProducer(t, stream)
    startReading(opened, stream, 0)
    for (const [text, isCommitted] of [
      ['kept', true],
      ['dropped', false],
      ['kept too', true],
    ] as const) {
      const transaction = await producer.begin(text)
      await (isCommitted ? transaction.commit() : transaction.abort())
    }
    await readAtLeast(2, 'the committed are read', () => Promise.resolve(textsOf(opened)))
    // Three records, and the control record of each transaction.
    await seen('all is fetched', () =>
      opened.fetched.some(({ nextOffset, partition }) => partition === 0 && nextOffset === 6),
    )
    deepStrictEqual(textsOf(opened), ['kept', 'kept too'])
  })

  test(`${name}: an offset that retention has taken is a fault, and nothing is skipped`, async (t) => {
    const stream = await openStream(t, 'log-gone')
    const opened = await open(t, name, stream)
    await send(stream, numbered(5))
    const topic = `${stream.prefix}transactions`
    await stream.admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '3' }] })
    startReading(opened, stream, 1)
    await seen('the fault is told', () => opened.faults.length > 0)
    const fault = 'offset_out_of_range'
    deepStrictEqual(opened.faults, [{ topic: 'transactions', partition: 0, fault }])
    deepStrictEqual(textsOf(opened), [])
  })

  test(`${name}: the last committed record of a partition is found behind what was aborted`, async (t) => {
    const stream = await openStream(t, 'log-last')
    const { client } = await open(t, name, stream)
    const topic = `${stream.prefix}transactions`
    const lastOf = async (partition = 0) => {
      const last = await client.readLast(topic, partition)
      return last && [last.offset, last.value?.toString()]
    }
    deepStrictEqual(await lastOf(), null)
    await send(stream, numbered(3))
    deepStrictEqual(await lastOf(), [2, 'm2'])
    const producer = await openTransactionalProducer(t, stream)
    const inTransaction = async (text: string, isCommitted: boolean) => {
      const transaction = await producer.begin(text)
      await (isCommitted ? transaction.commit() : transaction.abort())
    }
    await inTransaction('kept', true)
    // More than the first step of the search covers: each is a record and a control record.
    for (let count = 0; count < 20; count += 1) await inTransaction('dropped', false)
    deepStrictEqual(await lastOf(), [3, 'kept'])
    deepStrictEqual(await lastOf(1), null)
    await stream.admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '4' }] })
    deepStrictEqual(await lastOf(), null, 'retention has taken it')
  })

  test(`${name}: the ends of a partition are those of its committed records`, async (t) => {
    const stream = await openStream(t, 'log-ends')
    const { client } = await open(t, name, stream)
    const topic = `${stream.prefix}transactions`
    deepStrictEqual(await client.readEnds(topic, 0), { low: 0, high: 0 })
    await send(stream, numbered(5))
    await stream.admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '2' }] })
    const producer = await openTransactionalProducer(t, stream)
    const transaction = await producer.begin('open')
    deepStrictEqual(await client.readEnds(topic, 0), { low: 2, high: 5 })
    await transaction.abort()
  })

  test(
    `${name}: the last record waits for a transaction that is open`,
    { skip: name === 'kafkajs' ? KAFKAJS_LIMITS.stable : false },
    async (t) => {
      const stream = await openStream(t, 'log-last-open')
      const { client } = await open(t, name, stream)
      const topic = `${stream.prefix}transactions`
      await send(stream, ['before'])
      const producer = await openTransactionalProducer(t, stream)
      const transaction = await producer.begin('open')
      const reading = client.readLast(topic, 0)
      const first = await Promise.race([reading, sleepMs(300, 'still waiting')])
      strictEqual(first, 'still waiting')
      await transaction.commit()
      strictEqual((await reading)?.value?.toString(), 'open')
    },
  )

  test(`${name}: a range is read in order, without what lies outside of it`, async (t) => {
    const stream = await openStream(t, 'log-range')
    const opened = await open(t, name, stream)
    await send(stream, numbered(6))
    deepStrictEqual(await rangeTexts(opened, stream, 1, 4), ['m1', 'm2', 'm3'])
    deepStrictEqual(await rangeTexts(opened, stream, 0, 6), numbered(6))
    deepStrictEqual(await rangeTexts(opened, stream, 3, 3), [])
    deepStrictEqual(await rangeTexts(opened, stream, 6, 6), [])
    const records: LogRecord[] = []
    await readRange(opened, stream, [2, 3], (of) => {
      records.push(...of)
    })
    const [record] = records
    deepStrictEqual(
      [record?.offset, record?.key?.toString(), String(record?.headers?.['h']), record?.refused],
      [2, 'c', 'm2', null],
    )
    deepStrictEqual(opened.fetched, [], 'nothing of it comes to who follows the partition')
  })

  test(`${name}: a range is handed over one call at a time, as fast as its reader takes it`, async (t) => {
    const stream = await openStream(t, 'log-range-slow')
    const opened = await open(t, name, stream)
    // Two requests, so that there is more than one batch to pass on.
    await send(stream, numbered(3_000))
    await send(stream, numbered(3_000, 'n'))
    let running = 0
    let runningMax = 0
    const offsets: number[] = []
    await readRange(opened, stream, [0, 6_000], async (records) => {
      running += 1
      runningMax = Math.max(runningMax, running)
      await sleepMs(20)
      offsets.push(...records.map(({ offset }) => offset))
      running -= 1
    })
    strictEqual(runningMax, 1)
    deepStrictEqual(
      offsets,
      Array.from({ length: 6_000 }, (_, index) => index),
    )
  })

  test(`${name}: a range holds committed records only, and may end in control records`, async (t) => {
    const stream = await openStream(t, 'log-range-ends')
    const opened = await open(t, name, stream)
    const producer = await openTransactionalProducer(t, stream)
    // Offsets 0 and 1, 2 and 3, 4 and 5: a record and the control record of each.
    await (await producer.begin('kept')).commit()
    await (await producer.begin('dropped')).abort()
    await (await producer.begin('kept too')).commit()
    deepStrictEqual(await rangeTexts(opened, stream, 0, 6), ['kept', 'kept too'])
    deepStrictEqual(await rangeTexts(opened, stream, 0, 4), ['kept'])
    deepStrictEqual(await rangeTexts(opened, stream, 1, 2), [])
    deepStrictEqual(await rangeTexts(opened, stream, 2, 3), [])
    deepStrictEqual(await rangeTexts(opened, stream, 5, 6), [])
  })

  test(
    `${name}: transactions that overlap and were aborted are no part of a range`,
    { skip: name === 'kafkajs' ? KAFKAJS_LIMITS.aborted : false },
    async (t) => {
      const stream = await openStream(t, 'log-range-aborted')
      const opened = await open(t, name, stream)
      const producers = await Promise.all(
        ['first', 'second', 'third'].map((id) => openTransactionalProducer(t, stream, id)),
      )
      const transactions = []
      for (const [index, producer] of producers.entries()) {
        transactions.push(await producer.begin(`m${index}`))
      }
      const [first, second, third] = transactions
      // The last one to begin ends first; the second one is committed in between.
      await third?.abort()
      await send(stream, ['plain'])
      await second?.commit()
      await first?.abort()
      await send(stream, ['last'])
      // Five records and the markers of three transactions, which a broker may write after its answer.
      const to = 8
      deepStrictEqual(await rangeTexts(opened, stream, 0, to), ['m1', 'plain', 'last'])
      deepStrictEqual(await rangeTexts(opened, stream, 2, to), ['plain', 'last'])
    },
  )

  test(`${name}: a range waits for a transaction that is open within it`, async (t) => {
    const stream = await openStream(t, 'log-range-open')
    const opened = await open(t, name, stream)
    await send(stream, ['before'])
    const producer = await openTransactionalProducer(t, stream)
    const transaction = await producer.begin('open')
    const reading = rangeTexts(opened, stream, 0, 2)
    strictEqual(await Promise.race([reading, sleepMs(300, 'still waiting')]), 'still waiting')
    await transaction.commit()
    deepStrictEqual(await reading, ['before', 'open'])
  })

  test(`${name}: the reading of a range ends when it is aborted, and no call follows`, async (t) => {
    const stream = await openStream(t, 'log-range-abort')
    const opened = await open(t, name, stream)
    await send(stream, numbered(10))
    const aborted = new AbortController()
    aborted.abort(new Error('given up'))
    await rejects(
      readRange(opened, stream, [0, 10], () => undefined, aborted.signal),
      /given up/,
    )
    const waiting = new AbortController()
    // No record arrives at offset 10.
    const reading = readRange(opened, stream, [10, 11], () => undefined, waiting.signal)
    setTimeout(() => {
      waiting.abort(new Error('given up'))
    }, 200)
    await rejects(reading, /given up/)
    const within = new AbortController()
    let hasEnded = false
    const slow = readRange(
      opened,
      stream,
      [0, 11],
      async () => {
        within.abort(new Error('given up'))
        await sleepMs(100)
        hasEnded = true
      },
      within.signal,
    )
    await rejects(slow, /given up/)
    ok(hasEnded, 'the call that ran was waited for')
    await rejects(
      readRange(opened, stream, [0, 10], () => Promise.reject(new Error('cannot take it'))),
      /cannot take it/,
    )
  })

  test(`${name}: a range that the log does not hold is refused`, async (t) => {
    const stream = await openStream(t, 'log-range-gone')
    const opened = await open(t, name, stream)
    await send(stream, numbered(5))
    const topic = `${stream.prefix}transactions`
    await stream.admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '3' }] })
    const isOutOfRange = (error: unknown): boolean =>
      isSluiceError(error, 'SLUICE_PARTITION_OFFSET_OUT_OF_RANGE')
    await rejects(rangeTexts(opened, stream, 1, 5), isOutOfRange)
    await rejects(rangeTexts(opened, stream, 7, 9), isOutOfRange)
    deepStrictEqual(await rangeTexts(opened, stream, 3, 5), ['m3', 'm4'])
  })

  test(`${name}: messages and offsets of a commit are there together, for each partition`, async (t) => {
    const stream = await openStream(t, 'log-commit')
    const { client } = await open(t, name, stream)
    const writers = await Promise.all([0, 1].map((partition) => client.openWriter(partition)))
    await Promise.all(writers.map((writer, partition) => commit(writer, stream, partition, 3)))
    await Promise.all(writers.map((writer, partition) => commit(writer, stream, partition, 7)))
    deepStrictEqual(await published(stream, 4), [
      'alerts/0 after 3',
      'alerts/0 after 7',
      'alerts/1 after 3',
      'alerts/1 after 7',
    ])
    const topic = `${stream.prefix}transactions`
    deepStrictEqual(
      await Promise.all([0, 1, 2].map((partition) => client.group.readCommitted(topic, partition))),
      [{ offset: 7, metadata: 'metadata of 7' }, { offset: 7, metadata: 'metadata of 7' }, null],
    )
  })

  test(`${name}: a new owner shuts out the one before, whose commits then change nothing`, async (t) => {
    const stream = await openStream(t, 'log-fence')
    const before = await open(t, name, stream)
    const old = await before.client.openWriter(1)
    await commit(old, stream, 1, 3)
    // The first owner leaves the group without ending its work, as a paused process does.
    await before.client.group.leave()
    const after = await open(t, name, stream)
    const writer = await after.client.openWriter(1)
    const isRefused = (error: unknown): boolean =>
      isSluiceError(error, 'SLUICE_COMMIT_UNKNOWN') ||
      isSluiceError(error, 'SLUICE_PARTITION_FENCED')
    await rejects(commit(old, stream, 1, 5), isRefused)
    await commit(writer, stream, 1, 4)
    deepStrictEqual(await published(stream, 2), ['alerts/1 after 3', 'alerts/1 after 4'])
  })

  test(`${name}: two members share the partitions, the same ones of both topics`, async (t) => {
    const stream = await openStream(t, 'log-group')
    const first = await open(t, name, stream)
    const second = await open(t, name, stream)
    const both = (): readonly number[] =>
      [...(first.assigned.at(-1) ?? []), ...(second.assigned.at(-1) ?? [])].toSorted()
    await seen('both have partitions', () => first.assigned.at(-1)?.length === 2)
    deepStrictEqual(both(), [0, 1, 2, 3])
    await second.client.group.leave()
    await seen('the first has all', () => first.assigned.at(-1)?.length === 4)
  })

  test(
    `${name}: a record with 8,000 headers is refused, and the ones after it are read`,
    { skip: name === 'kafkajs' ? KAFKAJS_LIMITS.headers : false },
    async (t) => {
      const stream = await openStream(t, 'log-headers')
      const opened = await open(t, name, stream)
      await stream.sendRaw('transactions', 0, [{ key: 'c', value: 'sound', headers: HEADERS_8000 }])
      await send(stream, ['after'])
      startReading(opened, stream, 0)
      await readAtLeast(2, 'both are there', () => Promise.resolve(textsOf(opened)))
      const [refused, after] = opened.records.get('transactions/0') ?? []
      deepStrictEqual([refused?.refused, refused?.value, after?.refused], ['too_large', null, null])
    },
  )

  test(
    `${name}: a batch of 130,000 small records is read in pieces`,
    { skip: name === 'kafkajs' ? KAFKAJS_LIMITS.records : false },
    async (t) => {
      const stream = await openStream(t, 'log-records')
      const opened = await open(t, name, stream)
      const count = 130_000
      await sendBatch(stream, 0, emptyRecords(count))
      startReading(opened, stream, 0)
      await seen('all are read', () => opened.records.get('transactions/0')?.length === count)
      ok(Math.max(...opened.fetched.map(({ records }) => records.length)) <= 2_048)
      strictEqual(opened.fetched.at(-1)?.nextOffset, count)
    },
  )

  test(
    `${name}: a topic that was created again is a fault`,
    { skip: name === 'kafkajs' ? KAFKAJS_LIMITS.recreated : false },
    async (t) => {
      const stream = await openStream(t, 'log-recreated')
      const opened = await open(t, name, stream)
      const topic = `${stream.prefix}transactions`
      await send(stream, numbered(3))
      startReading(opened, stream, 0)
      await readAtLeast(3, 'all are read', () => Promise.resolve(textsOf(opened)))
      await stream.admin.deleteTopics({ topics: [topic] })
      await makeTopics(stream.admin, [{ topic, numPartitions: 4 }])
      await seen('the fault is told', () => opened.faults.length > 0)
      const fault = 'topic_recreated'
      deepStrictEqual(opened.faults, [{ topic: 'transactions', partition: 0, fault }])
    },
  )
}

// One test for both clients, since the broker's cleaner runs only every 15 s.
test('both: a range is read over the gaps of compaction, also where they end it', async (t) => {
  const stream = await openStream(t, 'log-range-compacted')
  const native = await open(t, 'native', stream)
  const kafkajs = await open(t, 'kafkajs', await openStream(t, 'log-range-compacted-2'))
  const topic = `${stream.prefix}compacted`
  await makeTopics(stream.admin, [{ topic, numPartitions: 1, configEntries: COMPACTED_AT_ONCE }])
  const producer = stream.kafka.producer({ allowAutoTopicCreation: false })
  await producer.connect()
  closeWith(t, () => producer.disconnect())
  const put = (keys: readonly string[]) => {
    const messages = keys.map((key, index) => ({ key, value: `${key}${index}`, partition: 0 }))
    return producer.send({ topic, messages })
  }
  const read = async ({ client }: Opened): Promise<readonly string[]> => {
    const found: string[] = []
    const range = { topic, partition: 0, from: 0, to: 6 }
    const onRecords = (records: readonly LogRecord[]) => {
      found.push(...records.map(({ offset, value }) => `${offset} ${value?.toString() ?? ''}`))
      return Promise.resolve()
    }
    await client.readRange(range, onRecords, null)
    return found
  }
  await put(['a', 'b', 'a', 'c', 'b', 'c'])
  deepStrictEqual(await read(native), ['0 a0', '1 b1', '2 a2', '3 c3', '4 b4', '5 c5'])
  await put(['c'])
  await eventually('the topic is compacted', async () => {
    // The cleaner skips the newest segment: each of these messages starts one.
    await put(['later'])
    await sleepMs(500)
    return (await read(native)).length < 6
  })
  for (const opened of [native, kafkajs]) deepStrictEqual(await read(opened), ['2 a2', '4 b4'])
})

/** Reads a range of partition 0 of transactions. */
function readRange(
  { client }: Opened,
  stream: TestStream,
  [from, to]: readonly [number, number],
  onRecords: (records: readonly LogRecord[]) => void | Promise<void>,
  signal: AbortSignal | null = null,
): Promise<void> {
  const range = { topic: `${stream.prefix}transactions`, partition: 0, from, to }
  return client.readRange(
    range,
    async (records) => {
      await onRecords(records)
    },
    signal,
  )
}

async function rangeTexts(
  opened: Opened,
  stream: TestStream,
  from: number,
  to: number,
): Promise<readonly string[]> {
  const texts: string[] = []
  await readRange(opened, stream, [from, to], (records) => {
    texts.push(...records.map(({ value }) => value?.toString() ?? ''))
  })
  return texts
}

/** Waits until something has happened in this process. */
function seen(what: string, hasHappened: () => boolean): Promise<void> {
  return eventually(what, () => Promise.resolve(hasHappened()))
}

/** The number of records read once no more arrive. */
async function settledCount(opened: Opened): Promise<number> {
  let count = -1
  while (count !== textsOf(opened).length) {
    count = textsOf(opened).length
    await new Promise((resolve) => setTimeout(resolve, 300))
  }
  return count
}

function commit(
  writer: Awaited<ReturnType<LogClient['openWriter']>>,
  stream: TestStream,
  partition: number,
  offset: number,
): Promise<void> {
  const offsets: InputOffset[] = [
    { topic: `${stream.prefix}transactions`, partition, offset, metadata: `metadata of ${offset}` },
  ]
  const value = Buffer.from(`after ${offset}`)
  return writer.commit(
    [{ topic: `${stream.prefix}alerts`, partition, key: 'c', value }],
    offsets,
    true,
  )
}

/** The committed content of alerts, once there are this many messages. */
function published(stream: TestStream, count: number): Promise<readonly string[]> {
  return readUntil(
    'alerts are published',
    async () => {
      const texts: string[] = []
      await readToEnd(
        {
          brokers: stream.brokers,
          name: 'sluice-test-log',
          topics: [`${stream.prefix}alerts`],
          startAt: 'beginning',
        },
        ({ partition, messages }) => {
          for (const { value } of messages)
            texts.push(`alerts/${partition} ${value?.toString() ?? ''}`)
        },
      )
      return texts.sort()
    },
    (texts) => texts.length >= count,
  )
}
