// Membership of a consumer group by the classic protocol, with our own assigner. With an instance id it is static
// membership (KIP-345): a member that restarts within its session keeps its partitions without a rebalance.

import { setTimeout as sleepMs } from 'node:timers/promises'
import { SluiceError } from '../../../core/errors.ts'
import type { Logger } from '../../log.ts'
import type { CommittedOffset, Group, GroupHandlers } from '../log-client.ts'
import { otherStream } from '../partition-assigner.ts'
import type { Cluster, RequestKind } from './cluster.ts'
import {
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
  HEARTBEAT,
  JOIN_GROUP,
  type JoinedMember,
  LEAVE_GROUP,
  OFFSET_FETCH,
  SYNC_GROUP,
} from './group-requests.ts'
import { type ErrorName, KafkaAnswerError } from './kafka-errors.ts'
import type { Membership } from './membership.ts'

/** Differs from that of kafkajs: the coordinator refuses a group that mixes both. */
const PROTOCOL = 'sluice-partitions-native'
const RETRY_MS_FIRST = 5
const RETRY_MS_MAX = 250
const HEARTBEATS_PER_SESSION = 6
/** Longest time that an open transaction may delay the reading of offsets. */
const STABLE_MS_MAX = 30_000
/** Longest wait of a starting partition for a coordinator that does not answer. */
const AWAY_MS_MAX = 10_000
const LEAVE_MS_MAX = 2_000

/** Requests that wait for other members. */
const WAITING: ReadonlySet<string> = new Set(['JoinGroup', 'SyncGroup'])

/** Answers after which the coordinator is looked up again, or asked again. */
const PASSING: ReadonlySet<ErrorName> = new Set([
  'COORDINATOR_LOAD_IN_PROGRESS',
  'COORDINATOR_NOT_AVAILABLE',
  'NOT_COORDINATOR',
])

export interface GroupMemberOptions {
  readonly cluster: Cluster
  readonly log: Logger
  readonly groupId: string
  /** Partition p of each goes to the same member. The first topic determines the number of partitions. */
  readonly topics: readonly string[]
  readonly instanceId: string | null
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  /** A text that all members receive. */
  readonly memberData: string
}

export class GroupMember implements Group {
  readonly #options: GroupMemberOptions
  readonly failed: Promise<Error>
  #fail: (error: Error) => void = () => undefined
  #memberId = ''
  #membership: Membership | null = null
  #living: ReadonlySet<string> = new Set()
  #hasLeft = false
  /** Ends the wait for the next rebalance. */
  #rebalance: (() => void) | null = null

  constructor(options: GroupMemberOptions) {
    this.#options = options
    this.failed = new Promise((resolve) => {
      this.#fail = resolve
    })
  }

  /** The current membership; null before the first assignment, and between two assignments. */
  get membership(): Membership | null {
    return this.#membership
  }

  /** The texts of all members as of the newest assignment. */
  get living(): ReadonlySet<string> {
    return this.#living
  }

