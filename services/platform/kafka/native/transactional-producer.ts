// One incarnation of a transactional id: the requests of its transactions, in order. In transactions of version 2 the
// offsets go first: while the markers of the previous transaction are written, the broker answers them with
// CONCURRENT_TRANSACTIONS at once, whereas it holds back a Produce by about 20 ms. The broker also checks the group
// membership there, so that a member of an earlier generation is refused before it has appended anything.

import assert from 'node:assert/strict'
import { setTimeout as sleepMs } from 'node:timers/promises'
import { within } from '../../within.ts'
import type { InputOffset, OutgoingMessage } from '../log-client.ts'
import type { Cluster, RequestKind } from './cluster.ts'
import { type ErrorName, KafkaAnswerError } from './kafka-errors.ts'
import type { Membership } from './membership.ts'
import {
  compressRecords,
  encodeRecords,
  sealBatch,
  type EncodedRecords,
  type OutgoingRecord,
} from './record-batch.ts'
import {
  ADD_OFFSETS,
  ADD_PARTITIONS,
  END_TXN,
  INIT_PRODUCER_ID,
  type PartitionBatch,
  PRODUCE,
  type ProduceResult,
  type ProducerIdentity,
  type TopicPartition,
  TXN_OFFSET_COMMIT,
} from './transaction-requests.ts'

/** By default a broker accepts 1 MB per batch (`message.max.bytes`). */
const BATCH_BYTES_MAX = 900_000
/** Upper bound for a record's headers and lengths. */
const RECORD_OVERHEAD_BYTES = 40
const HEADER_OVERHEAD_BYTES = 10
/** Below the request time-out of the connection, so that the broker can report lagging replicas. */
const PRODUCE_TIMEOUT_MS = 5_000
/** The end of a transaction takes a few ms, a change of leader a few hundred. */
const QUICK_ATTEMPTS = 30
const SLOW_WAIT_MS = 20
const SEQUENCE_END = 2 ** 31
/** Wait for the last answer after the time-out of the transaction has passed. */
const ANSWER_MS_MAX = 1_000

/** Answers after which a batch has not been appended, but may be on the next attempt. */
const PASSING: ReadonlySet<ErrorName> = new Set([
  'CONCURRENT_TRANSACTIONS',
  'NOT_LEADER_OR_FOLLOWER',
  'LEADER_NOT_AVAILABLE',
  'UNKNOWN_TOPIC_OR_PARTITION',
])

export interface ProducerOptions {
  readonly cluster: Cluster
  readonly groupId: string
  readonly transactionalId: string
  /** The coordinator aborts a transaction that is open for longer, ms. */
  readonly timeoutMs: number
}

/** The content of one transaction. */
export interface TransactionContent {
  readonly messages: readonly OutgoingMessage[]
  /** The last of several offsets of a partition counts. */
  readonly offsets: readonly InputOffset[]
  readonly membership: Membership
}

/** Records still to be produced to one partition. */
interface PartitionOutput extends TopicPartition {
  /** One batch each. */
  readonly pieces: OutgoingRecord[][]
  lastPieceBytes: number
  /** The first piece, once encoded: a repetition must send the same bytes. */
  encoded: Promise<EncodedRecords> | null
}

/** The first piece of an output, encoded. A failure reaches whoever sends it. */
function encodedOf(output: PartitionOutput): Promise<EncodedRecords> {
  const [piece] = output.pieces
  assert(piece !== undefined, 'an output to be sent has a piece')
  output.encoded ??= compressRecords(encodeRecords(piece, Date.now()))
  return output.encoded
}

/** Initialises the id: earlier incarnations are fenced, and their open transaction is aborted. */
export async function openProducer(options: ProducerOptions): Promise<TransactionalProducer> {
  const { cluster, transactionalId, timeoutMs } = options
  const [identity, isV2] = await Promise.all([
    initProducer(cluster, transactionalId, timeoutMs),
    within(timeoutMs + ANSWER_MS_MAX, cluster.hasTransactionsV2()),
  ])
  return new TransactionalProducer(options, identity, isV2)
}

