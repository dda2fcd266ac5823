// Goal: messages of a process's partitions become visible together with their offsets or not at all, whoever is fenced
// and whichever answer is lost. Method: real transactions, read committed; a proxy that breaks connections.

import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleepMs } from 'node:timers/promises'
import { isSluiceError } from '../../services/core/errors.ts'
import { readToEnd } from '../../services/platform/kafka/committed-reader.ts'
import { kafkaRefusal } from '../../services/platform/kafka/kafka-failure.ts'
import type { LogWriter, OutgoingMessage } from '../../services/platform/kafka/log-client.ts'
import type { RequestKind, Purpose } from '../../services/platform/kafka/native/cluster.ts'
import type { Membership } from '../../services/platform/kafka/native/membership.ts'
import { splitOwner } from '../../services/platform/kafka/offset-owner.ts'
import { TransactionWriter } from '../../services/platform/kafka/native/transaction-writer.ts'
import { closeWith } from '../support/cleanup.ts'
import { DetouredCluster } from '../support/detoured-cluster.ts'
import { openKafkaProxy } from '../support/kafka-proxy.ts'
import { readAtLeast, readUntil } from '../support/poll.ts'
import { seededNumbers } from '../support/seeded-numbers.ts'
import { openStream, type TestStream } from '../support/streams.ts'

/** Offsets without a generation, which any group accepts. */
const NO_MEMBER: Membership = { memberId: '', generation: -1, instanceId: null }

type Send = () => Promise<unknown>

/** A cluster that records requests, and that a test can disturb. */
class DisturbedCluster extends DetouredCluster {
  readonly asked: string[] = []
  /** Completed requests. */
  readonly done: string[] = []
  readonly bodies: unknown[] = []
  isV1 = false
  disturb: (name: string, send: Send) => Promise<unknown> = (_name, send) => send()

  override async send<Body, Answer>(
    node: number,
    purpose: Purpose,
    kind: RequestKind<Body, Answer>,
    body: Body,
  ): Promise<Answer> {
    this.asked.push(kind.name)
    this.bodies.push(body)
    const send = (): Promise<Answer> => super.send(node, purpose, kind, body)
    const answer = (await this.disturb(kind.name, send)) as Answer
    if ((answer as { error?: string }).error === 'NONE') this.done.push(kind.name)
    return answer
  }

  override async hasTransactionsV2(): Promise<boolean> {
    return !this.isV1 && (await super.hasTransactionsV2())
  }

  count(name: string): number {
    return this.asked.filter((each) => each === name).length
  }

  countDone(name: string): number {
    return this.done.filter((each) => each === name).length
  }
}

/** Closed until a test opens it. */
class Gate {
  open!: () => void
  readonly opened = new Promise<void>((resolve) => {
    this.open = resolve
  })
}

interface Rig {
  readonly stream: TestStream
  readonly cluster: DisturbedCluster
  readonly writer: TransactionWriter
}

interface RigOptions {
  readonly membership?: () => Membership | null
  readonly patienceMs?: number
  readonly timeoutMs?: number
  readonly isV1?: boolean
}

function openWriter(t: TestContext, stream: TestStream, options: RigOptions = {}): Rig {
  const cluster = new DisturbedCluster({ brokers: stream.brokers }, 'sluice-test')
  cluster.isV1 = options.isV1 ?? false
  const writer = new TransactionWriter({
    cluster,
    groupId: stream.groupId,
    transactionalId: `${stream.prefix}process`,
    ownedTopic: `${stream.prefix}transactions`,
    membership: options.membership ?? (() => NO_MEMBER),
    patienceMs: options.patienceMs ?? 1,
    ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
  })
  closeWith(t, async () => {
    await writer.close()
    await cluster.close()
  })
  return { stream, cluster, writer }
}

async function openRig(t: TestContext, name: string, options: RigOptions = {}): Promise<Rig> {
  return openWriter(t, await openStream(t, name), options)
}

function message(stream: TestStream, topic: string, partition: number, text: string) {
  return { topic: stream.prefix + topic, partition, key: 'c', value: Buffer.from(text) }
}

