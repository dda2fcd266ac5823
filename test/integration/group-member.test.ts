// Goal: members of a group share partitions, hand them over, and read offsets that no open transaction can change.
// Method: members of the native client in their own groups on a real broker; kafkajs creates topics and transactions.

import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test, type TestContext } from 'node:test'
import { setTimeout as sleepMs } from 'node:timers/promises'
import { type Admin, Kafka, logLevel } from 'kafkajs'
import { isSluiceError } from '../../services/core/errors.ts'
import { GroupMember } from '../../services/platform/kafka/native/group-member.ts'
import { KafkaAnswerError } from '../../services/platform/kafka/native/kafka-errors.ts'
import { makeTopics } from '../../services/platform/kafka/topics.ts'
import { openLogger } from '../../services/platform/log.ts'
import { DetouredCluster } from '../support/detoured-cluster.ts'
import { openKafkaProxy } from '../support/kafka-proxy.ts'
import { eventually } from '../support/poll.ts'

const brokersText = process.env['SLUICE_KAFKA_BROKERS'] ?? ''
if (brokersText === '') {
  throw new Error('SLUICE_KAFKA_BROKERS is not set; run this suite with npm run test:integration.')
}
const brokers = brokersText.split(',')
const SESSION_MS = 6_000
const PARTITIONS = 4
const OFFSET_FETCH_KEY = 9

const kafka = new Kafka({ brokers, logLevel: logLevel.NOTHING })
let admin: Admin
const prefix = `group-member-${randomUUID()}`
const topics = [`${prefix}-a`, `${prefix}-b`]
const otherTopics = [`${prefix}-c`]

before(async () => {
  admin = kafka.admin()
  await admin.connect()
  const all = [...topics, ...otherTopics]
  await makeTopics(
    admin,
    all.map((topic) => ({ topic, numPartitions: PARTITIONS })),
  )
})
after(async () => {
  await admin.deleteTopics({ topics: [...topics, ...otherTopics] })
  await admin.disconnect()
})

interface MemberOfTest {
  readonly member: GroupMember
  readonly cluster: DetouredCluster
  /** Null while partitions are revoked. */
  readonly held: () => readonly number[] | null
  readonly join: () => Promise<void>
}

function openMember(
  t: TestContext,
  groupId: string,
  name: string,
  options: { instanceId?: string; topics?: readonly string[]; revocationMs?: number } = {},
): MemberOfTest {
  const { instanceId = null, revocationMs = 0 } = options
  const cluster = new DetouredCluster({ brokers }, name)
  const member = new GroupMember({
    cluster,
    log: openLogger('test', 'silent'),
    groupId,
    topics: options.topics ?? topics,
    instanceId,
    sessionTimeoutMs: SESSION_MS,
    rebalanceTimeoutMs: 10_000,
    memberData: name,
  })
  let held: readonly number[] | null = null
  t.after(async () => {
    await member.leave()
    await cluster.close()
  })
  return {
    member,
    cluster,
    held: () => held,
    join: () =>
      member.join({
        onAssigned: (partitions) => {
          held = partitions
        },
        onRevoked: async () => {
          await sleepMs(revocationMs)
          held = null
        },
      }),
  }
}

const all = [0, 1, 2, 3]

function until(what: string, ask: () => boolean): Promise<void> {
  return eventually(what, () => Promise.resolve(ask()))
}