/** @throws KafkaAnswerError, also when the previous transaction has not ended after `timeoutMs` */
export function initProducer(
  cluster: Cluster,
  transactionalId: string,
  timeoutMs: number,
): Promise<ProducerIdentity> {
  const coordinator = new Coordinator(cluster, 'transaction', transactionalId)
  const body = { transactionalId, timeoutMs }
  const asking = coordinator.ask(INIT_PRODUCER_ID, body, performance.now() + timeoutMs)
  return within(timeoutMs + ANSWER_MS_MAX, asking)
}

export class TransactionalProducer {
  readonly #options: ProducerOptions
  readonly #isV2: boolean
  readonly #version: 'v1' | 'v2'
  readonly #coordinator: Coordinator
  readonly #groupCoordinator: Coordinator
  #identity: ProducerIdentity
  /** Next sequence by `topic/partition`; missing ones begin at 0. */
  readonly #sequences = new Map<string, number>()

  constructor(options: ProducerOptions, identity: ProducerIdentity, isV2: boolean) {
    this.#options = options
    this.#identity = identity
    this.#isV2 = isV2
    this.#version = isV2 ? 'v2' : 'v1'
    const { cluster, groupId, transactionalId } = options
    this.#coordinator = new Coordinator(cluster, 'transaction', transactionalId)
    this.#groupCoordinator = new Coordinator(cluster, 'group', groupId)
  }

  /**
   * Commits one transaction. @throws on any failure, and once the coordinator may have aborted the transaction for its age;
   * then this producer must not be used again
   */
  async commit(content: TransactionContent): Promise<void> {
    // A transaction without content cannot be ended.
    if (content.messages.length === 0 && content.offsets.length === 0) return
    await within(this.#options.timeoutMs + ANSWER_MS_MAX, this.#commitAll(content))
  }

  async #commitAll({ messages, offsets, membership }: TransactionContent): Promise<void> {
    const outputs = outputsOf(messages)
    const deadlineMs = performance.now() + this.#options.timeoutMs
    // While the offsets are on their way.
    for (const output of outputs) encodedOf(output).catch(() => undefined)
    try {
      if (this.#isV2) {
        await this.#commitOffsets(offsets, membership, deadlineMs)
        await this.#produce(outputs, deadlineMs)
      } else {
        await this.#addToTransaction(outputs, offsets, deadlineMs)
        await Promise.all([
          this.#commitOffsets(offsets, membership, deadlineMs),
          this.#produce(outputs, deadlineMs),
        ])
      }
      await this.#end(deadlineMs)
    } catch (error) {
      // A failed broker reports no moves, so cached leaders are dropped.
      for (const { topic } of outputs) this.#options.cluster.forgetTopic(topic)
      throw error
    }
  }

