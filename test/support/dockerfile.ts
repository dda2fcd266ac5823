// The Dockerfile as stages of instructions, and the files that .dockerignore lets through.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export const ROOT = join(import.meta.dirname, '../..')

export interface Instruction {
  /** In capitals: FROM, COPY, RUN... */
  readonly keyword: string
  readonly text: string
}

export interface Stage {
  readonly name: string
  /** An image, or the name of an earlier stage. */
  readonly base: string
  readonly instructions: readonly Instruction[]
}

/** Arguments of a COPY. */
export interface CopyInstruction {
  /** Stage that it copies from; null for the build context. */
  readonly from: string | null
  readonly sources: readonly string[]
  readonly target: string
}

/** Comments, and line ends within instructions, are removed. */
export function readDockerfile(): readonly Stage[] {
  const lines = readFileSync(join(ROOT, 'Dockerfile'), 'utf8')
    .split('\n')
    .filter((line) => !/^\s*(#|$)/.test(line))
    .join('\n')
    .replace(/\\\n\s*/g, '')
    .split('\n')
  const stages: (Stage & { readonly instructions: Instruction[] })[] = []
  for (const line of lines) {
    const [, keyword = '', text = ''] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? []
    if (keyword === 'FROM') {
      const [base = '', as, name = ''] = text.split(/\s+/)
      if (as !== 'AS' || name === '') throw new Error(`FROM ${base} gives its stage no name.`)
      stages.push({ name, base, instructions: [] })
    } else stages.at(-1)?.instructions.push({ keyword, text })
  }
  return stages
}

/** @throws Error when there is no such stage. */
export function stageOf(stages: readonly Stage[], name: string): Stage {
  const stage = stages.find((each) => each.name === name)
  if (stage === undefined) throw new Error(`The Dockerfile has no stage ${name}.`)
  return stage
}

/** Reads the words after COPY. @throws Error for the forms that this repository does not use. */
export function readCopy(text: string): CopyInstruction {
  const words = text.split(/\s+/)
  const flags = words.filter((word) => word.startsWith('--'))
  const unknown = flags.find((flag) => !flag.startsWith('--from='))
  if (unknown !== undefined || text.includes('[')) throw new Error(`COPY ${text} is not read here.`)
  const paths = words.filter((word) => !word.startsWith('--'))
  const target = paths.at(-1)
  if (target === undefined || paths.length < 2) throw new Error(`COPY ${text} has no target.`)
  return {
    from: flags[0]?.slice('--from='.length) ?? null,
    sources: paths.slice(0, -1),
    target,
  }
}

/** Variables that ENV sets in a stage, without those of the stages below. */
export function environmentOf(stage: Stage): Readonly<Record<string, string>> {
  const pairs = stage.instructions
    .filter(({ keyword }) => keyword === 'ENV')
    .flatMap(({ text }) => [...text.matchAll(/(\w+)=(\S+)/g)])
  return Object.fromEntries(pairs.map(([, name = '', value = '']) => [name, value]))
}

/** The JSON list of the last instruction with this keyword, such as ENTRYPOINT or CMD. */
export function listOf(stage: Stage, keyword: string): readonly string[] {
  const found = stage.instructions.findLast((each) => each.keyword === keyword)
  if (found === undefined) throw new Error(`${stage.name} has no ${keyword}.`)
  return JSON.parse(found.text) as readonly string[]
}

/** Files of the repository that reach the builder, from the root, with forward slashes. */
export function buildContext(): readonly string[] {
  const rules = readFileSync(join(ROOT, '.dockerignore'), 'utf8')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => ({ isKept: line.startsWith('!'), matches: matcherOf(line.replace(/^!/, '')) }))
  const isSent = (path: string): boolean =>
    rules.reduce((sent, { isKept, matches }) => (matches(path) ? isKept : sent), true)
  const skipped = new Set(['node_modules', '.git', '.sluice'])
  const files: string[] = []
  const walk = (folder: string): void => {
    for (const entry of readdirSync(join(ROOT, folder), { withFileTypes: true })) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`
      // Large folders that are not sent; a rule that would send them is found by their names.
      if (folder === '' && skipped.has(entry.name)) {
        if (isSent(`${path}/x`)) throw new Error(`.dockerignore sends ${path} to the builder.`)
      } else if (entry.isDirectory()) walk(path)
      else if (isSent(path)) files.push(path)
    }
  }
  walk('')
  return files
}

/** A pattern matches a path, and everything below a folder of that name. */
function matcherOf(pattern: string): (path: string) => boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*\*\/|\*\*|\*|\?/g, (glob) =>
      glob === '**/' ? '(?:.*/)?' : glob === '**' ? '.*' : glob === '*' ? '[^/]*' : '[^/]',
    )
  const expression = new RegExp(`^${source}(?:/.*)?$`)
  return (path) => expression.test(path)
}
