// The single writer of a lake. Files are staged, then named, and become part of the lake when a commit lists them.
//
// Opening a lake first makes a commit, which fences earlier writers, and only then removes files that no commit lists:
// leftovers of a killed process. Such files are therefore never live, and a fenced writer fails at its next commit,
// before any of its changes count. It then touches nothing more.

import { randomUUID } from 'node:crypto'
import { statSync, utimesSync, writeFileSync } from 'node:fs'
import { readdir, readFile, rm } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { clearInterval, setInterval } from 'node:timers'
import type { Clock } from '../../core/clock.ts'
import { SluiceError } from '../../core/errors.ts'
import {
  type CommitKind,
  type ErasedRows,
  type ImportedSource,
  LAKE_RECORDS,
  type LakeFile,
  type LakeState,
  LOG_FORMAT,
} from '../../core/lake/lake-log.ts'
import { LAKE_TABLES } from '../../core/lake/lake-tables.ts'
import { identify, isAlive } from '../process-identity.ts'
import { appendCommit, logFolder, noLake, readLakeState } from './commit-log.ts'
import { type DuckDbSession, openDuckDb, temporaryFolder } from './duckdb.ts'
import { errorCodeOf, giveName, makeFolder } from './durable-files.ts'

/** Names tried for one file. */
const NAMES_MAX = 8

/** A finished file in the staging folder, and its entry in the log. */
export interface StagedFile {
  readonly stagedPath: string
  readonly file: LakeFile
}

export interface Changes {
  readonly kind: CommitKind
  readonly staged: readonly StagedFile[]
  /** Paths relative to the lake's folder. */
  readonly removed?: readonly string[]
  readonly next?: Readonly<Record<string, number>>
  readonly sources?: readonly ImportedSource[]
  readonly erased?: ErasedRows
}

export interface LakeWriterOptions {
  readonly folder: string
  /** Name of the writing command, for the log and for the error of other writers. */
  readonly writer: string
  /** Prefix of the topics; a lake is bound to one stream. Null when the writer reads no topics. */
  readonly topicPrefix: string | null
  readonly clock: Clock
  /** Refuses a folder without a lake instead of creating one. */
  readonly mustExist?: boolean
}

export interface LakeWriter {
  readonly folder: string
  /** Folder for new files, on the lake's disk; emptied when the lake is opened. */
  readonly staging: string
  /** As of the newest commit. */
  readonly state: LakeState
  /** Commits all changes atomically. @throws SluiceError SLUICE_LAKE_BUSY when another writer has taken over. */
  commit(changes: Changes): Promise<void>
  close(): Promise<void>
}

/**
 * Opens the lake for writing; creates it when there is none.
 * @throws SluiceError SLUICE_LAKE_BUSY, SLUICE_LAKE_DAMAGED, or SLUICE_USAGE when it belongs to other topics, or when it
 * must exist and does not.
 */
export async function openLakeWriter(options: LakeWriterOptions): Promise<LakeWriter> {
  const { folder, writer } = options
  if (options.mustExist === true && (await readLakeState(folder)).sequence < 0) throw noLake(folder)
  const staging = join(folder, LAKE_RECORDS, 'staging')
  await makeFolder(logFolder(folder))
  await makeFolder(staging)
  const lock = await takeWriterLock(join(folder, LAKE_RECORDS, 'writer.lock'), writer)
  try {
    const opened = new Writer(options, staging, lock, await readLakeState(folder))
    await opened.begin()
    return opened
  } catch (error) {
    await lock.release()
    throw error
  }
}

/**
 * Runs `work` with an existing lake open for writing and a database, and closes both.
 * @throws SluiceError SLUICE_LAKE_BUSY, SLUICE_LAKE_DAMAGED, SLUICE_USAGE when there is no lake, or what `work` throws.
 */
export async function withLakeWriter<Result>(
  { folder, writer: name, clock }: Pick<LakeWriterOptions, 'folder' | 'writer' | 'clock'>,
  work: (session: DuckDbSession, writer: LakeWriter) => Promise<Result>,
): Promise<Result> {
  const options = { folder, writer: name, clock, topicPrefix: null, mustExist: true }
  const writer = await openLakeWriter(options)
  try {
    const session = await openDuckDb(temporaryFolder(writer.staging))
    try {
      return await work(session, writer)
    } finally {
      await session.close()
    }
  } finally {
    await writer.close()
  }
}

class Writer implements LakeWriter {
  readonly folder: string
  readonly staging: string
  readonly #options: LakeWriterOptions
  readonly #lock: WriterLock
  #state: LakeState

  constructor(options: LakeWriterOptions, staging: string, lock: WriterLock, state: LakeState) {
    this.folder = options.folder
    this.staging = staging
    this.#options = options
    this.#lock = lock
    this.#state = state
  }

  get state(): LakeState {
    return this.#state
  }

  async begin(): Promise<void> {
    const { topicPrefix } = this.#options
    const isNew = this.#state.sequence < 0
    const known = this.#state.topicPrefix
    if (topicPrefix !== null && known !== null && known !== topicPrefix) {
      throw new SluiceError(
        'SLUICE_USAGE',
        `The lake in ${this.folder} is filled from topics with the prefix "${known}", not "${topicPrefix}"; give each ` +
          'stream a lake of its own.',
      )
    }
    // This commit fences earlier writers; it must precede any removal.
    await this.#append({ kind: isNew ? 'create' : 'open', staged: [] }, known ?? topicPrefix)
    await this.#removeLeftovers()
  }

