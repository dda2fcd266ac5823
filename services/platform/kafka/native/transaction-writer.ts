// One Kafka transaction at a time for a process. Commits of all its partitions share a transaction, and the next one
// fills while one is running. Fenced twice: a later incarnation of the transactional id fences this one, and the
// group's coordinator refuses offsets of an earlier generation. After a failure the outcome of the transaction is
// unknown, so nothing is repeated here: all writers of the incarnation are dead, and new writers start from the
// committed offsets.

import { SluiceError } from '../../../core/errors.ts'
import type { InputOffset, LogWriter, OutgoingMessage } from '../log-client.ts'
import type { Cluster } from './cluster.ts'
import type { Membership } from './membership.ts'
import { withOwner } from '../offset-owner.ts'
import {
  bytesOf,
  initProducer,
  openProducer,
  type ProducerOptions,
  type TransactionalProducer,
} from './transactional-producer.ts'

const TIMEOUT_MS = 10_000
const PATIENCE_MS = 8
/** More waiting bytes than this start a transaction at once. */
const WAITING_BYTES_MAX = 1_000_000

export interface TransactionWriterOptions {
  readonly cluster: Cluster
  readonly groupId: string
  readonly transactionalId: string
  /** Offsets of this topic name their owner (offset-owner.ts). */
  readonly ownedTopic: string
  /** The coordinator aborts a transaction that is open for longer. */
  readonly timeoutMs?: number
  /** Null while the process is no member of the group: then nothing is committed. */
  readonly membership: () => Membership | null
  /** Least time between the starts of two transactions without urgent content. */
  readonly patienceMs?: number
}

export class TransactionWriter {
  readonly #producer: ProducerOptions
  readonly #ownedTopic: string
  readonly #membership: () => Membership | null
  readonly #patienceMs: number
  #incarnation: Promise<Incarnation> | null = null
  #isClosed = false

  constructor(options: TransactionWriterOptions) {
    const { cluster, groupId, transactionalId, ownedTopic, timeoutMs = TIMEOUT_MS } = options
    this.#producer = { cluster, groupId, transactionalId, timeoutMs }
    this.#ownedTopic = ownedTopic
    this.#membership = options.membership
    this.#patienceMs = options.patienceMs ?? PATIENCE_MS
  }

