// The steps of an installation. Each leaves a marker when it is complete, so that a killed run continues where it
// stopped; a step without its marker is repeated from its beginning.

import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SluiceError } from '../../services/core/errors.ts'
import { runProgram, type RunProgramOptions } from '../servers/run-program.ts'

const PROGRESS_EVERY_MS = 5_000
const TAIL_LINES = 6
const MARKERS_FOLDER = '.done'

export interface StepContext {
  /** Folder in which the parts are assembled; renamed when it is complete. */
  readonly work: string
  readonly onProgress: (line: string) => void
  readonly signal?: AbortSignal | undefined
}

/** Runs a step unless its marker exists. */
export async function once(
  context: StepContext,
  name: string,
  run: () => Promise<void>,
): Promise<void> {
  const marker = join(context.work, MARKERS_FOLDER, name)
  if (existsSync(marker)) return
  context.signal?.throwIfAborted()
  const beganMs = performance.now()
  await run()
  context.signal?.throwIfAborted()
  mkdirSync(join(context.work, MARKERS_FOLDER), { recursive: true })
  writeFileSync(marker, '')
  context.onProgress(`${name}: done in ${((performance.now() - beganMs) / 1_000).toFixed(1)} s`)
}

/** Removes the markers from a finished folder. */
export function removeMarkers(work: string): void {
  rmSync(join(work, MARKERS_FOLDER), { recursive: true, force: true })
}

/** Runs a program to its end, with occasional progress lines. @throws SluiceError SLUICE_PROVISION_FAILED */
export async function runStep(
  { onProgress, signal }: StepContext,
  name: string,
  [file, ...args]: readonly [string, ...string[]],
  options: Omit<RunProgramOptions, 'signal'>,
): Promise<string> {
  const beganMs = performance.now()
  const progress = setInterval(() => {
    onProgress(`${name}: ${Math.round((performance.now() - beganMs) / 1_000)} s`)
  }, PROGRESS_EVERY_MS)
  try {
    const { code, output } = await runProgram(file, args, { ...options, signal })
    signal?.throwIfAborted()
    if (code === 0) return output
    const tail = output.trimEnd().split('\n').slice(-TAIL_LINES).join('\n')
    throw new SluiceError(
      'SLUICE_PROVISION_FAILED',
      `${name} failed (${code === null ? 'ended' : `exit code ${code}`}):\n${tail}\n` +
        'The previous installation was not changed. Fix the cause and run the command again: it continues from here.',
    )
  } finally {
    clearInterval(progress)
  }
}