  join(handlers: GroupHandlers): Promise<void> {
    return new Promise((resolve, reject) => {
      void this.#live(handlers, resolve).catch((error: unknown) => {
        this.#membership = null
        // A broker that is away while the member leaves does not count as a failure.
        if (this.#hasLeft) {
          resolve()
          return
        }
        const failure = error instanceof Error ? error : new Error(String(error))
        this.#fail(failure)
        reject(failure)
      })
    })
  }

  readCommitted(topic: string, partition: number): Promise<CommittedOffset | null> {
    return this.#readOffset(topic, partition, true)
  }

  /** As `readCommitted`, but without waiting for open transactions: finds out who committed last. */
  readCommittedUnstable(topic: string, partition: number): Promise<CommittedOffset | null> {
    return this.#readOffset(topic, partition, false)
  }

  async leave(): Promise<void> {
    if (this.#hasLeft) return
    this.#hasLeft = true
    this.#rebalance?.()
    const { groupId, instanceId } = this.#options
    const memberId = this.#memberId
    if (memberId === '' && instanceId === null) return
    const leaving = this.#ask(LEAVE_GROUP, { groupId, memberId, instanceId })
    // If the coordinator cannot be told, it finds out when the session expires.
    await Promise.race([
      leaving.catch(() => undefined),
      sleepMs(LEAVE_MS_MAX, undefined, { ref: false }),
    ])
  }

  /** Joins, works and joins again, until the member leaves or fails. */
  async #live({ onAssigned, onRevoked }: GroupHandlers, onFirst: () => void): Promise<void> {
    const { log, rebalanceTimeoutMs } = this.#options
    while (!this.#hasLeft) {
      const partitions = await this.#joinOnce()
      if (partitions === null) continue
      let end: () => void = () => undefined
      const ended = new Promise<void>((resolve) => {
        end = resolve
      })
      this.#rebalance = end
      void this.#beat(end)
      onAssigned(partitions)
      onFirst()
      await ended
      const revoked = await Promise.race([
        onRevoked().then(() => true),
        sleepMs(rebalanceTimeoutMs, false, { ref: false }),
      ])
      if (!revoked)
        log.warn({}, 'The work on partitions has not ended within the rebalance time-out.')
      this.#membership = null
      this.#rebalance = null
    }
    onFirst()
  }

  /** One round of JoinGroup and SyncGroup. Null when it must be repeated. */
  async #joinOnce(): Promise<readonly number[] | null> {
    const { groupId, topics, instanceId, sessionTimeoutMs, rebalanceTimeoutMs } = this.#options
    const joined = await this.#ask(JOIN_GROUP, {
      groupId,
      memberId: this.#memberId,
      instanceId,
      sessionTimeoutMs,
      rebalanceTimeoutMs,
      protocol: PROTOCOL,
      subscription: encodeSubscription({ topics, data: this.#options.memberData }),
    })
    if (joined.error === 'MEMBER_ID_REQUIRED') {
      this.#memberId = joined.memberId
      return null
    }
    if (this.#mustRepeat('JoinGroup', joined.error)) return null
    this.#memberId = joined.memberId
    const membership = { memberId: joined.memberId, generation: joined.generation, instanceId }
    const isLeading = joined.leader === joined.memberId && !joined.isAssigned
    const assignments = isLeading ? await this.#assign(joined.members) : []
    const synced = await this.#ask(SYNC_GROUP, {
      groupId,
      membership,
      protocol: PROTOCOL,
      assignments,
    })
    if (this.#mustRepeat('SyncGroup', synced.error)) return null
    const { partitions, living } = decodeAssignment(synced.assignment)
    this.#membership = membership
    this.#living = new Set(living)
    return partitions
  }

  /** True for answers that require another join. @throws KafkaAnswerError for those that end the membership */
  #mustRepeat(request: string, error: ErrorName): boolean {
    if (error === 'NONE') return false
    if (error === 'UNKNOWN_MEMBER_ID') this.#memberId = ''
    else if (error !== 'REBALANCE_IN_PROGRESS' && error !== 'ILLEGAL_GENERATION') {
      throw new KafkaAnswerError(request, error, this.#options.groupId)
    }
    return true
  }

  /** Assigns partitions to members in turn, in the order of the members' names. */
  async #assign(
    members: readonly JoinedMember[],
  ): Promise<readonly { memberId: string; assignment: Buffer }[]> {
    const { cluster, topics } = this.#options
    const read = members
      .map((member) => ({ ...member, ...decodeSubscription(member.subscription) }))
      .toSorted((a, b) => ((a.instanceId ?? a.memberId) < (b.instanceId ?? b.memberId) ? -1 : 1))
    for (const { memberId, topics: others } of read) {
      const refusal = otherStream(topics, memberId, others)
      if (refusal !== null) throw refusal
    }
    cluster.forgetTopic(topics[0] ?? '')
    const { leaders } = await this.#insist(() => cluster.topic(topics[0] ?? ''))
    const partitions = [...leaders.keys()].toSorted((a, b) => a - b)
    const living = read.map(({ data }) => data)
    return read.map(({ memberId }, index) => {
      const own = partitions.filter((_, at) => at % read.length === index)
      return { memberId, assignment: encodeAssignment({ topics, partitions: own, living }) }
    })
  }

  /** Sends heartbeats until the membership ends; calls `onEnd` when the member must join again. Never rejects. */
  async #beat(onEnd: () => void): Promise<void> {
    const { cluster, log, groupId, sessionTimeoutMs } = this.#options
    const membership = this.#membership
    let answeredMs = performance.now()
    while (membership !== null && this.#isIn(membership)) {
      await sleepMs(sessionTimeoutMs / HEARTBEATS_PER_SESSION)
      if (!this.#isIn(membership)) break
      try {
        const node = await cluster.coordinatorOf('group', groupId)
        const beat = cluster.send(node, 'group', HEARTBEAT, { groupId, membership })
        const answer = await Promise.race([beat, sleepMs(sessionTimeoutMs, null, { ref: false })])
        if (answer === null) throw new Error('The coordinator of the group does not answer.')
        answeredMs = performance.now()
        if (this.#membership !== membership) return
        const { error } = answer
        if (error === 'NONE') continue
        if (error === 'REBALANCE_IN_PROGRESS') {
          // Heartbeats continue while the work ends: a coordinator drops a member that is silent for a session, even
          // during a rebalance.
          onEnd()
          continue
        }
        if (PASSING.has(error)) cluster.forgetCoordinator('group', groupId)
        else if (error === 'FENCED_INSTANCE_ID') {
          this.#fail(new KafkaAnswerError('Heartbeat', error, groupId))
          this.#hasLeft = true
        } else if (error === 'UNKNOWN_MEMBER_ID') this.#memberId = ''
        if (!PASSING.has(error)) break
      } catch (error) {
        cluster.forgetCoordinator('group', groupId)
        log.warn({ error }, 'A heartbeat to the consumer group has failed; trying again.')
        // Other members may own the partitions by now.
        if (performance.now() - answeredMs > sessionTimeoutMs) break
      }
    }
    onEnd()
  }

  #isIn(membership: Membership): boolean {
    return this.#membership === membership && !this.#hasLeft
  }

  async #readOffset(
    topic: string,
    partition: number,
    requireStable: boolean,
  ): Promise<CommittedOffset | null> {
    const { groupId } = this.#options
    const endMs = performance.now() + STABLE_MS_MAX
    for (let waitMs = RETRY_MS_FIRST; ; waitMs = Math.min(waitMs * 2, RETRY_MS_MAX)) {
      // Only this partition: other members always have open transactions on theirs.
      const body = { groupId, topic, partitions: [partition], requireStable }
      const { error, offsets } = await this.#ask(OFFSET_FETCH, body, AWAY_MS_MAX)
      if (error !== 'NONE') throw new KafkaAnswerError('OffsetFetch', error, groupId)
      const failed = offsets.find((each) => each.error !== 'NONE')
      if (failed === undefined) {
        const [found] = offsets
        if (found === undefined || found.offset < 0) return null
        return { offset: found.offset, metadata: found.metadata }
      }
      if (failed.error !== 'UNSTABLE_OFFSET_COMMIT') {
        throw new KafkaAnswerError('OffsetFetch', failed.error, `${topic}/${failed.partition}`)
      }
      if (performance.now() > endMs) {
        throw new SluiceError(
          'SLUICE_BROKER_UNAVAILABLE',
          `The offset of ${topic}/${failed.partition} is held up by a transaction that is open for more than ` +
            `${STABLE_MS_MAX / 1_000} s; end it, or wait until the broker does.`,
        )
      }
      await sleepMs(waitMs)
    }
  }

  /** Sends to the group's coordinator, again while it moves or is away. */
  #ask<Body, Answer extends { readonly error: ErrorName }>(
    kind: RequestKind<Body, Answer>,
    body: Body,
    limitMs = Infinity,
  ): Promise<Answer> {
    const { cluster, groupId } = this.#options
    // A waiting JoinGroup has its own connection, since a broker answers the requests of a connection in order.
    const purpose = WAITING.has(kind.name) ? 'group' : 'control'
    return this.#insist(async () => {
      const node = await cluster.coordinatorOf('group', groupId)
      const answer = await cluster.send<Body, Answer>(node, purpose, kind, body)
      if (PASSING.has(answer.error)) throw new KafkaAnswerError(kind.name, answer.error, groupId)
      return answer
    }, limitMs)
  }

  /**
   * Repeats attempts that fail because no broker answers, until the member leaves or the limit is over. A refusal is not
   * repeated.
   */
  async #insist<Answer>(attempt: () => Promise<Answer>, limitMs = Infinity): Promise<Answer> {
    const { cluster, log, groupId } = this.#options
    const endMs = performance.now() + limitMs
    for (let waitMs = RETRY_MS_FIRST; ; waitMs = Math.min(waitMs * 2, RETRY_MS_MAX)) {
      try {
        return await attempt()
      } catch (error) {
        const isAnswer = error instanceof KafkaAnswerError
        if (isAnswer && !PASSING.has(error.type)) throw error
        if (this.#hasLeft) throw error
        cluster.forgetCoordinator('group', groupId)
        if (performance.now() > endMs) throw coordinatorAway(groupId, error)
        if (!isAnswer)
          log.warn({ error }, 'The coordinator of the group cannot be reached; trying again.')
        await sleepMs(waitMs)
      }
    }
  }
}

function coordinatorAway(groupId: string, cause: unknown): SluiceError {
  return new SluiceError(
    'SLUICE_BROKER_UNAVAILABLE',
    `The coordinator of the group ${groupId} has not answered for ${AWAY_MS_MAX / 1_000} s; check that the brokers run.`,
    { cause },
  )
}
