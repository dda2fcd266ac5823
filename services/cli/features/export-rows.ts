// Writes the feature rows of decisions to a file of comma separated values, as they were used to decide.

import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { PassThrough, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { loadAlertsConfig } from '../../alerts/index.ts'
import { SluiceError } from '../../core/errors.ts'
import { FEATURE_LIST_HASH, FEATURE_NAMES } from '../../core/features/catalogue/feature-list.ts'
import { recordedBatchOf } from '../../core/features/provenance/replay-records.ts'
import { type Codecs, createCodecs } from '../../core/wire/codecs.ts'
import type { DecisionBatch } from '../../core/wire/records.ts'
import { readToEnd } from '../../platform/kafka/committed-reader.ts'
import type { KafkaConnection } from '../../platform/kafka/kafka-connection.ts'
import { topicName } from '../../platform/kafka/topics.ts'
import { openSchemaRegistry } from '../../platform/registry/http-registry.ts'
import { whereToLook } from '../commands/stream-options.ts'

interface ExportOptions {
  /** Event times from `fromMs` up to but without `endMs`. */
  readonly fromMs: number
  readonly endMs: number
  /** Compressed when the name ends in .gz. */
  readonly out: string
  readonly withRevisions: boolean
  readonly onProgress: (line: string) => void
}

/** What was written, and what was not. */
interface ExportSummary {
  rows: number
  revisions: number
  /** Repeats of a transaction get its first decision again, and have no row. */
  duplicates: number
  /** Decisions made from another list of features; their columns would mean something else. */
  otherFeatureList: number
  unreadableBatches: number
}

/** The file appears under its name once it is whole. @throws SluiceError as readBatches, and SLUICE_USAGE. */
export async function exportRows(
  stream: DecidedStream,
  options: ExportOptions,
  signal: AbortSignal,
): Promise<ExportSummary> {
  const { out, withRevisions, onProgress } = options
  const summary: ExportSummary = {
    rows: 0,
    revisions: 0,
    duplicates: 0,
    otherFeatureList: 0,
    unreadableBatches: 0,
  }
  const part = `${out}.part`
  const lines = new PassThrough()
  const file = createWriteStream(part)
  const written = out.endsWith('.gz') ? pipeline(lines, createGzip(), file) : pipeline(lines, file)
  const failed = written.catch((error: unknown) => {
    throw notWritten(out, error)
  })
  // It may fail before anything waits for it; a reader that goes on would wait for room that never comes.
  failed.catch(() => undefined)
  const put = async (text: string): Promise<void> => {
    if (!lines.write(text)) await Promise.race([drained(lines), failed])
  }
  try {
    await put(headingOf(withRevisions))
    const read = await readBatches(
      stream,
      () => true,
      async (block) => {
        const text = rowsOf(block, options, summary)
        if (text !== '') await put(text)
      },
      (line) => {
        onProgress(`${line}, ${summary.rows} rows written`)
      },
      signal,
    )
    summary.unreadableBatches = read.unreadable
    lines.end()
    await failed
    await rename(part, out)
    return summary
  } catch (error) {
    lines.destroy()
    await rm(part, { force: true })
    throw error
  }
}

function headingOf(withRevisions: boolean): string {
  const columns = ['transaction_id', ...(withRevisions ? ['revision'] : []), ...FEATURE_NAMES]
  return `${columns.join(',')}\n`
}

/** One line a decision: shortest digits that give the same double again, nothing for what is absent. */
function rowsOf(block: DecisionBatch, options: ExportOptions, summary: ExportSummary): string {
  const { fromMs, endMs, withRevisions } = options
  const recorded = recordedBatchOf(block)
  let text = ''
  for (const [index, decision] of block.decisions.entries()) {
    const { eventTimeMs, revision, duplicateOfOffset, transactionId } = decision
    if (eventTimeMs < fromMs || eventTimeMs >= endMs) continue
    if (revision > 0 && !withRevisions) continue
    if (duplicateOfOffset !== null) {
      summary.duplicates += 1
      continue
    }
    if (block.featureListHash !== FEATURE_LIST_HASH) {
      summary.otherFeatureList += 1
      continue
    }
    text += quoted(transactionId)
    if (withRevisions) text += `,${revision}`
    for (const value of recorded.rowAt(index).values) {
      text += Number.isNaN(value) ? ',' : `,${value}`
    }
    text += '\n'
    summary.rows += 1
    if (revision > 0) summary.revisions += 1
  }
  return text
}

function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

async function drained(lines: Writable): Promise<void> {
  await once(lines, 'drain')
}

function notWritten(out: string, cause: unknown): SluiceError {
  const problem = cause instanceof Error ? cause.message : String(cause)
  return new SluiceError(
    'SLUICE_USAGE',
    `${out} cannot be written (${problem}); give --out a file in a folder that exists.`,
    { cause },
  )
}

// Reads every committed decision batch of a stream, one after the other, so that memory does not grow with it.

const PROGRESS_BLOCKS = 20_000

interface BlocksRead {
  readonly blocks: number
  /** Messages of the topic that are no block this version can read. */
  readonly unreadable: number
}

/**
 * Hands over blocks in the order of their partition. `isWanted` may leave a message out before it is decoded, which is
 * what costs time.
 * @throws SluiceError SLUICE_BROKER_UNAVAILABLE or SLUICE_TOPICS_INVALID, what `onBlock` throws, or the signal's reason.
 */
export async function readBatches(
  { brokers, security, topicPrefix, codecs }: DecidedStream,
  isWanted: (value: Buffer) => boolean,
  onBlock: (block: DecisionBatch) => void | Promise<void>,
  onProgress: (line: string) => void,
  signal: AbortSignal,
): Promise<BlocksRead> {
  const seen = { blocks: 0, unreadable: 0 }
  const topics = [topicName(topicPrefix, 'decisions')]
  await readToEnd(
    { brokers, security, name: 'sluice-features', topics, startAt: 'beginning' },
    async ({ messages }) => {
      for (const { value } of messages) {
        seen.blocks += 1
        if (seen.blocks % PROGRESS_BLOCKS === 0) onProgress(`${seen.blocks} decision batches read`)
        if (value === null || !isWanted(value)) continue
        const decoded = codecs.decisionBatch.decode(value)
        if (decoded.ok) await onBlock(decoded.value)
        else seen.unreadable += 1
      }
    },
    signal,
  )
  return seen
}

// Opens the stream whose decisions are read.

export interface StreamOptions {
  readonly brokers?: readonly string[]
  readonly topicPrefix?: string
  readonly json?: boolean
}

export interface DecidedStream extends KafkaConnection {
  readonly topicPrefix: string
  readonly codecs: Codecs
}

/** @throws SluiceError SLUICE_CONFIG_INVALID, or what a schema registry throws. */
export async function openStream(options: StreamOptions): Promise<DecidedStream> {
  const config = loadAlertsConfig(process.env)
  const { brokers, security, topicPrefix } = whereToLook(options, config)
  const url = config.schemaRegistryUrl
  const content = await openSchemaRegistry({ url, topicPrefix, register: false }).load()
  return { brokers, security, topicPrefix, codecs: createCodecs(content) }
}
