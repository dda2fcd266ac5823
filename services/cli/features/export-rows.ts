// Writes the feature rows of decisions, as used to decide, to a CSV file.

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
  /** Event times from `fromMs` up to, but not including, `endMs`. */
  readonly fromMs: number
  readonly endMs: number
  /** Compressed when the name ends in .gz. */
  readonly out: string
  readonly withRevisions: boolean
  readonly onProgress: (line: string) => void
}

/** Counts of written and omitted rows. */
interface ExportSummary {
  rows: number
  revisions: number
  /** A repeat takes the outcome of its first decision, and has no row. */
  duplicates: number
  /** Decisions made with another feature list, whose columns would have another meaning. */
  otherFeatureList: number
  unreadableBatches: number
}

/** The file appears under its name once it is complete. @throws SluiceError as readBatches, and SLUICE_USAGE. */
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
  // The writer may fail before anything awaits it; a reader that continued would wait for room forever.
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

/** One line per decision: the shortest digits that give the same double again, and nothing for an absent value. */
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

// Reads every committed decision batch of a stream one at a time, so that memory does not grow with the topic.

const PROGRESS_BLOCKS = 20_000

interface BlocksRead {
  readonly blocks: number
  /** Messages of the topic that this version cannot read as decision batches. */
  readonly unreadable: number
}

/**
 * Passes on decision batches in the order of their partition. `isWanted` may reject a message before it is decoded,
 * which is the costly part. @throws SluiceError SLUICE_BROKER_UNAVAILABLE or SLUICE_TOPICS_INVALID, errors of
 * `onBlock`, or the signal's reason.
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

/** @throws SluiceError SLUICE_CONFIG_INVALID, or errors of a schema registry. */
export async function openStream(options: StreamOptions): Promise<DecidedStream> {
  const config = loadAlertsConfig(process.env)
  const { brokers, security, topicPrefix } = whereToLook(options, config)
  const url = config.schemaRegistryUrl
  const content = await openSchemaRegistry({ url, topicPrefix, register: false }).load()
  return { brokers, security, topicPrefix, codecs: createCodecs(content) }
}