  /** In version 1, partitions and group are announced to the transaction first. */
  async #addToTransaction(
    outputs: readonly PartitionOutput[],
    offsets: readonly InputOffset[],
    deadlineMs: number,
  ): Promise<void> {
    const { transactionalId, groupId } = this.#options
    const body = { transactionalId, producer: this.#identity }
    if (outputs.length > 0) {
      await this.#coordinator.ask(ADD_PARTITIONS, { ...body, partitions: outputs }, deadlineMs)
    }
    if (offsets.length > 0) {
      await this.#coordinator.ask(ADD_OFFSETS, { ...body, groupId }, deadlineMs)
    }
  }

  async #commitOffsets(
    offsets: readonly InputOffset[],
    membership: Membership,
    deadlineMs: number,
  ): Promise<void> {
    if (offsets.length === 0) return
    const { transactionalId, groupId } = this.#options
    const last = new Map<string, InputOffset>()
    for (const offset of offsets) last.set(placeOf(offset), offset)
    const producer = this.#identity
    const body = { transactionalId, groupId, producer, membership, offsets: [...last.values()] }
    await this.#groupCoordinator.ask(TXN_OFFSET_COMMIT[this.#version], body, deadlineMs)
  }

  /** Sends one batch per partition at a time, to all leaders at once. */
  async #produce(outputs: readonly PartitionOutput[], deadlineMs: number): Promise<void> {
    let rest = outputs
    let passing: ErrorName = 'REQUEST_TIMED_OUT'
    let attempt = 0
    while (rest.length > 0) {
      if (performance.now() > deadlineMs) {
        throw new KafkaAnswerError('Produce', passing, rest.map(placeOf).join(', '))
      }
      passing = await this.#produceOnce(rest)
      rest = rest.filter(({ pieces }) => pieces.length > 0)
      if (passing === 'NONE') continue
      attempt += 1
      await sleepMs(waitMs(attempt))
    }
  }

  /** Removes the pieces that were appended. Returns the error of the others, NONE when all were appended. */
  async #produceOnce(outputs: readonly PartitionOutput[]): Promise<ErrorName> {
    const { cluster } = this.#options
    const byLeader = new Map<number, PartitionOutput[]>()
    let passing: ErrorName = 'NONE'
    for (const output of outputs) {
      try {
        const leader = await cluster.leaderOf(output.topic, output.partition)
        const ofLeader = byLeader.get(leader)
        if (ofLeader === undefined) byLeader.set(leader, [output])
        else ofLeader.push(output)
      } catch (error) {
        if (!(error instanceof KafkaAnswerError) || !PASSING.has(error.type)) throw error
        passing = error.type
      }
    }
    const answers = await Promise.all(
      [...byLeader].map(([leader, ofLeader]) => this.#produceTo(leader, ofLeader)),
    )
    for (const answer of answers) if (answer !== 'NONE') passing = answer
    return passing
  }

  async #produceTo(leader: number, outputs: readonly PartitionOutput[]): Promise<ErrorName> {
    const { cluster, transactionalId } = this.#options
    const results = await cluster.send(leader, 'commit', PRODUCE[this.#version], {
      transactionalId,
      timeoutMs: PRODUCE_TIMEOUT_MS,
      batches: await Promise.all(outputs.map((output) => this.#batchOf(output))),
    })
    const byPlace = new Map(results.map((result) => [placeOf(result), result]))
    let passing: ErrorName = 'NONE'
    for (const output of outputs) {
      const result = byPlace.get(placeOf(output))
      if (result === undefined) {
        throw new KafkaAnswerError(
          'Produce',
          'UNKNOWN_SERVER_ERROR',
          `${placeOf(output)}: no answer`,
        )
      }
      if (result.error === 'NONE') {
        this.#appended(output)
        continue
      }
      if (!isPassing(result)) {
        const message = result.message === null ? '' : ` (${result.message})`
        throw new KafkaAnswerError('Produce', result.error, placeOf(output) + message)
      }
      passing = result.error
      if (passing !== 'CONCURRENT_TRANSACTIONS') cluster.forgetTopic(output.topic)
    }
    return passing
  }

  async #batchOf(output: PartitionOutput): Promise<PartitionBatch> {
    const { topic, partition } = output
    const baseSequence = this.#sequenceOf(output)
    const producer = { ...this.#identity, baseSequence, isTransactional: true }
    return { topic, partition, batch: sealBatch(await encodedOf(output), producer) }
  }

  #appended(output: PartitionOutput): void {
    const piece = output.pieces.shift()
    assert(piece !== undefined, 'a piece was sent')
    output.encoded = null
    const next = (this.#sequenceOf(output) + piece.length) % SEQUENCE_END
    this.#sequences.set(placeOf(output), next)
  }

  #sequenceOf(output: PartitionOutput): number {
    return this.#sequences.get(placeOf(output)) ?? 0
  }

  async #end(deadlineMs: number): Promise<void> {
    const body = { transactionalId: this.#options.transactionalId, producer: this.#identity }
    if (!this.#isV2) {
      await this.#coordinator.ask(END_TXN.v1, body, deadlineMs)
      return
    }
    const { next } = await this.#coordinator.ask(END_TXN.v2, body, deadlineMs)
    this.#identity = next
    // Sequences of each epoch count from 0.
    this.#sequences.clear()
  }
}

