// Finds the times of one transaction in the log.

import type { KafkaMessage } from 'kafkajs'
import { isSluiceError, SluiceError } from '../../services/core/errors.ts'
import { formatPosition, type MessagePosition } from '../../services/core/redrive.ts'
import { FETCHED_HEADER } from '../../services/core/wire/records.ts'
import {
  type CommittedMessages,
  placeKey,
  readToEnd,
} from '../../services/platform/kafka/committed-reader.ts'
import { openKafka } from '../../services/platform/kafka/kafka-client.ts'
import { kafkaUnreadable } from '../../services/platform/kafka/kafka-failure.ts'
import { readLogSince } from '../../services/platform/kafka/log-ends.ts'
import { Cluster } from '../../services/platform/kafka/native/cluster.ts'
import {
  readCommitMarker,
  readRecordAt,
} from '../../services/platform/kafka/native/commit-marker.ts'
import { topicName } from '../../services/platform/kafka/topics.ts'
import { findLetter } from '../../services/cli/dead-letters/letter-lines.ts'
import type { DecidedStream } from '../../services/cli/features/export-rows.ts'
import type { TimedPosition, TracedAlert, TracedDecision, TracedTransaction } from './timeline.ts'

/** It uses the groups of `sluice explain`: the same users read the same topics. */
const READER = 'sluice-explain'
/** Maximum number of decisions of one id, and of messages with it, that are kept. */
const FOUND_MAX = 1_000
const PROGRESS_BATCHES = 20_000
const PROGRESS_MESSAGES = 500_000
const CONNECTION_TIMEOUT_MS = 3_000
/**
 * An alert is committed with its decision, so its time is near; a broker that stamps records may set a different one.
 */
const ALERT_NEAR_MS = 60_000

interface Search {
  readonly stream: DecidedStream
  readonly transactionId: string
  readonly onProgress: (line: string) => void
  readonly signal: AbortSignal
}

/**
 * The first decision about the id, and the times around it. @throws SluiceError SLUICE_USAGE when the log has no
 * decision about it, and the errors of topic readers.
 */
export async function findTransaction(search: Search): Promise<TracedTransaction> {
  const { stream, transactionId, signal } = search
  const { found, count } = await findDecisions(search)
  const traced = firstOf(found)
  if (traced === null) throw await notDecided(search)
  const cluster = new Cluster(stream, READER)
  try {
    const { source, produced } = traced
    const record = await readRecordAt(cluster, source.topic, source.partition, source.offset)
    const committed = await committedAt(cluster, produced)
    const alertMessage = await findAlertMessage(search, traced)
    return {
      transactionId,
      sentMs: record?.timestampMs ?? null,
      traced,
      committed,
      alert: alertMessage && {
        ...alertMessage,
        committed: await committedAt(cluster, alertMessage.produced),
      },
      others: found.filter((each) => each !== traced),
      otherCount: count - 1,
    }
  } catch (error) {
    if (error instanceof SluiceError || signal.aborted) throw error
    throw await kafkaUnreadable(stream, error)
  } finally {
    await cluster.close()
  }
}

async function committedAt(
  cluster: Cluster,
  { topic, partition, offset }: MessagePosition,
): Promise<TimedPosition | null> {
  const marker = await readCommitMarker(cluster, topic, partition, offset)
  return marker && { topic, partition, offset: marker.offset, atMs: marker.timestampMs }
}

/** All decisions about the id that the topic holds, in the order of their partition. */
async function findDecisions({
  stream,
  transactionId,
  onProgress,
  signal,
}: Search): Promise<{ readonly found: readonly TracedDecision[]; readonly count: number }> {
  const { codecs, topicPrefix } = stream
  const topic = topicName(topicPrefix, 'decisions')
  const transactions = topicName(topicPrefix, 'transactions')
  const bytes = Buffer.from(transactionId)
  const found: TracedDecision[] = []
  let count = 0
  let read = 0
  await readAll({ stream, topic, signal }, (message, partition) => {
    const { value, timestamp } = message
    read += 1
    if (read % PROGRESS_BATCHES === 0) onProgress(`${read} decision batches read`)
    // Searching for the bytes is far cheaper than decoding, and most batches do not contain them.
    if (value?.includes(bytes) !== true) return
    const decoded = codecs.decisionBatch.decode(value)
    if (!decoded.ok) return
    const { decidedAtMs, firstOffset, nextOffset, decisions } = decoded.value
    for (const decision of decisions) {
      if (decision.transactionId !== transactionId) continue
      count += 1
      if (found.length === FOUND_MAX) continue
      found.push({
        decision,
        source: { topic: transactions, partition, offset: decision.offset },
        produced: { topic, partition, offset: Number(message.offset), atMs: Number(timestamp) },
        decidedAtMs,
        fetchedMs: fetchedMsOf(message),
        batch: { firstOffset, nextOffset, decisions: decisions.length },
      })
    }
  })
  return { found, count }
}

function fetchedMsOf({ headers }: KafkaMessage): number | null {
  const header = headers?.[FETCHED_HEADER]
  const text = header === undefined || Array.isArray(header) ? '' : header.toString()
  return /^\d{1,15}$/.test(text) ? Number(text) : null
}

/** The first decision that is neither a repeat nor a revision; if the topic no longer holds one, the first of all. */
function firstOf(found: readonly TracedDecision[]): TracedDecision | null {
  const byTime = found.toSorted((a, b) => a.decidedAtMs - b.decidedAtMs)
  const isFirst = ({ decision }: TracedDecision): boolean =>
    decision.revision === 0 && decision.duplicateOfOffset === null
  return byTime.find(isFirst) ?? byTime[0] ?? null
}

