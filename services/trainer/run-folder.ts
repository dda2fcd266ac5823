// The folder that stores the progress of a run: the facts that identify the run, and one file for each part of it.
// Files are replaced atomically, so after a kill a file holds either the previous or the new state.

import { existsSync } from 'node:fs'
import { mkdir, open, readFile, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { SluiceError } from '../core/errors.ts'
import { jsonBytes } from './model-folder.ts'

const RUN_FILE = 'run.json'
const FORMAT = 1

/** Every fact that determines the bits of a run, by name; values are compared as JSON. */
export type RunFacts = Readonly<Record<string, unknown>>

/** One part of the progress. */
export interface RunFile {
  readonly path: string
  /** Null when nothing is stored yet. */
  read(): Promise<Buffer | null>
  write(bytes: Buffer): Promise<void>
}

export interface RunFolder {
  file(name: string): RunFile
  /** Deletes the folder when its run is complete. */
  remove(): Promise<void>
}

/** Options of a command for its run folder. */
export interface RunChoice {
  readonly folder: string
  /** Continue the stored run. */
  readonly resume: boolean
  /** Start again, whatever is stored. */
  readonly force: boolean
  /** Keep the folder when the run is complete. */
  readonly keep: boolean
}

/**
 * Refuses early what `openRunFolder` would refuse late.
 * @throws SluiceError SLUICE_USAGE when there is nothing to continue, or something that must not be lost.
 */
export async function checkRunFolder({ folder, resume, force }: RunChoice): Promise<void> {
  const entries = existsSync(folder) ? await readdir(folder) : []
  const isRun = entries.includes(RUN_FILE)
  if (resume && !isRun) throw usage(`${folder} holds no unfinished run; omit --resume.`)
  if (entries.length > 0 && !isRun) {
    throw usage(
      `${folder} exists and is not a run folder; give another with --run, or move this one.`,
    )
  }
  if (isRun && !resume && !force) {
    throw usage(
      `${folder} holds the progress of an earlier run; add --resume to continue it, or --force to start again.`,
    )
  }
}

/**
 * Opens the folder for a run with these facts.
 * @throws SluiceError SLUICE_USAGE when the stored run has other facts, naming the first difference.
 */
export async function openRunFolder(choice: RunChoice, facts: RunFacts): Promise<RunFolder> {
  const { folder, resume } = choice
  await checkRunFolder(choice)
  const file = join(folder, RUN_FILE)
  const wanted = { format: FORMAT, ...facts }
  if (resume) checkFacts(folder, await factsIn(file), wanted)
  else {
    await rm(folder, { recursive: true, force: true })
    await mkdir(folder, { recursive: true })
    await writeWhole(file, jsonBytes(wanted))
  }
  return {
    file: (name) => runFile(join(folder, name)),
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

function runFile(path: string): RunFile {
  return {
    path,
    read: () => (existsSync(path) ? readFile(path) : Promise.resolve(null)),
    write: (bytes) => writeWhole(path, bytes),
  }
}

/** The error for a part that cannot be read back. */
export function damaged(path: string): SluiceError {
  return usage(`${path} is damaged; delete it to repeat this part, or start again with --force.`)
}

async function factsIn(file: string): Promise<RunFacts> {
  const text = await readFile(file, 'utf8')
  try {
    return JSON.parse(text) as RunFacts
  } catch (error) {
    throw new SluiceError('SLUICE_USAGE', `${file} is damaged; start again with --force.`, {
      cause: error,
    })
  }
}

function checkFacts(folder: string, found: RunFacts, wanted: RunFacts): void {
  const names = new Set([...Object.keys(wanted), ...Object.keys(found)])
  for (const name of names) {
    const [was, is] = [textOf(found[name]), textOf(wanted[name])]
    if (was === is) continue
    throw usage(
      `${folder} holds another run: its ${name} is ${was}, now it is ${is}. ` +
        'Give the same options and history, or start again with --force.',
    )
  }
}

function textOf(value: unknown): string {
  return value === undefined ? 'absent' : JSON.stringify(value)
}

/** The bytes reach the disk before the name points to them. */
async function writeWhole(file: string, bytes: Buffer): Promise<void> {
  const fresh = `${file}.tmp`
  const handle = await open(fresh, 'w')
  try {
    await handle.writeFile(bytes)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(fresh, file)
}

function usage(message: string): SluiceError {
  return new SluiceError('SLUICE_USAGE', message)
}
