// The log of a lake on disk: one file per commit, created by a link that fails when the number exists, so of two
// concurrent writers one stops. Every CHECKPOINT_COMMITS commits a checkpoint stores the state, and old commits go.

import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { SluiceError } from '../../core/errors.ts'
import {
  applyCommits,
  checkpointName,
  checkpointOf,
  commitName,
  damaged,
  LAKE_RECORDS,
  type LakeCommit,
  type LakeState,
  NO_LAKE,
  parseCommit,
  parseLogName,
  stateOfCheckpoint,
} from '../../core/lake/lake-log.ts'
import { errorCodeOf, giveName, writeDurably } from './durable-files.ts'

/** Commits between two checkpoints. */
const CHECKPOINT_COMMITS = 64
/** Commits retained before the newest checkpoint, for readers that have already listed them. */
const RETAINED_COMMITS = 2 * CHECKPOINT_COMMITS
/** A reader retries when a listed file was folded into a checkpoint and removed. */
const READ_ATTEMPTS_MAX = 5

/** Folder of the log. */
export function logFolder(lake: string): string {
  return join(lake, LAKE_RECORDS, 'log')
}

/**
 * The current state of the lake; NO_LAKE when it does not exist.
 * @throws SluiceError SLUICE_LAKE_DAMAGED when its log is inconsistent.
 */
export async function readLakeState(lake: string): Promise<LakeState> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await readOnce(logFolder(lake))
    } catch (error) {
      if (errorCodeOf(error) !== 'ENOENT' || attempt === READ_ATTEMPTS_MAX) throw error
    }
  }
}

/** The error for a folder without a lake. */
export function noLake(folder: string): SluiceError {
  return new SluiceError(
    'SLUICE_USAGE',
    `${folder} is not a lake; fill one with "sluice lake ingest --lake ${folder}", or name another folder with --lake.`,
  )
}

async function readOnce(folder: string): Promise<LakeState> {
  const names = await namesIn(folder)
  const found = names.map(parseLogName).filter((entry) => entry !== null)
  const sequencesOf = (wanted: 'commit' | 'checkpoint'): number[] =>
    found
      .filter(({ kind }) => kind === wanted)
      .map(({ sequence }) => sequence)
      .sort((left, right) => left - right)
  const checkpoint = sequencesOf('checkpoint').at(-1)
  let state = NO_LAKE
  if (checkpoint !== undefined) {
    const name = checkpointName(checkpoint)
    state = stateOfCheckpoint(name, await readJson(folder, name))
  }
  const commits: LakeCommit[] = []
  for (const sequence of sequencesOf('commit')) {
    if (sequence <= state.sequence) continue
    const name = commitName(sequence)
    commits.push(parseCommit(name, await readJson(folder, name)))
  }
  return applyCommits(state, commits)
}

/**
 * Makes the commit durable and returns the state after it.
 * @throws SluiceError SLUICE_LAKE_BUSY when another writer has committed since `state`.
 */
export async function appendCommit(
  lake: string,
  staging: string,
  state: LakeState,
  commit: LakeCommit,
): Promise<LakeState> {
  const after = applyCommits(state, [commit])
  const folder = logFolder(lake)
  const name = commitName(commit.sequence)
  const staged = join(staging, name)
  await rm(staged, { force: true })
  await writeDurably(staged, `${JSON.stringify(commit)}\n`)
  if (!(await giveName(staged, join(folder, name)))) {
    throw new SluiceError(
      'SLUICE_LAKE_BUSY',
      `Another process has written to the lake since commit ${state.sequence}, so this writer stops. Nothing is lost: ` +
        'rows not committed are still in the topics.',
    )
  }
  if (commit.sequence > 0 && commit.sequence % CHECKPOINT_COMMITS === 0) {
    await writeCheckpoint(folder, staging, after)
  }
  return after
}

async function writeCheckpoint(folder: string, staging: string, state: LakeState): Promise<void> {
  const name = checkpointName(state.sequence)
  const staged = join(staging, name)
  await rm(staged, { force: true })
  await writeDurably(staged, `${JSON.stringify(checkpointOf(state))}\n`)
  await giveName(staged, join(folder, name))
  for (const old of await namesIn(folder)) {
    const entry = parseLogName(old)
    if (entry === null || entry.sequence > state.sequence - RETAINED_COMMITS) continue
    await rm(join(folder, old), { force: true })
  }
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (errorCodeOf(error) === 'ENOENT') return []
    throw error
  }
}

async function readJson(folder: string, name: string): Promise<unknown> {
  const text = await readFile(join(folder, name), 'utf8')
  try {
    return JSON.parse(text)
  } catch {
    throw damaged(`${name} is not JSON`)
  }
}
