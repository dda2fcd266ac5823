// Consumes topics and commits the output together with the offsets in one Kafka transaction, so that every message is
// processed once, even after a kill. One process per group: the transactional id is the group's, so a second process
// fences the first, which fails at its next commit.

import type { Admin, TopicMessages } from 'kafkajs'
import { SluiceError } from '../core/errors.ts'
import {
  follow,
  placeKey,
  type CommittedMessages,
  type CommittedReaderOptions,
} from '../platform/kafka/committed-reader.ts'
import { coordinatorRefusal } from '../platform/kafka/coordinator-refusal.ts'
import { openKafka } from '../platform/kafka/kafka-client.ts'
import type { KafkaConnection } from '../platform/kafka/kafka-connection.ts'
import { explainKafka, kafkaAway, kafkaRefusal } from '../platform/kafka/kafka-failure.ts'
import {
  openPartitionTransactions,
  type PartitionTransactions,
} from '../platform/kafka/partition-transactions.ts'
import { planResume, ResumeProgress, type ResumePlan } from '../platform/kafka/resume-plan.ts'
import { topicName, type Topic } from '../platform/kafka/topics.ts'
import type { InputOffset } from '../platform/kafka/log-client.ts'
import type { Closable } from '../platform/lifecycle.ts'
import type { Logger } from '../platform/log.ts'

const CONNECTION_TIMEOUT_MS = 3_000
const RETRY = { initialRetryTime: 50, maxRetryTime: 1_000, retries: 8 } as const

export interface TransactionalConsumerOptions extends KafkaConnection {
  readonly topicPrefix: string
  /** Name of the consumer group and of the transactional id, without the prefix. */
  readonly name: string
  readonly topics: readonly Topic[]
  /**
   * Those of `topics` that refer to the others: at the start they are passed on only once the others have been read to
   * their ends. At most one batch of each partition waits for that.
   */
  readonly topicsAfter?: readonly Topic[]
  /** Records from this time on are read again at a start, to rebuild the state. */
  readonly sinceMs: number
  readonly log: Logger
  /** Replaces the commit, for tests that show why it is needed. */
  readonly openTransactions?: typeof openPartitionTransactions
}

export interface TransactionalConsumer extends Closable {
  /** Metadata of the last committed offsets. */
  readonly metadata: readonly string[]
  /** True once everything that existed at the start has been passed on. */
  readonly isCaughtUp: boolean
  /** True for a message that was processed before the start: it rebuilds the state, and gets no second answer. */
  isAnswered(topic: string, partition: number, offset: number): boolean
  /**
   * Commits the output of a batch together with its end. @throws SluiceError SLUICE_COMMIT_UNKNOWN, or
   * SLUICE_ACCESS_DENIED when a right is missing.
   */
  answer(
    batch: CommittedMessages,
    answers: readonly TopicMessages[],
    metadata?: string,
  ): Promise<void>
  /** Commits output that no message caused. @throws SluiceError as `answer`. */
  tell(answers: readonly TopicMessages[], metadata: string): Promise<void>
  /**
   * Passes on batches, one at a time, until the signal is aborted. `onCaughtUp` is called once. @throws SluiceError
   * SLUICE_BROKER_UNAVAILABLE or SLUICE_TOPICS_INVALID, or errors of `take`.
   */
  run(
    take: (batch: CommittedMessages) => Promise<void>,
    signal: AbortSignal,
    onCaughtUp: () => void,
  ): Promise<void>
}

/**
 * Fences an earlier process of this group, and finds the position to resume from. @throws SluiceError
 * SLUICE_BROKER_UNAVAILABLE, SLUICE_TOPICS_INVALID, SLUICE_ACCESS_DENIED or SLUICE_TLS_FAILED.
 */
