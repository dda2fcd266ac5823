// The log of a lake on disk: one file for each commit, made by a link that fails when the number is taken, so that of
// two writers one stops. Every so many commits a checkpoint holds their fold, and commits far behind it are removed.

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
/** Commits that are kept behind the newest checkpoint, for readers that have begun to read them. */
const KEPT_COMMITS = 2 * CHECKPOINT_COMMITS
/** A reader may find a file gone that a writer has folded into a checkpoint since. */
const READ_ATTEMPTS_MAX = 5

/** Folder of the log's files. */
export function logFolder(lake: string): string {
  return join(lake, LAKE_RECORDS, 'log')
}

/**
 * What the lake holds now; NO_LAKE where there is none.
 * @throws SluiceError SLUICE_LAKE_DAMAGED when its log does not fold.
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
    `${folder} holds no lake; fill one with "sluice lake ingest --lake ${folder}", or name another folder with --lake.`,
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
 * Makes the commit, which then holds whatever happens; returns the state after it.
 * @throws SluiceError SLUICE_LAKE_BUSY when another writer has made a commit since `state`.
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
      `Another process has written to the lake since commit ${state.sequence}, so this one stops. Nothing is lost: ` +
        'what it had not committed is still in the topics.',
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
    if (entry === null || entry.sequence > state.sequence - KEPT_COMMITS) continue
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
    throw damaged(`${name} is no JSON`)
  }
}
