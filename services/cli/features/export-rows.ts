// Writes the feature rows of decisions to a file of comma separated values: what was really used to decide.

import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { PassThrough, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { SluiceError } from '../../core/errors.ts'
import { FEATURE_LIST_HASH, FEATURE_NAMES } from '../../core/features/catalogue/feature-list.ts'
import { recordedBatchOf } from '../../core/features/provenance/replay-records.ts'
import type { DecisionBatch } from '../../core/wire/records.ts'
import type { DecidedStream } from './open-stream.ts'
import { readBatches } from './read-batches.ts'

export interface ExportOptions {
  /** Event times from `fromMs` up to but without `endMs`. */
  readonly fromMs: number
  readonly endMs: number
  /** Compressed when the name ends in .gz. */
  readonly out: string
  readonly withRevisions: boolean
  readonly onProgress: (line: string) => void
}

/** What was written, and what was not. */
export interface ExportSummary {
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
