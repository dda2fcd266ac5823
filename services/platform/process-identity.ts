// Identifies processes by pid and start time. The system reuses the pid of a process that has ended, so a pid in a file
// counts only together with the start time of its process.

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

const POLL_MS = 20
const KILL_LIMIT_MS = 5_000
const PS_LIMIT_MS = 2_000
// In /proc/<pid>/stat after the name in brackets: the state comes first, the start time 20th.
const STATE_FIELD = 0
const START_FIELD = 19

/** Distinguishes a process from any later one with the same pid. `startTime` is opaque. */
export interface ProcessIdentity {
  readonly pid: number
  readonly startTime: string
}

/** The process with this pid, or null when there is none (a zombie has ended and counts as none). */
export function identify(pid: number): ProcessIdentity | null {
  const startTime = process.platform === 'linux' ? startTimeFromProc(pid) : startTimeFromPs(pid)
  return startTime === null ? null : { pid, startTime }
}

/** True while this very process runs. */
export function isAlive(identity: ProcessIdentity): boolean {
  return identify(identity.pid)?.startTime === identity.startTime
}

/** Sends SIGTERM, then SIGKILL after `graceMs`. Resolves once the process has ended; true if it needed SIGKILL. */
export async function endProcess(identity: ProcessIdentity, graceMs: number): Promise<boolean> {
  if (await signalAndWait(identity, 'SIGTERM', graceMs)) return false
  await signalAndWait(identity, 'SIGKILL', KILL_LIMIT_MS)
  return true
}

async function signalAndWait(
  identity: ProcessIdentity,
  signal: NodeJS.Signals,
  limitMs: number,
): Promise<boolean> {
  if (!isAlive(identity)) return true
  try {
    process.kill(identity.pid, signal)
    // A stopped process (SIGSTOP, Ctrl-Z) handles SIGTERM only after it continues.
    process.kill(identity.pid, 'SIGCONT')
  } catch {
    // The process ended between check and signal; the loop below detects that.
  }
  const deadlineMs = performance.now() + limitMs
  while (isAlive(identity)) {
    if (performance.now() >= deadlineMs) return false
    await delay(POLL_MS)
  }
  return true
}

function startTimeFromProc(pid: number): string | null {
  let stat: string
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch {
    return null
  }
  // The name may hold spaces and brackets, so the fields are counted from its last bracket.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const state = fields[STATE_FIELD]
  if (state === 'Z' || state === 'X') return null
  return fields[START_FIELD] ?? null
}

function startTimeFromPs(pid: number): string | null {
  try {
    const line = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], {
      encoding: 'utf8',
      timeout: PS_LIMIT_MS,
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim()
    return line === '' || line.startsWith('Z') ? null : line.slice(line.indexOf(' ') + 1).trim()
  } catch {
    return null // ps ends with 1 when there is no such process
  }
}