/** One message to alerts and one to leases, and the offset of the input. */
function commit(
  writer: LogWriter,
  stream: TestStream,
  partition: number,
  text: string,
  offset: number,
): Promise<void> {
  const messages: OutgoingMessage[] = ['alerts', 'leases'].map((topic) =>
    message(stream, topic, partition, text),
  )
  const topic = `${stream.prefix}transactions`
  return writer.commit(messages, [{ topic, partition, offset, metadata: `after ${text}` }], true)
}

/** The committed content at this moment. */
async function readPublished({ brokers, prefix }: TestStream): Promise<readonly string[]> {
  const texts: string[] = []
  await readToEnd(
    {
      brokers,
      name: 'sluice-test-transactions',
      topics: [`${prefix}alerts`, `${prefix}leases`],
      startAt: 'beginning',
    },
    ({ topic, partition, messages }) => {
      for (const { value } of messages) {
        const text = value?.toString('latin1', 0, 20) ?? ''
        texts.push(`${topic.slice(prefix.length)}/${partition} ${text}`)
      }
    },
  )
  return texts.sort()
}

/** The same once there are this many messages: a commit is answered before its marker is written to every partition. */
function published(stream: TestStream, count: number): Promise<readonly string[]> {
  return readAtLeast(count, 'messages are published', () => readPublished(stream))
}

/** Committed offsets of the input; -1 for none. */
async function readOffsets({ admin, groupId, prefix }: TestStream) {
  const [topic] = await admin.fetchOffsets({ groupId, topics: [`${prefix}transactions`] })
  const partitions = (topic?.partitions ?? []).toSorted((a, b) => a.partition - b.partition)
  return partitions.map(({ offset, metadata }) => ({
    offset: Number(offset),
    ...splitOwner(metadata ?? null),
  }))
}

function offsetOf(stream: TestStream, partition: number, expected: number) {
  return readUntil(
    `${expected} is committed`,
    async () => (await readOffsets(stream))[partition],
    (found) => found?.offset === expected,
  )
}

const isUnknown = (error: unknown): boolean => isSluiceError(error, 'SLUICE_COMMIT_UNKNOWN')

function causeOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : null
  return cause instanceof Error && 'type' in cause ? String(cause.type) : String(cause)
}

const API_KEYS = {
  TxnOffsetCommit: 28,
  Produce: 0,
  EndTxn: 26,
  AddPartitionsToTxn: 24,
  AddOffsetsToTxn: 25,
} as const

const STEPS = {
  v1: ['AddPartitionsToTxn', 'AddOffsetsToTxn', 'TxnOffsetCommit', 'Produce', 'EndTxn'],
  v2: ['TxnOffsetCommit', 'Produce', 'EndTxn'],
} as const

