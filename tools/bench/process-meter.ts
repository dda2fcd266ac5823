// Cost of processes as the kernel accounts it: processor time of all their threads, and resident memory. Linux only. On
// other systems, and for processes that may not be observed, the result is "unknown", never 0.

import { readFileSync } from 'node:fs'

// The kernel reports processor time in ticks of 1/100 s, on every architecture that Node runs on.
const TICK_MS = 10
// After the name in brackets: user time is the 12th field, system time the 13th.
const USER_FIELD = 11
const SYSTEM_FIELD = 12

/** Process ids by name; null where the process is not known or not on this machine. */
export type Processes = Readonly<Record<string, number | null>>

/** Processor microseconds per event by process; null means unknown. */
export type CpuPerEvent = Readonly<Record<string, number | null>>

/** Processor time so far of a process, milliseconds; null when it cannot be seen. */
export function cpuMsOf(pid: number | null): number | null {
  const stat = readProcFile(pid, 'stat')
  return stat === null ? null : parseCpuMs(stat)
}

/** Resident memory of a process, bytes; null when it cannot be seen. */
export function residentBytesOf(pid: number | null): number | null {
  const status = readProcFile(pid, 'status')
  const kibibytes = status === null ? null : /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]
  return kibibytes === undefined || kibibytes === null ? null : Number(kibibytes) * 1_024
}

/** Parses the text of /proc/<pid>/stat; null if it is malformed. */
export function parseCpuMs(stat: string): number | null {
  // The name may contain spaces and brackets, so fields are counted from the last bracket.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = Number(fields[USER_FIELD] ?? NaN) + Number(fields[SYSTEM_FIELD] ?? NaN)
  return Number.isFinite(ticks) ? ticks * TICK_MS : null
}

/** Measures what processes spend between construction and `perEvent`. */
export class CpuMeter {
  readonly #processes: Processes
  readonly #startMs = new Map<string, number | null>()
  readonly #endMs = new Map<string, number | null>()

  constructor(processes: Processes) {
    this.#processes = processes
    for (const [name, pid] of Object.entries(processes)) this.#startMs.set(name, cpuMsOf(pid))
    this.sample()
  }

  /** Samples the time spent so far. A process that has ended keeps its last sample. */
  sample(): void {
    for (const [name, pid] of Object.entries(this.#processes)) {
      const nowMs = cpuMsOf(pid)
      if (nowMs !== null) this.#endMs.set(name, nowMs)
    }
  }

  /** Microseconds from construction to the last sample, divided by the number of events handled in that time. */
  perEvent(events: number): CpuPerEvent {
    return Object.fromEntries(
      Object.keys(this.#processes).map((name) => {
        const startMs = this.#startMs.get(name) ?? null
        const endMs = this.#endMs.get(name) ?? null
        if (startMs === null || endMs === null || events <= 0) return [name, null]
        return [name, ((endMs - startMs) * 1_000) / events]
      }),
    )
  }
}

function readProcFile(pid: number | null, file: 'stat' | 'status'): string | null {
  if (pid === null || process.platform !== 'linux') return null
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return null
  }
}