  async commit(changes: Changes): Promise<void> {
    const staged: StagedFile[] = []
    for (const each of changes.staged) staged.push(await this.#named(each))
    await this.#append({ ...changes, staged }, null)
    // No longer referenced. A reader that listed them earlier gets SLUICE_LAKE_BUSY and starts again.
    for (const path of changes.removed ?? []) await rm(join(this.folder, path), { force: true })
  }

  async close(): Promise<void> {
    await this.#lock.release()
  }

  async #append(changes: Changes, topicPrefix: string | null): Promise<void> {
    const { clock, writer } = this.#options
    const { kind, staged, removed = [], next = {}, sources, erased } = changes
    this.#state = await appendCommit(this.folder, this.staging, this.#state, {
      format: LOG_FORMAT,
      sequence: this.#state.sequence + 1,
      atMs: clock.nowMs(),
      kind,
      writer,
      ...(topicPrefix === null ? {} : { topicPrefix }),
      added: staged.map(({ file }) => file),
      removed,
      next,
      ...(sources === undefined ? {} : { sources }),
      ...(erased === undefined ? {} : { erased }),
    })
  }

  /**
   * Gives the file its final name. An existing name belongs to a fenced writer, or to one that has fenced this one; in
   * either case the file must stay, so the next name is tried.
   */
  async #named({ stagedPath, file }: StagedFile): Promise<StagedFile> {
    await makeFolder(dirname(join(this.folder, file.path)))
    for (let attempt = 1; attempt <= NAMES_MAX; attempt += 1) {
      const suffix = attempt === 1 ? '' : `-${attempt}`
      const path = file.path.replace(/\.parquet$/, `${suffix}.parquet`)
      if (await giveName(stagedPath, join(this.folder, path))) {
        return { stagedPath, file: { ...file, path } }
      }
    }
    throw new SluiceError(
      'SLUICE_LAKE_BUSY',
      `${file.path} and ${NAMES_MAX - 1} names like it are taken: more than one process writes to the lake. Stop the others.`,
    )
  }

  async #removeLeftovers(): Promise<void> {
    for (const name of await readdir(this.staging)) {
      await rm(join(this.staging, name), { force: true, recursive: true })
    }
    for (const table of LAKE_TABLES) {
      for (const day of await foldersOrNone(join(this.folder, table))) {
        for (const name of await foldersOrNone(join(this.folder, table, day))) {
          const path = `${table}/${day}/${name}`
          const isOurs = /^part-.*\.parquet$/.test(name)
          if (isOurs && !this.#state.files.has(path)) await rm(join(this.folder, path))
        }
      }
    }
  }
}

async function foldersOrNone(path: string): Promise<readonly string[]> {
  try {
    return await readdir(path)
  } catch (error) {
    if (errorCodeOf(error) === 'ENOENT' || errorCodeOf(error) === 'ENOTDIR') return []
    throw error
  }
}

// The lock of the writer. It prevents a second writer from being started by mistake. Correctness does not depend on it:
// two writers cannot make the same commit in the log.

/** A holder on another machine that has not touched its lock for this long is considered dead. */
const STALE_MS = 60_000
const TOUCH_MS = 10_000
const ATTEMPTS_MAX = 3

interface Holder {
  readonly host: string
  readonly pid: number
  readonly startTime: string
  readonly writer: string
  /** Unique for each acquisition of the lock. */
  readonly token: string
}

export interface WriterLock {
  release(): Promise<void>
}

/** @throws SluiceError SLUICE_LAKE_BUSY when a live process holds the lock. */
export async function takeWriterLock(path: string, writer: string): Promise<WriterLock> {
  const identity = identify(process.pid)
  const mine: Holder = {
    host: hostname(),
    pid: process.pid,
    startTime: identity?.startTime ?? '',
    writer,
    token: randomUUID(),
  }
  const own = `${path}.${mine.token}`
  for (let attempt = 1; ; attempt += 1) {
    writeFileSync(own, JSON.stringify(mine))
    if (await giveName(own, path)) break
    await rm(own, { force: true })
    const holder = await readHolder(path)
    if ((holder !== null && isHeld(path, holder)) || attempt === ATTEMPTS_MAX) {
      throw busy(path, holder)
    }
    await rm(path, { force: true })
  }
  const timer = setInterval(() => {
    touch(path)
  }, TOUCH_MS)
  timer.unref()
  return {
    async release() {
      clearInterval(timer)
      const holder = await readHolder(path)
      if (holder?.token === mine.token) await rm(path, { force: true })
    },
  }
}

function isHeld(path: string, { host, pid, startTime }: Holder): boolean {
  if (host === hostname()) return isAlive({ pid, startTime })
  try {
    return Date.now() - statSync(path).mtimeMs < STALE_MS
  } catch {
    return false
  }
}

function touch(path: string): void {
  try {
    const now = new Date()
    utimesSync(path, now, now)
  } catch {
    // A later writer has removed the lock; the next commit detects that.
  }
}

async function readHolder(path: string): Promise<Holder | null> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'))
    if (typeof value !== 'object' || value === null) return null
    const { host, pid, startTime, writer, token } = value as Partial<Record<keyof Holder, unknown>>
    if (typeof host !== 'string' || typeof pid !== 'number') return null
    if (typeof startTime !== 'string' || typeof writer !== 'string') return null
    if (typeof token !== 'string') return null
    return { host, pid, startTime, writer, token }
  } catch (error) {
    if (error instanceof SyntaxError || errorCodeOf(error) === 'ENOENT') return null
    throw error
  }
}

function busy(path: string, holder: Holder | null): SluiceError {
  const who =
    holder === null
      ? 'another process'
      : `${holder.writer} (process ${holder.pid} on ${holder.host})`
  return new SluiceError(
    'SLUICE_LAKE_BUSY',
    `The lake is being written by ${who}. Stop it or wait for it; if it no longer runs, delete ${path}.`,
  )
}
