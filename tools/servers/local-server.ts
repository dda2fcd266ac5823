// Keeps one local server (Kafka or Redis) running: reuses what an earlier run left, stops an unhealthy server, starts a
// new one, and copes with taken ports and broken data folders.

import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, renameSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { SluiceError } from '../../services/core/errors.ts'
import { readFileIfPresent } from '../../services/platform/files/atomic-file.ts'
import { pollUntil } from './run-program.ts'
import { freePorts } from './ports.ts'
import {
  endProcess,
  identify,
  isAlive,
  type ProcessIdentity,
} from '../../services/platform/process-identity.ts'
import type { ServerRecord } from './stack-record.ts'

const START_LIMIT_MS = 60_000
const REUSE_LIMIT_MS = 10_000
const READY_POLL_MS = 50
const ATTEMPTS_MAX = 4
const LOG_TAIL_LINES = 6
const PORT_TAKEN = /address already in use/i
const FOLDER_IN_USE = /failed to acquire lock on file/i

/** The differences between servers; the rest of this file is common to all. */
export interface LocalServer {
  readonly name: 'Kafka' | 'Redis'
  readonly configHash: string
  readonly firstPort: number
  readonly portCount: number
  readonly dataFolder: string
  readonly logFile: string
  /** Time limit for its exit after SIGTERM, in milliseconds. */
  readonly graceMs: number
  /** Makes the data folder and writes settings; called before every start. */
  prepare(ports: readonly number[]): Promise<void>
  command(ports: readonly number[]): { readonly file: string; readonly args: readonly string[] }
  /** True once the server with this process id answers; another server on the port does not count. */
  answers(port: number, pid: number): Promise<boolean>
}

export interface EnsureOptions {
  readonly recorded: ServerRecord | null
  /** False while another living process uses the server; new settings then cause no restart. */
  readonly mayRestart: boolean
  readonly onProgress: (line: string) => void
  readonly signal?: AbortSignal | undefined
  /** Called as soon as a process exists (or is known to have ended), so that a killed run leaves a trace. */
  readonly onRecord: (record: ServerRecord | null) => void
}

/** A server that answers. `startedHere` is false when it was already running. */
export interface RunningServer {
  readonly record: ServerRecord
  readonly startedHere: boolean
}

/**
 * Resolves once the server answers.
 * @throws SluiceError SLUICE_PROVISION_FAILED with the end of the server's log.
 */
export async function ensureLocalServer(
  server: LocalServer,
  options: EnsureOptions,
): Promise<RunningServer> {
  const reused = await reuse(server, options)
  if (reused !== null) return { record: reused, startedHere: false }
  options.onRecord(null)
  let wipedAlready = false
  let toldPort = server.firstPort
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
    const ports = await freePorts(server.firstPort, server.portCount)
    const port = ports[0] ?? server.firstPort
    if (port !== toldPort) {
      toldPort = port
      options.onProgress(
        `${server.name}: port ${server.firstPort} is used by something else, so ${port} is taken`,
      )
    }
    const isOldData = existsSync(server.dataFolder)
    await server.prepare(ports)
    options.signal?.throwIfAborted()
    const started = await start(server, ports, options)
    if (started !== null) return { record: started, startedHere: true }
    options.onRecord(null)
    // The whole log: Kafka prints the reason before a long stack trace.
    const log = readFileIfPresent(server.logFile) ?? ''
    if (PORT_TAKEN.test(log)) continue
    if (!isOldData || wipedAlready || FOLDER_IN_USE.test(log)) break
    wipedAlready = true
    moveAside(server, options.onProgress)
  }
  throw new SluiceError(
    'SLUICE_PROVISION_FAILED',
    `${server.name} ended while starting. The end of ${server.logFile}:\n${logTail(server.logFile)}\nRepair what it names, then run "sluice up" again.`,
  )
}

/** Stops a local server if its process still runs. */
export async function endLocalServer(
  name: string,
  record: ServerRecord,
  graceMs: number,
  onProgress: (line: string) => void,
): Promise<void> {
  if (record.process === null || !isAlive(record.process)) return
  onProgress(`${name}: stopping`)
  if (await endProcess(record.process, graceMs)) {
    onProgress(`${name}: did not end within ${graceMs / 1000} s and was killed`)
  }
}