export async function openTransactionalConsumer(
  options: TransactionalConsumerOptions,
): Promise<TransactionalConsumer> {
  const name = `${options.topicPrefix}${options.name}`
  const topics = options.topics.map((topic) => topicName(options.topicPrefix, topic))
  const kafka = openKafka(
    options,
    { clientId: options.name, connectionTimeout: CONNECTION_TIMEOUT_MS, retry: RETRY },
    options.log,
  )
  const admin = kafka.admin()
  let transactions: PartitionTransactions | null = null
  try {
    await admin.connect()
    await mustExist(admin, topics)
    // Fence first: from here on no earlier process commits, and its open transaction has ended.
    const open = options.openTransactions ?? openPartitionTransactions
    transactions = await open({ kafka, transactionalId: name, groupId: name })
    const plan = await planResume(admin, name, topics, options.sinceMs)
    return new Reader(options, topics, plan, transactions)
  } catch (error) {
    await transactions?.close()
    const refusal = coordinatorRefusal(kafka, error) ?? (await explainKafka(options, error))
    throw refusal ?? kafkaAway(options, error) ?? error
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
}

async function mustExist(admin: Admin, topics: readonly string[]): Promise<void> {
  const existing = new Set(await admin.listTopics())
  const missing = topics.filter((topic) => !existing.has(topic))
  if (missing.length === 0) return
  throw new SluiceError(
    'SLUICE_TOPICS_INVALID',
    `Topics are missing: ${missing.join(', ')}. "sluice topics create" makes those that are missing; or check ` +
      'SLUICE_TOPIC_PREFIX; a cluster with access control hides topics to which this user has no right.',
    { details: { missing } },
  )
}

class Reader implements TransactionalConsumer {
  readonly metadata: readonly string[]
  readonly #options: TransactionalConsumerOptions
  readonly #topics: readonly string[]
  readonly #plan: ResumePlan
  readonly #progress: ResumeProgress
  readonly #first: readonly string[]
  /**
   * Batches that wait for the first topics, with the functions that resume fetching, and the position up to which each
   * is read.
   */
  #held: { readonly batch: CommittedMessages; readonly goOn: () => void; next: number }[] = []
  readonly #transactions: PartitionTransactions
  /** Committed offset of each partition, so that metadata can be written without advancing it. */
  readonly #committed: Map<string, number>
  /** One transaction at a time. */
  #last: Promise<void> = Promise.resolve()

  constructor(
    options: TransactionalConsumerOptions,
    topics: readonly string[],
    plan: ResumePlan,
    transactions: PartitionTransactions,
  ) {
    this.#options = options
    this.#topics = topics
    this.#plan = plan
    this.#progress = new ResumeProgress(plan)
    const after = (options.topicsAfter ?? []).map((topic) => topicName(options.topicPrefix, topic))
    this.#first = topics.filter((topic) => !after.includes(topic))
    this.#transactions = transactions
    this.#committed = new Map(plan.committed)
    this.metadata = plan.metadata
  }

  get isCaughtUp(): boolean {
    return this.#progress.isCaughtUp
  }

  isAnswered(topic: string, partition: number, offset: number): boolean {
    return this.#progress.isAnswered(topic, partition, offset)
  }

  answer(
    { topic, partition, messages }: CommittedMessages,
    answers: readonly TopicMessages[],
    metadata = '',
  ): Promise<void> {
    const place = placeKey(topic, partition)
    const offset = Math.max(
      Number(messages.at(-1)?.offset ?? -1) + 1,
      this.#committed.get(place) ?? 0,
    )
    // Messages that only rebuild the state are already committed, and seldom have new output.
    if (offset === this.#committed.get(place) && answers.length === 0) return Promise.resolve()
    this.#committed.set(place, offset)
    return this.#commit(answers, { topic, partition, offset, metadata })
  }

  tell(answers: readonly TopicMessages[], metadata: string): Promise<void> {
    const [topic = ''] = this.#topics
    const offset = this.#committed.get(placeKey(topic, 0)) ?? 0
    return this.#commit(answers, { topic, partition: 0, offset, metadata })
  }

  async run(
    take: (batch: CommittedMessages) => Promise<void>,
    signal: AbortSignal,
    onCaughtUp: () => void,
  ): Promise<void> {
    let wasCaughtUp = false
    const failed = new AbortController()
    const look = (): void => {
      if (this.#held.length > 0 && this.#hasReadFirst) {
        void this.#takeHeld(take, look).catch((error: unknown) => {
          failed.abort(error)
        })
      }
      if (wasCaughtUp || !this.isCaughtUp) return
      wasCaughtUp = true
      onCaughtUp()
    }
    const { brokers, security, name } = this.#options
    const reading: CommittedReaderOptions = {
      brokers,
      security,
      name,
      topics: this.#topics,
      startAt: this.#plan.startAt,
      onAdvance: (topic, partition, next) => {
        const held = this.#held.find(
          ({ batch }) => batch.topic === topic && batch.partition === partition,
        )
        if (held === undefined) this.#progress.advance(topic, partition, next)
        // A transaction marker may follow the batch's messages; no handler ever sees it.
        else held.next = Math.max(held.next, next)
        look()
      },
    }
    await follow(
      reading,
      (batch, pause) => {
        if (this.#hasReadFirst || this.#first.includes(batch.topic)) return take(batch)
        const next = Number(batch.messages.at(-1)?.offset ?? -1) + 1
        this.#held.push({ batch, goOn: pause(), next })
        return undefined
      },
      AbortSignal.any([signal, failed.signal]),
      look,
    )
    if (failed.signal.aborted) throw failed.signal.reason
  }

  get #hasReadFirst(): boolean {
    return this.#first.every((topic) => this.#progress.hasRead(topic))
  }

  async #takeHeld(
    take: (batch: CommittedMessages) => Promise<void>,
    look: () => void,
  ): Promise<void> {
    const held = this.#held
    this.#held = []
    for (const entry of held) {
      const { batch, goOn } = entry
      await take(batch)
      this.#progress.advance(batch.topic, batch.partition, entry.next)
      goOn()
    }
    look()
  }

  close(): Promise<void> {
    return this.#transactions.close()
  }

  #commit(answers: readonly TopicMessages[], offset: InputOffset): Promise<void> {
    const next = this.#last
      .then(() => this.#transactions.commit(answers, [offset]))
      .catch((error: unknown) => {
        // Reported by name: the remedy is a right, not a restart.
        throw kafkaRefusal(error) ?? error
      })
    this.#last = next.catch(() => undefined)
    return next
  }
}
