// The folder in which a run keeps its progress: what it is a run of, and a file for each part of it. A file is replaced
// whole, so a kill at any moment leaves what was kept last or what was kept before.

import { existsSync } from 'node:fs'
import { mkdir, open, readFile, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { SluiceError } from '../core/errors.ts'
import { jsonBytes } from './model-folder.ts'

const RUN_FILE = 'run.json'
const FORMAT = 1

/** Everything that the bits of a run depend on, by name; the values are compared as JSON. */
export type RunFacts = Readonly<Record<string, unknown>>

/** One part of the progress. */
export interface KeptFile {
  readonly path: string
  /** Null when nothing was kept yet. */
  read(): Promise<Buffer | null>
  write(bytes: Buffer): Promise<void>
}

export interface RunFolder {
  file(name: string): KeptFile
  /** Deletes the folder: what it was for is done. */
  remove(): Promise<void>
}

/** What a command says of its run folder. */
export interface RunChoice {
  readonly folder: string
  /** Go on with what is there. */
  readonly resume: boolean
  /** Begin anew whatever is there. */
  readonly force: boolean
  /** Leave the folder when the run is done. */
  readonly keep: boolean
}

/**
 * Refuses early what `openRunFolder` would refuse late.
 * @throws SluiceError SLUICE_USAGE when there is nothing to go on with, or something that must not be lost.
 */
export async function checkRunFolder({ folder, resume, force }: RunChoice): Promise<void> {
  const entries = existsSync(folder) ? await readdir(folder) : []
  const isRun = entries.includes(RUN_FILE)
  if (resume && !isRun) throw usage(`${folder} holds no unfinished run; leave --resume out.`)
  if (entries.length > 0 && !isRun) {
    throw usage(`${folder} exists and is no run folder; name another with --run, or move it away.`)
  }
  if (isRun && !resume && !force) {
    throw usage(
      `${folder} holds the progress of an earlier run; add --resume to go on, or --force to begin anew.`,
    )
  }
}

/**
 * Opens the folder for a run of these facts.
 * @throws SluiceError SLUICE_USAGE when the run that is there is of other facts, naming the first that differs.
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
    file: (name) => keptFile(join(folder, name)),
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

function keptFile(path: string): KeptFile {
  return {
    path,
    read: () => (existsSync(path) ? readFile(path) : Promise.resolve(null)),
    write: (bytes) => writeWhole(path, bytes),
  }
}

/** A part that cannot be read back. */
export function damaged(path: string): SluiceError {
  return usage(`${path} is damaged; delete it to make this part anew, or begin anew with --force.`)
}

async function factsIn(file: string): Promise<RunFacts> {
  const text = await readFile(file, 'utf8')
  try {
    return JSON.parse(text) as RunFacts
  } catch (error) {
    throw new SluiceError('SLUICE_USAGE', `${file} is damaged; begin anew with --force.`, {
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
      `${folder} is of another run: its ${name} is ${was}, now it is ${is}. ` +
        'Give the same options and history, or begin anew with --force.',
    )
  }
}

function textOf(value: unknown): string {
  return value === undefined ? 'not said' : JSON.stringify(value)
}

/** The bytes are on the disk before the name points at them. */
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
