// Reads all decision batches that the topic holds, partition by partition, and follows their chains.

import { type Anchor, ChainCheck, type ChainSummary } from '../../core/audit/chain-check.ts'
import { SluiceError } from '../../core/errors.ts'
import { decodeMetadata } from '../../core/stream/partition-progress.ts'
import { readToEnd } from '../../platform/kafka/committed-reader.ts'
import { coordinatorRefusal } from '../../platform/kafka/coordinator-refusal.ts'
import { openKafka } from '../../platform/kafka/kafka-client.ts'
import { kafkaUnreadable } from '../../platform/kafka/kafka-failure.ts'
import { readPartitionCount, topicName } from '../../platform/kafka/topics.ts'
import type { Codecs } from '../../core/wire/codecs.ts'
import { readCopy } from './batch-copy.ts'
import type { DecidedStream } from '../features/open-stream.ts'

const PROGRESS_BLOCKS = 20_000
const CONNECTION_TIMEOUT_MS = 3_000
const RETRY = { retries: 5, initialRetryTime: 50, maxRetryTime: 1_000 }

export interface VerifyOptions {
  readonly groupId: string
  readonly anchors: readonly Anchor[]
  readonly onProgress: (line: string) => void
}

/** By partition. @throws SluiceError SLUICE_BROKER_UNAVAILABLE or SLUICE_TOPICS_INVALID. */
export async function verifyChain(
  stream: DecidedStream,
  { groupId, anchors, onProgress }: VerifyOptions,
  signal: AbortSignal,
): Promise<readonly ChainSummary[]> {
  const { brokers, security, topicPrefix, codecs } = stream
  // Before the blocks: what is committed meanwhile is not missing.
  const committed = await committedHashes(stream, groupId)
  const checks = committed.map((hash, partition) => new ChainCheck(partition, anchors, hash))
  const topics = [topicName(topicPrefix, 'decisions')]
  let blocks = 0
  await readToEnd(
    { brokers, security, name: 'sluice-audit', topics, startAt: 'beginning' },
    ({ partition, messages }) => {
      for (const { offset, value } of messages) {
        const decoded = codecs.decisionBatch.decode(value)
        const block = decoded.ok ? decoded.value : null
        checks[partition]?.add(Number(offset), block)
        blocks += 1
        if (blocks % PROGRESS_BLOCKS === 0) onProgress(`${blocks} decision batches read`)
      }
    },
    signal,
  )
  return checks.map((check) => check.finish())
}

/** The same of a copy, whose blocks come partition by partition in the order of their offsets. */
export async function verifyCopy(
  file: string,
  anchors: readonly Anchor[],
  { decisionBatch }: Codecs,
): Promise<readonly ChainSummary[]> {
  const checks = new Map<number, ChainCheck>()
  for await (const { partition, offset, value } of readCopy(file)) {
    const check = checks.get(partition) ?? new ChainCheck(partition, anchors, null)
    checks.set(partition, check)
    const decoded = decisionBatch.decode(value)
    check.add(offset, decoded.ok ? decoded.value : null)
  }
  const inOrder = [...checks].toSorted(([a], [b]) => a - b)
  return inOrder.map(([, check]) => check.finish())
}

/** What the scorer last committed, base64, by partition; null where it is not known. */
async function committedHashes(
  connection: DecidedStream,
  groupId: string,
): Promise<readonly (string | null)[]> {
  const { topicPrefix } = connection
  const kafka = openKafka(connection, {
    clientId: 'sluice-audit',
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    retry: RETRY,
  })
  const admin = kafka.admin()
  try {
    await admin.connect()
    const count = await readPartitionCount(admin, topicPrefix, ['transactions', 'decisions'])
    const topic = topicName(topicPrefix, 'transactions')
    const [found] = await admin.fetchOffsets({ groupId, topics: [topic] })
    const hashes = new Map(
      found?.partitions.map(({ partition, metadata }) => [
        partition,
        decodeMetadata(metadata)?.chainHash ?? null,
      ]),
    )
    return Array.from({ length: count }, (_, partition) => hashes.get(partition) ?? null)
  } catch (error) {
    if (error instanceof SluiceError) throw error
    throw await kafkaUnreadable(connection, coordinatorRefusal(kafka, error) ?? error)
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
}