for (const isV1 of [false, true]) {
  const version = isV1 ? 'transactions v1: ' : ''

  test(`${version}commits of several partitions are one transaction, visible with offsets and owner`, async (t) => {
    const { stream, cluster, writer } = await openRig(t, 'together', { isV1 })
    const partitions = await Promise.all([0, 1, 2].map(() => writer.openPartition()))
    strictEqual(cluster.countDone('InitProducerId'), 1)
    for (const round of [1, 2, 3]) {
      await Promise.all(
        partitions.map((partition, index) =>
          commit(partition, stream, index, `round ${round}`, 10 * round + index),
        ),
      )
    }
    strictEqual(cluster.countDone('EndTxn'), 3)
    const texts = await published(stream, 18)
    deepStrictEqual(
      texts,
      ['alerts', 'leases'].flatMap((topic) =>
        [0, 1, 2].flatMap((index) => [1, 2, 3].map((round) => `${topic}/${index} round ${round}`)),
      ),
    )
    await offsetOf(stream, 2, 32)
    const owner = `${stream.prefix}process`
    deepStrictEqual((await readOffsets(stream)).slice(0, 3), [
      { offset: 30, owner, metadata: 'after round 3' },
      { offset: 31, owner, metadata: 'after round 3' },
      { offset: 32, owner, metadata: 'after round 3' },
    ])
  })

  test(`${version}nothing is visible before the end of the transaction`, async (t) => {
    const { stream, cluster, writer } = await openRig(t, 'hidden', { isV1 })
    const partition = await writer.openPartition()
    const isEnding = new Gate()
    const mayEnd = new Gate()
    cluster.disturb = async (name, send) => {
      if (name !== 'EndTxn') return send()
      isEnding.open()
      await mayEnd.opened
      return send()
    }
    const committing = commit(partition, stream, 1, 'hidden', 5)
    await isEnding.opened
    deepStrictEqual(await readPublished(stream), [])
    strictEqual((await readOffsets(stream))[1]?.offset, -1)
    mayEnd.open()
    await committing
    deepStrictEqual(await published(stream, 2), ['alerts/1 hidden', 'leases/1 hidden'])
    await offsetOf(stream, 1, 5)
  })

  test(`${version}a second incarnation shuts out the first in the middle of a transaction`, async (t) => {
    const stream = await openStream(t, 'fenced')
    const first = openWriter(t, stream, { isV1 })
    const second = openWriter(t, stream, { isV1 })
    const early = await first.writer.openPartition()
    await commit(early, stream, 1, 'first', 3)
    const late: LogWriter[] = []
    first.cluster.disturb = async (name, send) => {
      if (name === 'EndTxn') late.push(await second.writer.openPartition())
      return send()
    }
    await rejects(commit(early, stream, 1, 'too late', 7), isUnknown)
    await rejects(commit(early, stream, 1, 'dead', 8), isUnknown)
    for (const writer of late) await commit(writer, stream, 1, 'second', 5)
    deepStrictEqual(await published(stream, 4), [
      'alerts/1 first',
      'alerts/1 second',
      'leases/1 first',
      'leases/1 second',
    ])
    await offsetOf(stream, 1, 5)
  })

  for (const step of STEPS[isV1 ? 'v1' : 'v2']) {
    for (const loss of ['request', 'answer'] as const) {
      test(`${version}a connection that breaks with the ${loss} of ${step} leaves all or nothing`, async (t) => {
        const { stream, cluster, writer } = await openRig(t, 'broken', { isV1 })
        const proxy = await openKafkaProxy(stream.brokers[0] ?? '')
        closeWith(t, () => proxy.close())
        cluster.detour = proxy
        const [a, b] = await Promise.all([writer.openPartition(), writer.openPartition()])
        await commit(a, stream, 0, 'before', 1)
        proxy.loseNext(API_KEYS[step], loss)
        await Promise.all([
          rejects(commit(a, stream, 0, 'unsure', 2), isUnknown),
          rejects(commit(b, stream, 1, 'unsure', 2), isUnknown),
        ])
        strictEqual(proxy.broken, 1)
        await rejects(commit(b, stream, 1, 'dead', 3), isUnknown)
        const again = await writer.openPartition()
        // After reopening the outcome is final: it is read once, without waiting.
        const offsets = (await readOffsets(stream)).map(({ offset }) => offset)
        const isCommitted = step === 'EndTxn' && loss === 'answer'
        deepStrictEqual(offsets.slice(0, 2), isCommitted ? [2, 2] : [1, -1])
        for (const [index, offset] of offsets.slice(0, 2).entries()) {
          if (offset !== 2) await commit(again, stream, index, 'unsure', 2)
        }
        deepStrictEqual(await published(stream, 6), [
          'alerts/0 before',
          'alerts/0 unsure',
          'alerts/1 unsure',
          'leases/0 before',
          'leases/0 unsure',
          'leases/1 unsure',
        ])
      })
    }
  }
}

for (const step of STEPS.v2) {
  test(`a broker that never answers ${step} holds up a commit for the transaction time-out, not longer`, async (t) => {
    const { stream, cluster, writer } = await openRig(t, 'silent', { timeoutMs: 500 })
    const proxy = await openKafkaProxy(stream.brokers[0] ?? '')
    closeWith(t, () => proxy.close())
    cluster.detour = proxy
    const partition = await writer.openPartition()
    await commit(partition, stream, 0, 'before', 1)
    proxy.swallow(API_KEYS[step])
    const beganMs = performance.now()
    await rejects(commit(partition, stream, 0, 'unsure', 2), isUnknown)
    ok(performance.now() - beganMs < 4_000)
    strictEqual(proxy.swallowed, 1)
    proxy.swallow(null)
    const again = await writer.openPartition()
    strictEqual((await readOffsets(stream))[0]?.offset, 1)
    await commit(again, stream, 0, 'after', 2)
    const texts = ['alerts', 'leases'].flatMap((topic) => [`${topic}/0 after`, `${topic}/0 before`])
    deepStrictEqual(await published(stream, 4), texts)
  })
}