/** The coordinator of a group or of a transactional id, wherever it is. */
class Coordinator {
  readonly #cluster: Cluster
  readonly #kind: 'group' | 'transaction'
  readonly #key: string

  constructor(cluster: Cluster, kind: 'group' | 'transaction', key: string) {
    this.#cluster = cluster
    this.#kind = kind
    this.#key = key
  }

  /** Repeats a request after a passing error, which means that nothing was done. */
  async ask<Body, Answer extends { readonly error: ErrorName }>(
    request: RequestKind<Body, Answer>,
    body: Body,
    deadlineMs: number,
  ): Promise<Answer> {
    let passing: ErrorName = 'REQUEST_TIMED_OUT'
    for (let attempt = 1; performance.now() <= deadlineMs; attempt += 1) {
      const answer = await this.#askOnce(request, body)
      if (typeof answer !== 'string') return answer
      passing = answer
      await sleepMs(waitMs(attempt))
    }
    throw new KafkaAnswerError(request.name, passing, this.#key)
  }

  /** The answer, or the passing error. */
  async #askOnce<Body, Answer extends { readonly error: ErrorName }>(
    request: RequestKind<Body, Answer>,
    body: Body,
  ): Promise<Answer | ErrorName> {
    try {
      const node = await this.#cluster.coordinatorOf(this.#kind, this.#key)
      const answer = await this.#cluster.send(node, 'commit', request, body)
      if (answer.error === 'NONE') return answer
      throw new KafkaAnswerError(request.name, answer.error, this.#key)
    } catch (error) {
      const type = error instanceof KafkaAnswerError ? error.type : null
      if (type === 'CONCURRENT_TRANSACTIONS' || type === 'COORDINATOR_LOAD_IN_PROGRESS') return type
      // Without an answer the coordinator may be away for good.
      this.#cluster.forgetCoordinator(this.#kind, this.#key)
      if (type === 'COORDINATOR_NOT_AVAILABLE' || type === 'NOT_COORDINATOR') return type
      throw error
    }
  }
}

function isPassing({ error, message }: ProduceResult): boolean {
  // With this message a broker reports that it could not verify with the coordinator that the partition belongs to the
  // transaction.
  const isUnverified = error === 'NOT_ENOUGH_REPLICAS' && /Unable to verify/.test(message ?? '')
  return isUnverified || PASSING.has(error)
}

function waitMs(attempt: number): number {
  return attempt <= QUICK_ATTEMPTS ? 1 : SLOW_WAIT_MS
}

function placeOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`
}

/** Messages by partition in order, split before a batch grows too large. */
function outputsOf(messages: readonly OutgoingMessage[]): readonly PartitionOutput[] {
  const byTopic = new Map<string, Map<number, PartitionOutput>>()
  const outputs: PartitionOutput[] = []
  for (const message of messages) {
    const { topic, partition } = message
    const ofTopic = byTopic.get(topic) ?? new Map<number, PartitionOutput>()
    byTopic.set(topic, ofTopic)
    let output = ofTopic.get(partition)
    if (output === undefined) {
      output = { topic, partition, pieces: [], lastPieceBytes: BATCH_BYTES_MAX, encoded: null }
      ofTopic.set(partition, output)
      outputs.push(output)
    }
    const bytes = bytesOf(message)
    const last = output.pieces.at(-1)
    if (last === undefined || output.lastPieceBytes + bytes > BATCH_BYTES_MAX) {
      output.pieces.push([message])
      output.lastPieceBytes = bytes
    } else {
      last.push(message)
      output.lastPieceBytes += bytes
    }
  }
  return outputs
}

/** Upper bound of the bytes of a message in a batch. */
export function bytesOf({ key, value, headers }: OutgoingMessage): number {
  let bytes = RECORD_OVERHEAD_BYTES
  if (key !== null) bytes += typeof key === 'string' ? Buffer.byteLength(key) : key.length
  if (value !== null) bytes += value.length
  if (headers !== undefined) {
    for (const [name, text] of Object.entries(headers)) {
      bytes += Buffer.byteLength(name) + Buffer.byteLength(text) + HEADER_OVERHEAD_BYTES
    }
  }
  return bytes
}
