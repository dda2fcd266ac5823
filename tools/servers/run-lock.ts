// One `sluice up` (or down) at a time: a lock file that names its holder, so that the lock of a dead
// process is ignored.

import { linkSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { SluiceError } from '../../services/core/errors.ts'
import { readFileIfPresent } from '../../services/platform/files/atomic-file.ts'
import {
  identify,
  isAlive,
  type ProcessIdentity,
} from '../../services/platform/process-identity.ts'

const POLL_MS = 100
const WAIT_MS_MAX = 15 * 60_000
let lockCount = 0

export interface RunLockOptions {
  /** Called once when another process holds the lock. */
  readonly onWait: (holderPid: number) => void
  readonly signal?: AbortSignal | undefined
}

/**
 * Runs `work` while holding the lock file, waiting for a living holder first.
 * @throws SluiceError SLUICE_PROVISION_FAILED when the holder keeps it longer than 15 minutes.
 */
export async function withRunLock<Result>(
  path: string,
  options: RunLockOptions,
  work: () => Promise<Result>,
): Promise<Result> {
  mkdirSync(dirname(path), { recursive: true })
  const deadlineMs = performance.now() + WAIT_MS_MAX
  let told = false
  for (;;) {
    options.signal?.throwIfAborted()
    const holder = tryTake(path)
    if (holder === null) break
    if (performance.now() > deadlineMs) {
      throw new SluiceError(
        'SLUICE_PROVISION_FAILED',
        `Process ${holder.pid} has held ${path} for 15 minutes. End that process, or delete the file if it is not ours.`,
      )
    }
    if (!told && holder.pid !== 0) {
      told = true
      options.onWait(holder.pid)
    }
    await delay(POLL_MS)
  }
  try {
    return await work()
  } finally {
    rmSync(path, { force: true })
  }
}

/** Takes the lock and returns null, or returns who holds it (pid 0: released or forgotten a moment ago). */
function tryTake(path: string): ProcessIdentity | null {
  lockCount += 1
  const mine = `${path}.${process.pid}.${lockCount}`
  writeFileSync(mine, JSON.stringify(identify(process.pid)))
  try {
    // A link appears together with its content, so no reader ever sees an empty lock.
    linkSync(mine, path)
    return null
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
    const holder = parseHolder(readFileIfPresent(path))
    if (holder !== null && isAlive(holder)) return holder
    rmSync(path, { force: true })
    return { pid: 0, startTime: '' }
  } finally {
    rmSync(mine, { force: true })
  }
}

function parseHolder(text: string | null): ProcessIdentity | null {
  try {
    const value: unknown = JSON.parse(text ?? 'null')
    if (typeof value !== 'object' || value === null) return null
    if (!('pid' in value) || typeof value.pid !== 'number') return null
    if (!('startTime' in value) || typeof value.startTime !== 'string') return null
    return { pid: value.pid, startTime: value.startTime }
  } catch {
    return null
  }
}