/**
 * Commits 1 to `count` for each of three partitions while connections break repeatedly; returns the published messages.
 * After a failure a partition continues after the committed offset, or else commits the same again.
 */
async function commitThroughBreaks(t: TestContext, count: number, doesReadBack: boolean) {
  const { stream, cluster, writer } = await openRig(t, 'breaks')
  const proxy = await openKafkaProxy(stream.brokers[0] ?? '')
  closeWith(t, () => proxy.close())
  cluster.detour = proxy
  const numbers = seededNumbers(7)
  const random = (): number => numbers() / 2 ** 32
  let isDone = false
  const breaking = async (): Promise<void> => {
    while (!isDone) {
      const step = STEPS.v2[Math.floor(random() * STEPS.v2.length)] ?? 'EndTxn'
      proxy.loseNext(API_KEYS[step], random() < 0.5 ? 'request' : 'answer')
      await sleepMs(5 + 40 * random())
    }
  }
  const committing = async (partition: number): Promise<void> => {
    let output: LogWriter | null = null
    for (let next = 1; next <= count;) {
      try {
        if (output === null) {
          output = await writer.openPartition()
          if (doesReadBack)
            next = Math.max(0, (await readOffsets(stream))[partition]?.offset ?? 0) + 1
          continue
        }
        await commit(output, stream, partition, String(next).padStart(3, '0'), next)
        next += 1
      } catch {
        await output?.close()
        output = null
      }
    }
  }
  const broken = breaking()
  await Promise.all([0, 1, 2].map(committing))
  isDone = true
  await broken
  ok(proxy.broken > count / 10, `${proxy.broken} connections were broken`)
  t.diagnostic(`${proxy.broken} connections were broken`)
  // The last commit is visible last, whatever was published twice before.
  const places = ['alerts', 'leases'].flatMap((topic) => [0, 1, 2].map((p) => `${topic}/${p}`))
  const last = String(count).padStart(3, '0')
  return readUntil(
    'the last messages are published',
    () => readPublished(stream),
    (texts) => places.every((place) => texts.includes(`${place} ${last}`)),
  )
}

test('many broken connections leave everything once', async (t) => {
  const count = 100
  const numbers = Array.from({ length: count }, (_, index) => String(index + 1).padStart(3, '0'))
  const expected = ['alerts', 'leases'].flatMap((topic) =>
    [0, 1, 2].flatMap((partition) => numbers.map((number) => `${topic}/${partition} ${number}`)),
  )
  deepStrictEqual(await commitThroughBreaks(t, count, true), expected)
  // Control: treating an unknown outcome as a failure publishes twice.
  const control = await commitThroughBreaks(t, count, false)
  deepStrictEqual([...new Set(control)], expected)
  ok(control.length > expected.length)
})

test('a member of yesterday commits nothing', async (t) => {
  const stream = await openStream(t, 'yesterday')
  const topic = `${stream.prefix}transactions`
  const join = async (): Promise<string> => {
    const quick = { heartbeatInterval: 200, maxWaitTimeInMs: 100 }
    const consumer = stream.kafka.consumer({ groupId: stream.groupId, ...quick })
    closeWith(t, () => consumer.disconnect())
    const joined = new Promise<string>((resolve) => {
      consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
        resolve(payload.memberId)
      })
    })
    await consumer.connect()
    await consumer.subscribe({ topics: [topic] })
    await consumer.run({ autoCommit: false, eachMessage: () => Promise.resolve() })
    return joined
  }
  const memberId = await join()
  let membership: Membership = { memberId, generation: 1, instanceId: null }
  const { writer } = openWriter(t, stream, { membership: () => membership })
  const partition = await writer.openPartition()
  await commit(partition, stream, 1, 'today', 3)
  await join()
  // The membership is still that of the first generation, as in a process that was paused.
  await rejects(
    commit(partition, stream, 1, 'yesterday', 4),
    (error) => isUnknown(error) && causeOf(error) === 'ILLEGAL_GENERATION',
  )
  membership = { ...membership, memberId: 'nobody' }
  await rejects(
    commit(await writer.openPartition(), stream, 1, 'nobody', 4),
    (error) => isUnknown(error) && causeOf(error) === 'UNKNOWN_MEMBER_ID',
  )
  // Control: without a generation nobody is refused.
  membership = NO_MEMBER
  await commit(await writer.openPartition(), stream, 1, 'anybody', 5)
  deepStrictEqual(await published(stream, 4), [
    'alerts/1 anybody',
    'alerts/1 today',
    'leases/1 anybody',
    'leases/1 today',
  ])
  strictEqual((await offsetOf(stream, 1, 5))?.metadata, 'after anybody')
})

