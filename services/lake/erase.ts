// A card is erased: the files that hold it are written anew without its rows, and replace the old ones in one commit a
// step. Whatever ends it, each step is done or not done, and the same command again does the rest.

import { randomUUID } from 'node:crypto'
import { tmpdir } from 'node:os'
import type { Clock } from '../core/clock.ts'
import { SluiceError } from '../core/errors.ts'
import {
  NO_ROWS,
  REFERENCE_CHARACTERS_MAX,
  addRows,
  totalRows,
  type TableRows,
} from '../core/lake/erasure.ts'
import type { DuckDbSession } from '../platform/lake/duckdb.ts'
import type { LakeWriter } from '../platform/lake/lake-writer.ts'
import { findCard, type EraseStep } from './card-rows.ts'
import { stageResults } from './flush.ts'
import { temporaryFolder } from './folders.ts'
import { openReader, readFailure } from './read-failure.ts'
import { rewriteWithout } from './rewrite-file.ts'
import { writingTo } from './writing.ts'

/** What is to be erased. */
export interface EraseRequest {
  /** Of the run; it is in the log of the lake. */
  readonly id: string
  readonly card: string
  readonly reference: string | null
}

/** What was erased, or would be. */
export interface EraseSummary {
  readonly id: string
  readonly reference: string | null
  readonly rows: TableRows
  /** Files that held the card. */
  readonly files: number
  /** The newest commit that erased; null when there was nothing to erase. */
  readonly commit: number | null
}

/** One step, once it is committed. */
export interface EraseProgress {
  readonly step: number
  readonly steps: number
  readonly commit: number
  readonly files: number
  readonly rows: number
}

export interface EraseOptions {
  readonly folder: string
  readonly request: EraseRequest
  readonly clock: Clock
  readonly onStep: (progress: EraseProgress) => void
}

/** @throws SluiceError SLUICE_USAGE when there is no card, or the reference is too long or names the card. */
export function eraseRequest(card: string, reference: string | null): EraseRequest {
  if (card === '') throw usage('--card must not be empty')
  if (reference !== null && reference.length > REFERENCE_CHARACTERS_MAX) {
    throw usage(`--reference has more than ${REFERENCE_CHARACTERS_MAX} characters`)
  }
  if (reference?.includes(card) === true) {
    throw usage('--reference must not contain the card: it is kept')
  }
  return { id: randomUUID(), card, reference }
}

/**
 * Erases the card from every table.
 * @throws SluiceError SLUICE_LAKE_BUSY, SLUICE_LAKE_DAMAGED, SLUICE_USAGE when there is no lake, or the signal's reason.
 */
export async function eraseFromLake(
  { folder, request, clock, onStep }: EraseOptions,
  signal: AbortSignal,
): Promise<EraseSummary> {
  return writingTo({ folder, writer: 'sluice lake erase', clock }, (session, writer) =>
    eraseCard(session, writer, { request, clock, onStep }, signal),
  )
}

/** What `eraseFromLake` would erase; changes nothing. @throws SluiceError as openLakeReader. */
export async function findInLake(folder: string, request: EraseRequest): Promise<EraseSummary> {
  const reader = await openReader(folder, {
    temporaryFolder: temporaryFolder(tmpdir()),
    isLocked: false,
  })
  try {
    const steps = await findCard(reader.session, folder, reader.state, request.card)
    return { ...summaryOf(request, steps.flat()), commit: null }
  } catch (error) {
    throw readFailure(error) ?? error
  } finally {
    await reader.close()
  }
}

/** The same with a writer that is open already. @throws SluiceError as eraseFromLake. */
export async function eraseCard(
  session: DuckDbSession,
  writer: LakeWriter,
  { request, clock, onStep }: Omit<EraseOptions, 'folder'>,
  signal: AbortSignal,
): Promise<EraseSummary> {
  try {
    const steps = await findCard(session, writer.folder, writer.state, request.card)
    let commit: number | null = null
    for (const [index, step] of steps.entries()) {
      signal.throwIfAborted()
      commit = await commitStep(session, writer, request, step, clock)
      const rows = step.reduce((sum, each) => sum + each.rows, 0)
      onStep({ step: index + 1, steps: steps.length, commit, files: step.length, rows })
    }
    return { ...summaryOf(request, steps.flat()), commit }
  } catch (error) {
    throw readFailure(error) ?? error
  }
}

async function commitStep(
  session: DuckDbSession,
  writer: LakeWriter,
  request: EraseRequest,
  step: EraseStep,
  clock: Clock,
): Promise<number> {
  const commit = writer.state.sequence + 1
  const staged = []
  const results = []
  for (const [index, holding] of step.entries()) {
    const made = await rewriteWithout(session, writer, holding, request.card, index)
    if (made.staged !== null) staged.push(made.staged)
    results.push(...made.results)
  }
  staged.push(...(await stageResults(session, writer.staging, results, commit, clock.nowMs())))
  const { id, reference, files, rows } = summaryOf(request, step)
  await writer.commit({
    kind: 'erase',
    staged,
    removed: step.map(({ file }) => file.path),
    erased: { id, reference, files, rows },
  })
  return commit
}

function summaryOf({ id, reference }: EraseRequest, step: EraseStep): Omit<EraseSummary, 'commit'> {
  const rows = step.reduce(
    (sum, { table, rows: count }) => addRows(sum, { ...NO_ROWS, [table]: count }),
    NO_ROWS,
  )
  return { id, reference, rows, files: step.length }
}

/** Rows of all tables. */
export function erasedRows({ rows }: EraseSummary): number {
  return totalRows(rows)
}

function usage(problem: string): SluiceError {
  return new SluiceError(
    'SLUICE_USAGE',
    `sluice lake erase: ${problem}; see "sluice lake erase --help".`,
  )
}
