// Reads all decision batches of the topic, partition by partition, and verifies their hash chains.

import { once } from 'node:events'
import { createReadStream, createWriteStream, existsSync } from 'node:fs'
import { open, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { finished } from 'node:stream/promises'
import { type Anchor, anchorLine, parseAnchor } from '../../core/audit/chain-check.ts'
import { ChainCheck, type ChainSummary, type HeadStatus } from '../../core/audit/chain-check.ts'
import { eraseCard } from '../../core/audit/erase-card.ts'
import { SluiceError } from '../../core/errors.ts'
import { splitOwner } from '../../platform/kafka/offset-owner.ts'
import { decodeMetadata } from '../../core/stream/partition-progress.ts'
import type { Codecs } from '../../core/wire/codecs.ts'
import { readToEnd } from '../../platform/kafka/committed-reader.ts'
import { coordinatorRefusal } from '../../platform/kafka/coordinator-refusal.ts'
import { openKafka } from '../../platform/kafka/kafka-client.ts'
import { kafkaUnreadable } from '../../platform/kafka/kafka-failure.ts'
import { readPartitionCount, topicName } from '../../platform/kafka/topics.ts'
import { makeFolder } from '../../platform/lake/durable-files.ts'
import type { DecidedStream } from '../features/export-rows.ts'

const PROGRESS_BLOCKS = 20_000
const CONNECTION_TIMEOUT_MS = 3_000
const RETRY = { retries: 5, initialRetryTime: 50, maxRetryTime: 1_000 }

interface VerifyOptions {
  readonly groupId: string
  readonly anchors: readonly Anchor[]
  readonly onProgress: (line: string) => void
}

/**
 * Verifies the topic's chains, by partition. @throws SluiceError SLUICE_BROKER_UNAVAILABLE or SLUICE_TOPICS_INVALID.
 */
export async function verifyChain(
  stream: DecidedStream,
  { groupId, anchors, onProgress }: VerifyOptions,
  signal: AbortSignal,
): Promise<readonly ChainSummary[]> {
  const { brokers, security, topicPrefix, codecs } = stream
  // Read before the decision batches, so that those committed meanwhile are not reported as missing.
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

/** Verifies a copy, which holds decision batches partition by partition in offset order. */
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

/** Hash that the scorer last committed, base64, by partition; null where it is not known. */
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
        decodeMetadata(splitOwner(metadata).metadata)?.chainHash ?? null,
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

// A copy of decision batches in a file, kept for longer than the topic keeps them: one line of JSON per batch, with its
// position and bytes. The chain of a copy verifies like that of the topic, also after a card was erased from it.

interface CopiedBatch {
  readonly partition: number
  readonly offset: number
  readonly value: Buffer
}

/** Writes all decision batches of the topic, or no file at all. Returns their number. */
export async function exportBatches(
  { brokers, security, topicPrefix }: DecidedStream,
  file: string,
  signal: AbortSignal,
): Promise<number> {
  const topics = [topicName(topicPrefix, 'decisions')]
  return await writeCopy(file, async (put) => {
    await readToEnd(
      { brokers, security, name: 'sluice-audit', topics, startAt: 'beginning' },
      async ({ partition, messages }) => {
        for (const { offset, value } of messages) {
          await put({ partition, offset: Number(offset), value: value ?? Buffer.alloc(0) })
        }
      },
      signal,
    )
  })
}

interface ErasedCopy {
  readonly blocks: number
  readonly erased: number
}

/**
 * Erases a card's values from a copy, in place. @throws SluiceError SLUICE_INPUT_INVALID when the file is not a copy.
 */
export async function eraseFromCopy(
  file: string,
  card: string,
  { decisionBatch }: Codecs,
): Promise<ErasedCopy> {
  let erased = 0
  const blocks = await writeCopy(file, async (put) => {
    for await (const copied of readCopy(file)) {
      const decoded = decisionBatch.decode(copied.value)
      if (!decoded.ok) throw notACopy(file, `block ${copied.offset} cannot be read`)
      const before = decoded.value
      const after = eraseCard(before, card)
      erased += after.erased.length - before.erased.length
      await put(after === before ? copied : { ...copied, value: decisionBatch.encode(after) })
    }
  })
  return { blocks, erased }
}

/** Decision batches in file order. @throws SluiceError SLUICE_INPUT_INVALID naming an invalid line. */
async function* readCopy(file: string): AsyncGenerator<CopiedBatch> {
  const input = createReadStream(file)
  let number = 0
  try {
    for await (const line of createInterface({ input, crlfDelay: Infinity })) {
      number += 1
      const copied = parseLine(line)
      if (copied === null) throw notACopy(file, `line ${number} is no block`)
      yield copied
    }
  } catch (error) {
    if (error instanceof SluiceError) throw error
    throw notACopy(file, error instanceof Error ? error.message : String(error))
  } finally {
    input.destroy()
  }
}

function parseLine(line: string): CopiedBatch | null {
  try {
    const { partition, offset, value } = JSON.parse(line) as Readonly<Record<string, unknown>>
    if (!Number.isSafeInteger(partition) || !Number.isSafeInteger(offset)) return null
    if (typeof value !== 'string') return null
    const place = { partition: Number(partition), offset: Number(offset) }
    return { ...place, value: Buffer.from(value, 'base64') }
  } catch {
    return null
  }
}

async function writeCopy(
  file: string,
  write: (put: (copied: CopiedBatch) => Promise<void>) => Promise<void>,
): Promise<number> {
  const part = `${file}.part`
  const output = createWriteStream(part)
  const failed = finished(output)
  failed.catch(() => undefined)
  let count = 0
  try {
    await write(async ({ partition, offset, value }) => {
      const line = JSON.stringify({ partition, offset, value: value.toString('base64') })
      count += 1
      if (!output.write(`${line}\n`)) await Promise.race([once(output, 'drain'), failed])
    })
    output.end()
    await failed
    await rename(part, file)
    return count
  } catch (error) {
    output.destroy()
    await rm(part, { force: true })
    if (error instanceof SluiceError || !isOfFile(error)) throw error
    throw notACopy(file, error.message)
  }
}

function isOfFile(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error && 'path' in error
}

function notACopy(file: string, problem: string): SluiceError {
  return new SluiceError(
    'SLUICE_INPUT_INVALID',
    `${file} cannot be used as a copy of blocks (${problem}); give a file that "sluice audit export" wrote, in a ` +
      'folder that can be written.',
  )
}

// The file of anchors. It is read whole, and only appended to.

/** About a million anchors. */
const FILE_BYTES_MAX = 256 * 1024 * 1024

/** Anchors of one stream. @throws SluiceError SLUICE_INPUT_INVALID naming an invalid line. */
export async function readAnchors(file: string): Promise<readonly Anchor[]> {
  if (!existsSync(file)) return []
  if ((await stat(file)).size > FILE_BYTES_MAX) {
    throw new SluiceError(
      'SLUICE_INPUT_INVALID',
      `${file} is larger than ${FILE_BYTES_MAX / 2 ** 20} MiB; give a file of anchors, or begin a new one.`,
    )
  }
  const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line !== '')
  return lines.map((line, index) => {
    const anchor = parseAnchor(line)
    if (anchor !== null) return anchor
    throw new SluiceError(
      'SLUICE_INPUT_INVALID',
      `Line ${index + 1} of ${file} is no anchor; restore the file from a copy, or remove a last line that was cut off.`,
    )
  })
}

/** Appends anchors; they are on disk when it resolves. */
export async function appendAnchors(file: string, anchors: readonly Anchor[]): Promise<void> {
  if (anchors.length === 0) return
  await makeFolder(dirname(file))
  const handle = await open(file, 'a')
  try {
    await handle.write(anchors.map(anchorLine).join(''))
    await handle.sync()
  } finally {
    await handle.close()
  }
}

// Formats the result of a chain check for people.

const SHOWN_MAX = 20

const HEAD: Readonly<Record<HeadStatus, string>> = {
  first: 'whole from the first block on',
  anchored: 'an anchor vouches for the beginning',
  unverified: 'THE BEGINNING IS NOT VERIFIED',
  empty: 'no block',
}

export function chainLines(summaries: readonly ChainSummary[]): readonly string[] {
  const findings = summaries.flatMap((summary) => summary.findings)
  const blocks = summaries.reduce((sum, each) => sum + each.blocks, 0)
  const decisions = summaries.reduce((sum, each) => sum + each.decisions, 0)
  return [
    ...summaries.map(partitionLine),
    ...(findings.length === 0 ? [] : ['']),
    ...findings.slice(0, SHOWN_MAX).map(({ fault, partition, offset, detail }) => {
      const place = offset === null ? `decisions/${partition}` : `decisions/${partition}/${offset}`
      return `!! ${fault} ${place}: ${detail}`
    }),
    ...(findings.length > SHOWN_MAX ? [`and ${findings.length - SHOWN_MAX} more`] : []),
    '',
    findings.length === 0
      ? `${blocks} blocks with ${decisions} decisions: the chain holds.`
      : `The chain is broken: ${findings.length} findings in ${blocks} blocks.`,
  ]
}

function partitionLine({
  partition,
  blocks,
  decisions,
  head,
  blocksBefore,
  newest,
}: ChainSummary): string {
  const before =
    blocksBefore === null || blocksBefore === 0
      ? ''
      : `, ${blocksBefore} decision batches before it are gone`
  const end = newest === null ? '' : `; newest ${newest.offset} ${newest.hash.slice(0, 16)}`
  return `partition ${partition}: ${blocks} blocks, ${decisions} decisions, ${HEAD[head]}${before}${end}`
}
