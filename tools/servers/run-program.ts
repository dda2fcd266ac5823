// Finds programs on the PATH and runs them with a time limit, so that no program can hang a start.

import { spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const OUTPUT_CHARACTERS_MAX = 64 * 1024
const KILL_AFTER_MS = 2_000

export interface ProgramResult {
  /** Exit code; null when it was ended by a signal or the limit, or could not start. */
  readonly code: number | null
  /** Standard output and standard error together, the last 64 Ki characters of them. */
  readonly output: string
}

export interface RunProgramOptions {
  readonly limitMs: number
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly signal?: AbortSignal | undefined
}

/** Full path of a program on the PATH (or in one of the extra folders, which are searched first), or null. */
export function findProgram(
  name: string,
  searchPath: string | undefined,
  extraFolders: readonly string[] = [],
): string | null {
  for (const folder of [...extraFolders, ...(searchPath ?? '').split(delimiter)]) {
    if (folder === '') continue
    const candidate = join(folder, name)
    try {
      accessSync(candidate, constants.X_OK)
      return candidate
    } catch {
      // Not here; try the next folder.
    }
  }
  return null
}

/** Runs a program to its end. Never rejects; the result shows a failure. */
export function runProgram(
  file: string,
  args: readonly string[],
  options: RunProgramOptions,
): Promise<ProgramResult> {
  return new Promise((resolve) => {
    const child = spawn(file, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
    })
    let output = ''
    let killTimer: NodeJS.Timeout | undefined
    const take = (chunk: Buffer): void => {
      output = (output + chunk.toString('utf8')).slice(-OUTPUT_CHARACTERS_MAX)
    }
    const end = (): void => {
      child.kill('SIGTERM')
      killTimer = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS)
    }
    const limitTimer = setTimeout(end, options.limitMs)
    options.signal?.addEventListener('abort', end, { once: true })
    const finish = (code: number | null): void => {
      clearTimeout(limitTimer)
      clearTimeout(killTimer)
      options.signal?.removeEventListener('abort', end)
      resolve({ code, output })
    }
    child.stdout.on('data', take)
    child.stderr.on('data', take)
    child.once('error', (error) => {
      output += error.message
      finish(null)
    })
    child.once('close', finish)
  })
}

// Polls until a condition holds or a limit is reached.

export interface PollOptions {
  readonly limitMs: number
  readonly everyMs: number
  readonly signal?: AbortSignal | undefined
}

/**
 * Resolves to true as soon as the probe does, and to false when `limitMs` has passed. Probes at least once.
 * @throws the signal's reason when it is aborted.
 */
export async function pollUntil(
  probe: () => boolean | Promise<boolean>,
  options: PollOptions,
): Promise<boolean> {
  const deadlineMs = performance.now() + options.limitMs
  for (;;) {
    options.signal?.throwIfAborted()
    if (await probe()) return true
    if (performance.now() >= deadlineMs) return false
    await delay(options.everyMs)
  }
}
