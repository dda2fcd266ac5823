// Who writes to a lake. The lock keeps people from starting a second writer by mistake; what keeps the lake right when
// it fails is the log itself, where two writers cannot make the same commit.

import { randomUUID } from 'node:crypto'
import { statSync, utimesSync, writeFileSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { hostname } from 'node:os'
import { clearInterval, setInterval } from 'node:timers'
import { SluiceError } from '../../core/errors.ts'
import { identify, isAlive } from '../process-identity.ts'
import { errorCodeOf, giveName } from './durable-files.ts'

/** A holder of another machine that has not touched its lock for this long is taken for dead. */
const STALE_MS = 60_000
const TOUCH_MS = 10_000
const ATTEMPTS_MAX = 3

interface Holder {
  readonly host: string
  readonly pid: number
  readonly startTime: string
  readonly writer: string
  /** Tells this taking of the lock from every other. */
  readonly token: string
}

export interface WriterLock {
  release(): Promise<void>
}

/** @throws SluiceError SLUICE_LAKE_BUSY when a living process holds it. */
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
    // Taken away by a later writer; the next commit finds out.
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
    `The lake is being written by ${who}. Stop it or wait for it; if it is gone, delete ${path}.`,
  )
}