test('commits of an earlier generation, or of none, are not sent under a later one', async (t) => {
  let membership: Membership | null = null
  const { stream, cluster, writer } = await openRig(t, 'regrouped', {
    membership: () => membership,
  })
  const none = await writer.openPartition()
  membership = { ...NO_MEMBER, generation: -2 }
  const earlier = await writer.openPartition()
  membership = NO_MEMBER
  const later = await writer.openPartition()
  const isFenced = (error: unknown): boolean => isSluiceError(error, 'SLUICE_PARTITION_FENCED')
  await Promise.all([
    rejects(commit(none, stream, 0, 'none', 1), isFenced),
    rejects(commit(earlier, stream, 1, 'earlier', 1), isFenced),
    commit(later, stream, 2, 'later', 1),
  ])
  membership = null
  await rejects(commit(later, stream, 2, 'no member', 2), isFenced)
  strictEqual(cluster.count('TxnOffsetCommit'), 1)
  deepStrictEqual(await published(stream, 2), ['alerts/2 later', 'leases/2 later'])
})

test('a partition that gets more than a batch is written in several', async (t) => {
  const { stream, cluster, writer } = await openRig(t, 'large')
  const partition = await writer.openPartition()
  const large = (text: string, kilobytes: number): OutgoingMessage => ({
    ...message(stream, 'alerts', 0, ''),
    value: Buffer.alloc(kilobytes * 1_000, `${text} `),
  })
  const messages = [
    large('a', 400),
    large('b', 400),
    large('c', 400),
    large('d', 880),
    large('e', 10),
  ]
  const beside = message(stream, 'alerts', 1, 'beside')
  await partition.commit([...messages, beside], [], true)
  strictEqual(cluster.count('Produce'), 3)
  const texts = await published(stream, 6)
  deepStrictEqual(
    texts.map((text) => text.slice(0, 10)),
    ['alerts/0 a', 'alerts/0 b', 'alerts/0 c', 'alerts/0 d', 'alerts/0 e', 'alerts/1 b'],
  )
  // The sequences continue from here.
  await partition.commit([message(stream, 'alerts', 0, 'next')], [], true)
  strictEqual((await published(stream, 7)).length, 7)
})

test('answers that only ask for patience are asked again, with the same bytes', async (t) => {
  const { stream, cluster, writer } = await openRig(t, 'patient')
  const partition = await writer.openPartition()
  await commit(partition, stream, 1, 'first', 1)
  const topic = `${stream.prefix}alerts`
  const refuse = (error: string, message: string | null = null) =>
    ['alerts', 'leases'].map((name) => {
      return { topic: stream.prefix + name, partition: 1, error, message }
    })
  const answers: Record<string, unknown[]> = {
    TxnOffsetCommit: [
      { error: 'COORDINATOR_LOAD_IN_PROGRESS' },
      { error: 'NOT_COORDINATOR' },
      { error: 'CONCURRENT_TRANSACTIONS' },
    ],
    Produce: [
      refuse('NOT_LEADER_OR_FOLLOWER'),
      refuse('CONCURRENT_TRANSACTIONS'),
      refuse('NOT_ENOUGH_REPLICAS', 'Unable to verify the partition has been added.'),
    ],
    EndTxn: [{ error: 'COORDINATOR_NOT_AVAILABLE' }, { error: 'CONCURRENT_TRANSACTIONS' }],
  }
  cluster.disturb = (name, send) => {
    const answer = answers[name]?.shift()
    return answer === undefined ? send() : Promise.resolve(answer)
  }
  cluster.asked.length = 0
  cluster.bodies.length = 0
  await commit(partition, stream, 1, 'second', 2)
  ok(cluster.count('TxnOffsetCommit') >= 4 && cluster.count('EndTxn') >= 3)
  const produced = cluster.bodies.filter((_body, index) => cluster.asked[index] === 'Produce')
  strictEqual(produced.length, 4)
  const bytes = produced.map((body) =>
    (body as { batches: readonly { topic: string; batch: Buffer }[] }).batches
      .find((each) => each.topic === topic)
      ?.batch.toString('hex'),
  )
  strictEqual(new Set(bytes).size, 1)
  strictEqual((await published(stream, 4)).length, 4)
})

