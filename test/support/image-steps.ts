// Carries out the steps of one target of the Dockerfile in temporary folders: a folder stands for each stage's file
// system, COPY copies (only files that .dockerignore lets through), RUN runs in the stage's working folder. Without
// containers, programs come from this machine, so a stage must not use absolute paths in RUN, nor install anything into
// the system. The target image gets the same files.

import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, isAbsolute, join } from 'node:path'
import {
  buildContext,
  environmentOf,
  listOf,
  readCopy,
  readDockerfile,
  ROOT,
  stageOf,
  type CopyInstruction,
  type Stage,
} from './dockerfile.ts'

const OUTPUT_CHARACTERS_MAX = 8_000
const STEP_MS_MAX = 5 * 60_000

/** Command that an image starts, and its folder. */
export interface BuiltImage {
  /** Replaces WORKDIR. */
  readonly folder: string
  readonly environment: Readonly<Record<string, string>>
  readonly entrypoint: readonly string[]
  readonly command: readonly string[]
  remove(): void
}

interface Built {
  readonly root: string
  /** Path inside the stage's file system. */
  workingFolder: string
}

/** Builds a target and every stage that it copies from. @throws Error with the last output of a step. */
export async function buildImage(target: string): Promise<BuiltImage> {
  const stages = readDockerfile()
  const context = buildContext()
  const base = mkdtempSync(join(tmpdir(), 'sluice-image-'))
  const built = new Map<string, Built>()

  const build = async (name: string): Promise<Built> => {
    const ready = built.get(name)
    if (ready !== undefined) return ready
    const stage = stageOf(stages, name)
    const result: Built = { root: join(base, name), workingFolder: '/' }
    mkdirSync(result.root)
    if (stages.some((each) => each.name === stage.base)) {
      const below = await build(stage.base)
      cpSync(below.root, result.root, { recursive: true, verbatimSymlinks: true })
      result.workingFolder = below.workingFolder
    }
    await carryOut(stage, result)
    built.set(name, result)
    return result
  }

  const carryOut = async (stage: Stage, here: Built): Promise<void> => {
    for (const { keyword, text } of stage.instructions) {
      if (keyword === 'WORKDIR') {
        here.workingFolder = text
        mkdirSync(join(here.root, text), { recursive: true })
      } else if (keyword === 'COPY') {
        const copy = readCopy(text)
        const from = copy.from === null ? null : await build(copy.from)
        copyInto(here, copy, from, context)
      } else if (keyword === 'RUN') await run(text, join(here.root, here.workingFolder))
    }
  }

  try {
    const { root, workingFolder } = await build(target)
    const stage = stageOf(stages, target)
    return {
      folder: join(root, workingFolder),
      environment: environmentOf(stage),
      entrypoint: listOf(stage, 'ENTRYPOINT'),
      command: listOf(stage, 'CMD'),
      remove: () => {
        rmSync(base, { recursive: true, force: true })
      },
    }
  } catch (error) {
    rmSync(base, { recursive: true, force: true })
    throw error
  }
}

/** As Docker does: a folder's content, or a file into a folder when the target ends in a slash. */
function copyInto(
  here: Built,
  { sources, target }: CopyInstruction,
  from: Built | null,
  context: readonly string[],
): void {
  const place = join(here.root, here.workingFolder, target)
  const inside = target.endsWith('/')
  for (const source of sources) {
    if (from !== null) {
      if (!isAbsolute(source))
        throw new Error(`COPY of ${source} from a stage: give the whole path.`)
      put(join(from.root, source), place, inside)
      continue
    }
    const files = context.filter((path) => path === source || path.startsWith(`${source}/`))
    if (files.length === 0) throw new Error(`COPY ${source}: there is no such file to send.`)
    for (const path of files)
      put(join(ROOT, path), join(place, path.slice(source.length)), inside && path === source)
  }
}

function put(source: string, place: string, inside: boolean): void {
  const isFolder = statSync(source).isDirectory()
  const target = inside && !isFolder ? join(place, source.slice(dirname(source).length + 1)) : place
  mkdirSync(dirname(target), { recursive: true })
  cpSync(source, target, { recursive: true, verbatimSymlinks: true })
}

function run(command: string, folder: string): Promise<void> {
  if (/(^|\s)\//.test(command)) throw new Error(`RUN ${command}: a path of the whole system.`)
  const child = spawn('sh', ['-c', command], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: STEP_MS_MAX,
    // Without the variables that npm sets for this checkout.
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      npm_config_prefer_offline: 'true',
      npm_config_update_notifier: 'false',
    },
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-OUTPUT_CHARACTERS_MAX)
    })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => {
      if (code === 0) resolve()
      else reject(new Error(`RUN ${command} ended with ${String(code)}:\n${output}`))
    })
  })
}