describe('members of a group', { timeout: 120_000 }, () => {
  test('share partitions, know who lives, and take over from one that leaves', async (t) => {
    const groupId = randomUUID()
    const first = openMember(t, groupId, 'first')
    const second = openMember(t, groupId, 'second')
    await first.join()
    deepStrictEqual(first.held(), all)
    await second.join()
    await until('partitions are shared', () => first.held()?.length === 2)
    strictEqual(second.held()?.length, 2)
    deepStrictEqual([...(first.held() ?? []), ...(second.held() ?? [])].sort(), all)
    for (const { member } of [first, second]) {
      deepStrictEqual([...member.living].sort(), ['first', 'second'])
    }
    await second.member.leave()
    await until('the first takes over', () => first.held()?.length === PARTITIONS)
    deepStrictEqual([...first.member.living], ['first'])
  })

  test('a member that takes longer than a session to end its work stays a member', async (t) => {
    const groupId = randomUUID()
    const slow = openMember(t, groupId, 'slow', { revocationMs: SESSION_MS + 1_500 })
    const second = openMember(t, groupId, 'second')
    await slow.join()
    const memberId = slow.member.membership?.memberId
    await second.join()
    await until('partitions are shared', () => slow.held()?.length === 2)
    strictEqual(slow.member.membership?.memberId, memberId)
  })

  test('a wall clock that is set back an hour costs no member its place', async (t) => {
    const { member, join, held } = openMember(t, randomUUID(), 'set back')
    await join()
    const { memberId, generation } = member.membership ?? {}
    const now = Date.now.bind(Date)
    t.mock.method(Date, 'now', () => now() - 3_600_000)
    await sleepMs(2 * SESSION_MS)
    deepStrictEqual([member.membership?.memberId, held()], [memberId, all])
    strictEqual(member.membership?.generation, generation)
  })

  test('a static member that comes back within its session causes no rebalance', async (t) => {
    const groupId = randomUUID()
    const stays = openMember(t, groupId, 'stays', { instanceId: 'one' })
    const dies = openMember(t, groupId, 'dies', { instanceId: 'two' })
    await stays.join()
    await dies.join()
    await until('partitions are shared', () => stays.held()?.length === 2)
    const generation = stays.member.membership?.generation
    ok(generation !== undefined)
    const back = openMember(t, groupId, 'dies', { instanceId: 'two' })
    await back.join()
    strictEqual(back.member.membership?.generation, generation)
    deepStrictEqual([...(stays.held() ?? []), ...(back.held() ?? [])].sort(), all)
    // The earlier one is fenced, and reports it.
    const failure = await dies.member.failed
    ok(failure instanceof KafkaAnswerError)
    strictEqual(failure.type, 'FENCED_INSTANCE_ID')
    strictEqual(stays.member.membership?.generation, generation)
  })

  test('a member of another stream is refused', async (t) => {
    const groupId = randomUUID()
    const first = openMember(t, groupId, 'first')
    await first.join()
    const other = openMember(t, groupId, 'other', { topics: otherTopics })
    void other.join().catch(() => undefined)
    const error = await Promise.race([first.member.failed, other.member.failed])
    match(error.message, /subscribes to/)
  })

  test('reading offsets waits for an open transaction, unless told not to', async (t) => {
    const groupId = randomUUID()
    const { member } = openMember(t, groupId, 'reader')
    const producer = kafka.producer({ transactionalId: randomUUID(), maxInFlightRequests: 1 })
    await producer.connect()
    t.after(() => producer.disconnect())
    const transaction = await producer.transaction()
    const topic = topics[0] ?? ''
    await transaction.sendOffsets({
      consumerGroupId: groupId,
      topics: [{ topic, partitions: [{ partition: 1, offset: '7' }] }],
    })
    let isRead = false
    const reading = member.readCommitted(topic, 1).then((committed) => {
      isRead = true
      return committed
    })
    strictEqual(await member.readCommittedUnstable(topic, 1), null)
    // A transaction over one partition delays no other.
    strictEqual(await member.readCommitted(topic, 0), null)
    strictEqual(isRead, false)
    await transaction.commit()
    strictEqual((await reading)?.offset, 7)
  })

  test('reading offsets ends when the coordinator does not answer', async (t) => {
    const { member, cluster } = openMember(t, randomUUID(), 'reader')
    const proxy = await openKafkaProxy(brokers[0] ?? '')
    t.after(() => proxy.close())
    cluster.detour = proxy
    const topic = topics[0] ?? ''
    strictEqual(await member.readCommitted(topic, 1), null)
    proxy.swallow(OFFSET_FETCH_KEY)
    const reading = member.readCommitted(topic, 1).then(
      () => 'read',
      (error: unknown) => (isSluiceError(error) ? error.code : error),
    )
    const outcome = await Promise.race([reading, sleepMs(30_000, 'waits', { ref: false })])
    strictEqual(outcome, 'SLUICE_BROKER_UNAVAILABLE')
    proxy.swallow(null)
    strictEqual(await member.readCommitted(topic, 1), null)
  })
})