  /**
   * Opens the output of a partition for the current generation. When it resolves, no transaction of an earlier
   * incarnation of this process is open.
   */
  async openPartition(): Promise<LogWriter> {
    if (this.#isClosed) throw new Error('The writer of transactions is closed.')
    this.#incarnation ??= this.#begin()
    return (await this.#incarnation).openPartition()
  }

  /**
   * Ends the open transaction of an owner that is gone. @throws when it does not end within the transaction time-out
   */
  async fenceOwner(transactionalId: string): Promise<void> {
    const { cluster, timeoutMs } = this.#producer
    await initProducer(cluster, transactionalId, timeoutMs)
  }

  /** Waits for the running transaction; waiting commits are refused. */
  async close(): Promise<void> {
    this.#isClosed = true
    const incarnation = await this.#incarnation?.catch(() => null)
    await incarnation?.close()
  }

  #begin(): Promise<Incarnation> {
    const forget = (): void => {
      if (this.#incarnation === beginning) this.#incarnation = null
    }
    const beginning = openProducer(this.#producer).then(
      (producer) =>
        new Incarnation({
          producer,
          transactionalId: this.#producer.transactionalId,
          ownedTopic: this.#ownedTopic,
          membership: this.#membership,
          patienceMs: this.#patienceMs,
          onDead: forget,
        }),
    )
    beginning.catch(forget)
    return beginning
  }
}

interface IncarnationOptions {
  readonly producer: TransactionalProducer
  readonly transactionalId: string
  readonly ownedTopic: string
  readonly membership: () => Membership | null
  readonly patienceMs: number
  readonly onDead: () => void
}

/** A commit that waits for its transaction. */
interface Waiting {
  readonly writer: LogWriter
  /** Membership when the writer was opened. */
  readonly membership: Membership | null
  readonly messages: readonly OutgoingMessage[]
  readonly offsets: readonly InputOffset[]
  readonly resolve: () => void
  readonly reject: (error: SluiceError) => void
}

/** Lives from an initialisation of the transactional id to the first failure. */
class Incarnation {
  readonly #options: IncarnationOptions
  #queue: Waiting[] = []
  #waitingBytes = 0
  #isUrgent = false
  #timer: NodeJS.Timeout | null = null
  #begunMs = -Infinity
  #running: Promise<void> | null = null
  #failure: unknown = null

  constructor(options: IncarnationOptions) {
    this.#options = options
  }

  openPartition(): LogWriter {
    const membership = this.#options.membership()
    let isClosed = false
    const writer: LogWriter = {
      commit: (messages, offsets, isUrgent) => {
        if (isClosed) return Promise.reject(this.#unknown(new Error('The writer is closed.')))
        if (this.#failure !== null) return Promise.reject(this.#unknown(this.#failure))
        return new Promise((resolve, reject) => {
          const owned = this.#ownedOf(offsets)
          this.#queue.push({ writer, membership, messages, offsets: owned, resolve, reject })
          for (const message of messages) this.#waitingBytes += bytesOf(message)
          this.#isUrgent ||= isUrgent
          this.#schedule()
        })
      },
      close: () => {
        isClosed = true
        const closed = new Error('The writer was closed before its transaction began.')
        const [dropped, kept] = partition(this.#queue, (waiting) => waiting.writer === writer)
        this.#queue = kept
        for (const { reject } of dropped) reject(this.#unknown(closed))
        return Promise.resolve()
      },
    }
    return writer
  }

  /** @throws AssertionError when a broker would refuse the metadata, which must not fail the commits of others */
  #ownedOf(offsets: readonly InputOffset[]): readonly InputOffset[] {
    const { transactionalId, ownedTopic } = this.#options
    return offsets.map((offset) =>
      offset.topic === ownedTopic
        ? { ...offset, metadata: withOwner(transactionalId, offset.metadata) }
        : offset,
    )
  }

  async close(): Promise<void> {
    this.#die(new Error('The writer of transactions is closed.'), [])
    await this.#running
  }

  /** Begins a transaction when it is due, or sets a timer to check again. */
  #schedule(): void {
    if (this.#running !== null || this.#queue.length === 0) return
    const isDue = this.#isUrgent || this.#waitingBytes > WAITING_BYTES_MAX
    const waitMs = isDue ? 0 : this.#begunMs + this.#options.patienceMs - performance.now()
    if (waitMs > 0) {
      this.#timer ??= setTimeout(() => {
        this.#timer = null
        this.#schedule()
      }, Math.ceil(waitMs))
      return
    }
    this.#stopTimer()
    this.#running = this.#run()
  }

  async #run(): Promise<void> {
    // Lets other partitions take part, whose input arrived in the same turn of the event loop.
    await new Promise(setImmediate)
    const membership = this.#options.membership()
    const taken = this.#take(membership)
    this.#begunMs = performance.now()
    if (taken.length > 0 && membership !== null) {
      try {
        await this.#options.producer.commit({
          messages: taken.flatMap(({ messages }) => messages),
          offsets: taken.flatMap(({ offsets }) => offsets),
          membership,
        })
      } catch (error) {
        this.#running = null
        this.#die(error, taken)
        return
      }
      for (const { resolve } of taken) resolve()
    }
    this.#running = null
    this.#schedule()
  }

  /**
   * Takes all waiting commits, and rejects those of an earlier generation, whose partitions may have other owners by
   * now.
   */
  #take(membership: Membership | null): readonly Waiting[] {
    const queue = this.#queue
    this.#queue = []
    this.#waitingBytes = 0
    this.#isUrgent = false
    const [current, stale] = partition(queue, (waiting) => isSame(waiting.membership, membership))
    for (const { reject } of stale) {
      reject(
        new SluiceError(
          'SLUICE_PARTITION_FENCED',
          `The consumer group has reassigned its partitions; nothing of this commit of ${this.#options.transactionalId} was sent.`,
        ),
      )
    }
    return current
  }

  #die(failure: unknown, taken: readonly Waiting[]): void {
    this.#failure ??= failure
    this.#stopTimer()
    // Called first, so that a caller that sees the failure opens the next incarnation.
    this.#options.onDead()
    const lost = [...taken, ...this.#queue]
    this.#queue = []
    for (const { reject } of lost) reject(this.#unknown(failure))
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  #unknown(cause: unknown): SluiceError {
    return new SluiceError(
      'SLUICE_COMMIT_UNKNOWN',
      `The transaction of ${this.#options.transactionalId} failed; its outcome is read back.`,
      { cause },
    )
  }
}

/** An absent membership equals none, not even another absent one. */
function isSame(a: Membership | null, b: Membership | null): boolean {
  if (a === null || b === null) return false
  return a.generation === b.generation && a.memberId === b.memberId && a.instanceId === b.instanceId
}

function partition<Item>(
  items: readonly Item[],
  isFirst: (item: Item) => boolean,
): [first: Item[], second: Item[]] {
  const first: Item[] = []
  const second: Item[] = []
  for (const item of items) (isFirst(item) ? first : second).push(item)
  return [first, second]
}