test('metadata that no broker would store fails its own commit only', async (t) => {
  const { stream, writer } = await openRig(t, 'metadata')
  const [a, b] = await Promise.all([writer.openPartition(), writer.openPartition()])
  const topic = `${stream.prefix}transactions`
  const offset = { topic, partition: 0, offset: 1, metadata: 'x'.repeat(4_096) }
  await Promise.all([
    rejects(a.commit([], [offset], true), /bytes of offset metadata/),
    commit(b, stream, 1, 'sound', 1),
  ])
  // A commit of offsets alone, and one of nothing at all.
  await a.commit([], [{ ...offset, metadata: null }], true)
  await a.commit([], [], true)
  strictEqual((await offsetOf(stream, 0, 1))?.metadata, null)
  deepStrictEqual(await published(stream, 2), ['alerts/1 sound', 'leases/1 sound'])
})

test('patience has an end', async (t) => {
  const timeoutMs = 300
  const { stream, cluster, writer } = await openRig(t, 'impatient', { timeoutMs })
  const places = ['alerts', 'leases'].map((name) => ({ topic: stream.prefix + name, partition: 1 }))
  const passing = { error: 'CONCURRENT_TRANSACTIONS', message: null }
  for (const step of STEPS.v2) {
    const partition = await writer.openPartition()
    const answer = step === 'Produce' ? places.map((place) => ({ ...place, ...passing })) : passing
    cluster.disturb = (name, send) => (name === step ? Promise.resolve(answer) : send())
    const beganMs = performance.now()
    await rejects(
      commit(partition, stream, 1, 'late', 1),
      (error) => isUnknown(error) && causeOf(error) === 'CONCURRENT_TRANSACTIONS',
    )
    ok(performance.now() - beganMs > timeoutMs)
    cluster.disturb = (_name, send) => send()
  }
  cluster.disturb = () => Promise.resolve(passing)
  await rejects(writer.fenceOwner(`${stream.prefix}gone`), { type: 'CONCURRENT_TRANSACTIONS' })
  cluster.disturb = (_name, send) => send()
  await commit(await writer.openPartition(), stream, 1, 'in time', 1)
  deepStrictEqual(await published(stream, 2), ['alerts/1 in time', 'leases/1 in time'])
})