async function reuse(server: LocalServer, options: EnsureOptions): Promise<ServerRecord | null> {
  const { recorded, onProgress } = options
  const identity = recorded?.process ?? null
  const port = recorded?.ports[0]
  if (recorded === null || identity === null || port === undefined) return null
  if (!isAlive(identity)) {
    onProgress(`${server.name}: process ${identity.pid} of an earlier run has ended`)
    return null
  }
  const isCurrent = recorded.configHash === server.configHash
  if (!isCurrent && options.mayRestart) {
    onProgress(`${server.name}: its settings have changed, so it is restarted`)
  } else {
    // It may still be starting, if the run that started it was killed a moment ago.
    const isUp = await pollUntil(
      async () => !isAlive(identity) || (await server.answers(port, identity.pid)),
      { limitMs: REUSE_LIMIT_MS, everyMs: READY_POLL_MS, signal: options.signal },
    )
    if (isUp && isAlive(identity)) {
      if (!isCurrent) onProgress(`${server.name}: runs with older settings while others use it`)
      onProgress(`${server.name}: already runs on port ${port}`)
      return recorded
    }
    onProgress(`${server.name}: process ${identity.pid} does not answer, so it is restarted`)
  }
  await endLocalServer(server.name, recorded, server.graceMs, onProgress)
  return null
}

/** Returns the record once the server answers, or null when its process exits first. */
async function start(
  server: LocalServer,
  ports: readonly number[],
  options: EnsureOptions,
): Promise<ServerRecord | null> {
  const port = ports[0] ?? server.firstPort
  options.onProgress(`${server.name}: starting on port ${port}`)
  const startedMs = performance.now()
  const child = spawnDetached(server, ports)
  const identity = await identityOf(server, child)
  if (identity === null) return null
  const record: ServerRecord = {
    provider: 'local',
    process: identity,
    ports,
    configHash: server.configHash,
  }
  options.onRecord(record)
  const isFinalised = await pollUntil(
    async () => !isAlive(identity) || (await server.answers(port, identity.pid)),
    { limitMs: START_LIMIT_MS, everyMs: READY_POLL_MS, signal: options.signal },
  )
  if (!isAlive(identity)) return null
  if (!isFinalised) {
    await endProcess(identity, server.graceMs)
    throw new SluiceError(
      'SLUICE_PROVISION_FAILED',
      `${server.name} did not answer within ${START_LIMIT_MS / 1000} s. The end of ${server.logFile}:\n${logTail(server.logFile)}\nFree memory and processor time, then run "sluice up" again.`,
    )
  }
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  options.onProgress(`${server.name}: ready on port ${port} after ${seconds} s`)
  return record
}

/** Outside the terminal's process group, so that Ctrl-C does not end it. */
function spawnDetached(server: LocalServer, ports: readonly number[]): ChildProcess {
  mkdirSync(dirname(server.logFile), { recursive: true })
  const log = openSync(server.logFile, 'w')
  try {
    const { file, args } = server.command(ports)
    const child = spawn(file, args, { detached: true, stdio: ['ignore', log, log] })
    child.unref()
    return child
  } finally {
    closeSync(log)
  }
}

async function identityOf(
  server: LocalServer,
  child: ChildProcess,
): Promise<ProcessIdentity | null> {
  if (child.pid !== undefined) {
    child.on('error', () => undefined)
    return identify(child.pid)
  }
  const cause = await new Promise((resolve) => child.once('error', resolve))
  throw new SluiceError(
    'SLUICE_PROVISION_FAILED',
    `${server.name} could not be started (${child.spawnfile}). Check that the program exists and may be run.`,
    { cause },
  )
}

/** Keeps one broken folder for examination and removes an older one. */
function moveAside(server: LocalServer, onProgress: (line: string) => void): void {
  const aside = `${server.dataFolder}.broken`
  rmSync(aside, { recursive: true, force: true })
  renameSync(server.dataFolder, aside)
  onProgress(
    `${server.name}: cannot start from ${server.dataFolder}; moved to ${aside}, starting empty`,
  )
}

function logTail(logFile: string): string {
  const lines = (readFileIfPresent(logFile) ?? '').trimEnd().split('\n')
  return lines.slice(-LOG_TAIL_LINES).join('\n')
}