/** The alert that this decision raised, or null. */
async function findAlertMessage(
  { stream, transactionId, signal }: Search,
  { decision, source, produced }: TracedDecision,
): Promise<Omit<TracedAlert, 'committed'> | null> {
  const { outcome, duplicateOfOffset, revision } = decision
  const { partition, atMs } = produced
  if (outcome === 'approve' || duplicateOfOffset !== null || revision > 0 || atMs === null)
    return null
  const topic = topicName(stream.topicPrefix, 'alerts')
  const bytes = Buffer.from(transactionId)
  const enough = new AbortController()
  let found: Omit<TracedAlert, 'committed'> | null = null
  const from = await offsetSince(stream, topic, partition, atMs - ALERT_NEAR_MS)
  if (from === null) return null
  const startAt = new Map([[placeKey(topic, partition), from]])
  await readAll({ stream, topic, startAt, signal, enough: enough.signal }, (message) => {
    const { value, timestamp, offset } = message
    if (found !== null) return
    if (Number(timestamp) > atMs + ALERT_NEAR_MS) enough.abort()
    if (value?.includes(bytes) !== true) return
    const decoded = stream.codecs.alert.decode(value)
    if (!decoded.ok) return
    const alert = decoded.value
    if (alert.revision > 0 || alert.source.partition !== source.partition) return
    if (alert.source.offset !== source.offset) return
    const place = { topic, partition, offset: Number(offset), atMs: Number(timestamp) }
    found = { alertId: alert.alertId, action: alert.action, produced: place }
    enough.abort()
  })
  return found
}

async function offsetSince(
  stream: DecidedStream,
  topic: string,
  partition: number,
  sinceMs: number,
): Promise<number | null> {
  const admin = openKafka(stream, {
    clientId: READER,
    connectionTimeout: CONNECTION_TIMEOUT_MS,
  }).admin()
  try {
    await admin.connect()
    const range = (await readLogSince(admin, topic, sinceMs)).get(partition)
    return range === undefined ? null : (range.since ?? range.low)
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
}

// The reason why the log has no decision about an id.

interface FoundMessage extends MessagePosition {
  readonly timestampMs: number
  /** False for a message that contains the id but that no reader can decode. */
  readonly isTransaction: boolean
}

async function notDecided(search: Search): Promise<SluiceError> {
  const { stream, transactionId, signal } = search
  const topic = topicName(stream.topicPrefix, 'transactions')
  const messages = await findMessages(search, topic)
  let letters = ''
  for (const message of messages) {
    const position = formatPosition(message)
    try {
      const found = await findLetter(stream, message, signal)
      if (found === null) continue
      return new SluiceError(
        'SLUICE_USAGE',
        `${transactionId} never reached a decision: ${position} became a dead letter at ` +
          `${new Date(found.letter.decidedAtMs).toISOString()} (${found.letter.reason}); see "sluice dead-letters ` +
          `show ${position}".`,
      )
    } catch (error) {
      // A user who may trace does not necessarily have the right to dead letters.
      if (
        !isSluiceError(error, 'SLUICE_ACCESS_DENIED') &&
        !isSluiceError(error, 'SLUICE_TOPICS_INVALID')
      )
        throw error
      letters = ' It may also be a dead letter, which this user has no right to read.'
      break
    }
  }
  const [first] = messages.filter(({ isTransaction }) => isTransaction)
  if (first === undefined) {
    return new SluiceError(
      'SLUICE_USAGE',
      `${topic} holds no transaction ${transactionId}; check the id and the topic prefix. It may also be older than ` +
        'the topic.',
    )
  }
  return new SluiceError(
    'SLUICE_USAGE',
    `${transactionId} is not decided yet: it was sent at ${new Date(first.timestampMs).toISOString()} and is at ` +
      `${formatPosition(first)}; try again, or check that scorers run. Its decision may also be older than the ` +
      `decisions topic.${letters}`,
  )
}

/** Messages with the id, the oldest first of each partition. */
async function findMessages(
  { stream, transactionId, onProgress, signal }: Search,
  topic: string,
): Promise<readonly FoundMessage[]> {
  const bytes = Buffer.from(transactionId)
  const found: FoundMessage[] = []
  let read = 0
  await readAll({ stream, topic, signal }, ({ value, offset, timestamp }, partition) => {
    read += 1
    if (read % PROGRESS_MESSAGES === 0) onProgress(`not decided; ${read} transactions read`)
    if (value?.includes(bytes) !== true || found.length === FOUND_MAX) return
    const decoded = stream.codecs.decodeTransactionMessage(value)
    if (decoded.kind === 'watermark') return
    const isTransaction = decoded.kind === 'transaction'
    if (isTransaction && decoded.value.id !== transactionId) return
    const place = { topic, partition, offset: Number(offset) }
    found.push({ ...place, timestampMs: Number(timestamp), isTransaction })
  })
  return found
}

interface Reading {
  readonly stream: DecidedStream
  readonly topic: string
  readonly startAt?: ReadonlyMap<string, number>
  readonly signal: AbortSignal
  /** Ends the reading early, without an error. */
  readonly enough?: AbortSignal
}

/** Hands over committed messages up to the current end of the topic. */
async function readAll(
  { stream, topic, startAt, signal, enough }: Reading,
  onMessage: (message: KafkaMessage, partition: number) => void,
): Promise<void> {
  const { brokers, security } = stream
  const see = ({ partition, messages }: CommittedMessages): void => {
    for (const message of messages) onMessage(message, partition)
  }
  try {
    await readToEnd(
      { brokers, security, name: READER, topics: [topic], startAt: startAt ?? 'beginning' },
      see,
      enough === undefined ? signal : AbortSignal.any([signal, enough]),
    )
  } catch (error) {
    if (signal.aborted || enough?.aborted !== true) throw error
  }
}