test('a replica that is behind is no passing answer, nor is a missing right, which keeps its name', async (t) => {
  const { stream, cluster, writer } = await openRig(t, 'denied')
  for (const error of ['NOT_ENOUGH_REPLICAS', 'TOPIC_AUTHORIZATION_FAILED']) {
    const partition = await writer.openPartition()
    const place = { topic: `${stream.prefix}alerts`, partition: 1 }
    cluster.disturb = (name, send) =>
      name === 'Produce' ? Promise.resolve([{ ...place, error, message: 'no' }]) : send()
    const sent = partition.commit([message(stream, 'alerts', 1, 'denied')], [], true)
    await rejects(sent, (thrown) => isUnknown(thrown) && causeOf(thrown) === error)
    const refusal = await sent.catch((thrown: unknown) => kafkaRefusal(thrown))
    strictEqual(refusal?.code ?? null, error.startsWith('TOPIC') ? 'SLUICE_ACCESS_DENIED' : null)
  }
  cluster.disturb = () => Promise.resolve({ error: 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED' })
  const opened = writer.openPartition().catch((thrown: unknown) => kafkaRefusal(thrown))
  ok(isSluiceError(await opened, 'SLUICE_ACCESS_DENIED'))
  // Failed content is not kept.
  cluster.disturb = (_name, send) => send()
  await commit(await writer.openPartition(), stream, 1, 'allowed', 1)
})

test('commits wait for company, but not beyond the patience, and not with an urgent one', async (t) => {
  const patienceMs = 400
  const { stream, cluster, writer } = await openRig(t, 'company', { patienceMs })
  const partition = await writer.openPartition()
  const send = (text: string, isUrgent: boolean): Promise<void> =>
    partition.commit([message(stream, 'alerts', 1, text)], [], isUrgent)
  let begunMs = performance.now()
  await send('at once', false)
  ok(performance.now() - begunMs < patienceMs / 2)
  await Promise.all([send('waits', false), sleepMs(50).then(() => send('waits too', false))])
  ok(performance.now() - begunMs > patienceMs - 5)
  strictEqual(cluster.countDone('EndTxn'), 2)
  begunMs = performance.now()
  await Promise.all([send('taken along', false), sleepMs(20).then(() => send('urgent', true))])
  ok(performance.now() - begunMs < patienceMs / 2)
  strictEqual(cluster.countDone('EndTxn'), 3)
  strictEqual((await published(stream, 5)).length, 5)
})

test('a writer that is closed sends no more; others of its process go on', async (t) => {
  const { stream, writer } = await openRig(t, 'closing', { patienceMs: 200 })
  const [a, b] = await Promise.all([writer.openPartition(), writer.openPartition()])
  await commit(a, stream, 0, 'first', 1)
  const dropped = a.commit([message(stream, 'alerts', 0, 'dropped')], [], false)
  const kept = b.commit([message(stream, 'alerts', 1, 'kept')], [], false)
  await Promise.all([rejects(dropped, isUnknown), a.close()])
  await kept
  await rejects(commit(a, stream, 0, 'closed', 2), isUnknown)
  const last = commit(b, stream, 1, 'last', 2)
  await sleepMs(20)
  await writer.close()
  await last
  await rejects(commit(b, stream, 1, 'closed', 3), isUnknown)
  await rejects(writer.openPartition())
  deepStrictEqual(await published(stream, 5), [
    'alerts/0 first',
    'alerts/1 kept',
    'alerts/1 last',
    'leases/0 first',
    'leases/1 last',
  ])
})

test('the transaction that a dead owner has left open is ended by another process', async (t) => {
  const stream = await openStream(t, 'owner')
  const dead = openWriter(t, stream)
  const partition = await dead.writer.openPartition()
  const isOpen = new Gate()
  const isOver = new Gate()
  dead.cluster.disturb = async (name, send) => {
    if (name !== 'EndTxn') return send()
    isOpen.open()
    await isOver.opened
    throw new Error('Connection closed')
  }
  const left = commit(partition, stream, 1, 'left open', 5)
  left.catch(() => undefined)
  await isOpen.opened
  const cluster = new DisturbedCluster({ brokers: stream.brokers }, 'sluice-test')
  const other = new TransactionWriter({
    cluster,
    groupId: stream.groupId,
    transactionalId: `${stream.prefix}other`,
    ownedTopic: `${stream.prefix}transactions`,
    membership: () => NO_MEMBER,
  })
  closeWith(t, async () => {
    await other.close()
    await cluster.close()
  })
  const beganMs = performance.now()
  await other.fenceOwner(`${stream.prefix}process`)
  t.diagnostic(`fenced after ${(performance.now() - beganMs).toFixed(0)} ms`)
  await commit(await other.openPartition(), stream, 1, 'other', 5)
  // No open transaction in front of it hides it.
  deepStrictEqual(await published(stream, 2), ['alerts/1 other', 'leases/1 other'])
  strictEqual((await offsetOf(stream, 1, 5))?.owner, `${stream.prefix}other`)
  isOver.open()
  await rejects(left, isUnknown)
})
