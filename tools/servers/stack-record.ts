// What runs, as written to .sluice/run/stack.json: enough for a later command to find it, judge it and end it.

import {
  readFileIfPresent,
  writeFileAtomically,
} from '../../services/platform/files/atomic-file.ts'
import type { ProcessIdentity } from '../../services/platform/process-identity.ts'

/** One server that we run. `ports[0]` is the one that clients use. */
export interface ServerRecord {
  readonly provider: 'local' | 'compose'
  /** Null for a server that Docker runs. */
  readonly process: ProcessIdentity | null
  readonly ports: readonly number[]
  /** Hash of everything that shapes the server; another hash means that it is out of date. */
  readonly configHash: string
}

export interface StackRecord {
  /** True once a person ran `sluice up`: then only `sluice down` ends the servers. */
  kept: boolean
  /** Processes that use the servers; the last living one ends them unless they are kept. */
  users: ProcessIdentity[]
  kafka: ServerRecord | null
  redis: ServerRecord | null
}

/** A record of nothing running. */
export function emptyRecord(): StackRecord {
  return { kept: false, users: [], kafka: null, redis: null }
}

/** Reads the record; absent or unreadable is as good as nothing running. */
export function readRecord(path: string): StackRecord {
  const text = readFileIfPresent(path)
  return (text === null ? null : parseRecord(text)) ?? emptyRecord()
}

/** Writes the record, whole or not at all. */
export function writeRecord(path: string, record: StackRecord): void {
  writeFileAtomically(path, `${JSON.stringify(record, null, 2)}\n`)
}

/** Parses a record, or returns null when the text is not one. */
export function parseRecord(text: string): StackRecord | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  if (!isObject(value) || typeof value['kept'] !== 'boolean' || !Array.isArray(value['users'])) {
    return null
  }
  const users = value['users'].map(parseIdentity)
  const kafka = parseServer(value['kafka'])
  const redis = parseServer(value['redis'])
  if (users.includes(null) || kafka === undefined || redis === undefined) return null
  return { kept: value['kept'], users: users.filter((user) => user !== null), kafka, redis }
}

function parseServer(value: unknown): ServerRecord | null | undefined {
  if (value === null) return null
  if (!isObject(value)) return undefined
  const { provider, ports, configHash } = value
  if (provider !== 'local' && provider !== 'compose') return undefined
  if (!Array.isArray(ports) || ports.length === 0 || !ports.every(isPort)) return undefined
  if (typeof configHash !== 'string') return undefined
  const identity = parseIdentity(value['process'])
  if (provider === 'local' && identity === null) return undefined
  return { provider, process: identity, ports, configHash }
}

function parseIdentity(value: unknown): ProcessIdentity | null {
  if (!isObject(value)) return null
  const { pid, startTime } = value
  // Signals to pid 0 or below would reach whole groups of processes.
  if (typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid <= 1) return null
  return typeof startTime === 'string' ? { pid, startTime } : null
}

function isPort(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= 65_535
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
