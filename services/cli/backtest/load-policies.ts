// Policies and lists of a back-test, from files.

import { readFile, stat } from 'node:fs/promises'
import { SluiceError, isSluiceError } from '../../core/errors.ts'
import { FEATURE_NAMES } from '../../core/features/feature-list.ts'
import { compilePolicy } from '../../core/policy/compile-policy.ts'
import { POLICY_LIMITS, type PolicyDocument } from '../../core/policy/policy-document.ts'
import { LIST_LIMITS, readList, type PolicyLists } from '../../core/policy/policy-lists.ts'
import { parsePolicy } from '../../core/policy/policy-parsing.ts'
import { textDigest } from '../../core/policy/ruleset.ts'
import type { CompiledPolicy } from '../../core/policy/ruling.ts'
import { POLICIES_MAX } from '../../core/rehearsal/rehearsal.ts'
import type { AlertCosts } from '../../core/scoring/alert-costs.ts'
import { faultLines } from '../policy/policy-file.ts'

/** A policy of the back-test. */
export interface LoadedPolicy {
  readonly name: string
  readonly file: string
  readonly document: PolicyDocument
  /** SHA-256 of its text. */
  readonly digest: string
  readonly compiled: CompiledPolicy
}

/** Modes say what is published; a back-test is about what is decided. */
const NO_MODES = { mode: 'enforce', segmentModes: {} } as const

const FAULTS_SHOWN = 20

/** `file` or `file=name`. */
export interface NamedFile {
  readonly file: string
  readonly name: string | null
}

/** Reads `file=name`. A name is what stands behind the last sign. */
export function namedFile(text: string): NamedFile {
  const at = text.lastIndexOf('=')
  if (at <= 0) return { file: text, name: null }
  return { file: text.slice(0, at), name: text.slice(at + 1) }
}

/**
 * Reads, checks and compiles.
 * @throws SluiceError SLUICE_POLICY_INVALID with the place of every fault, SLUICE_USAGE for names that are there twice,
 * SLUICE_INPUT_INVALID for a file that cannot be read.
 */
export async function loadPolicies(
  files: readonly NamedFile[],
  lists: PolicyLists,
): Promise<readonly LoadedPolicy[]> {
  if (files.length > POLICIES_MAX) throw usage(`give at most ${POLICIES_MAX} policies`)
  const loaded: LoadedPolicy[] = []
  for (const { file, name } of files) {
    const text = await readBounded(file, POLICY_LIMITS.bytesMax)
    const document = checkedPolicy(file, text)
    const called = name ?? document.name
    if (called === '') throw usage(`--policy ${file}= has no name; leave out the sign or name it`)
    if (loaded.some((other) => other.name === called)) {
      throw usage(`two policies are called ${called}; tell them apart with --policy ${file}=NAME`)
    }
    const compiled = compilePolicy(document, lists, NO_MODES)
    loaded.push({ name: called, file, document, digest: textDigest(text), compiled })
  }
  return loaded
}

/** Reads `--list name=file` options. @throws SluiceError SLUICE_INPUT_INVALID, SLUICE_USAGE. */
export async function loadLists(options: readonly string[]): Promise<PolicyLists> {
  const lists = new Map<string, ReturnType<typeof readList>>()
  for (const option of options) {
    const at = option.indexOf('=')
    if (at <= 0) throw usage(`--list ${option} has no name; write --list NAME=FILE`)
    const [name, file] = [option.slice(0, at), option.slice(at + 1)]
    if (lists.has(name)) throw usage(`the list ${name} is given twice`)
    const text = await readBounded(file, LIST_LIMITS.bytesMax)
    try {
      lists.set(name, readList(text))
    } catch (error) {
      if (!isSluiceError(error, 'SLUICE_POLICY_CORRUPT')) throw error
      const { problem } = error.details
      throw new SluiceError('SLUICE_INPUT_INVALID', `${file} is no list: ${String(problem)}.`, {
        cause: error,
      })
    }
  }
  return lists
}

/** Lists that policies name and nobody gave; to them they are empty. */
export function missingLists(
  policies: readonly LoadedPolicy[],
  lists: PolicyLists,
): readonly string[] {
  const named = policies.flatMap(({ document }) => document.lists.map(({ name }) => name))
  return [...new Set(named)].filter((name) => !lists.has(name)).sort()
}

/** Features that a policy may look at: all whose name stands anywhere in it. */
export function featuresOf(policies: readonly Pick<LoadedPolicy, 'document'>[]): readonly string[] {
  const text = JSON.stringify(policies.map(({ document }) => document))
  return FEATURE_NAMES.filter((name) => text.includes(name))
}

/** Policies that go by the thresholds of a model. */
export function needModel(policies: readonly LoadedPolicy[]): readonly LoadedPolicy[] {
  return policies.filter(({ document }) => document.thresholds.kind === 'model')
}

/** The costs of the first policy that has some; null when none has. */
export function costsOf(
  policies: readonly LoadedPolicy[],
): { readonly costs: AlertCosts; readonly from: string } | null {
  for (const { name, document } of policies) {
    const { thresholds } = document
    if (thresholds.kind === 'cost') return { costs: thresholds.costs, from: name }
  }
  return null
}

function checkedPolicy(file: string, text: string): PolicyDocument {
  const parsed = parsePolicy(text)
  if (parsed.ok) return parsed.policy
  const { faults } = parsed
  const shown = faultLines(file, faults.slice(0, FAULTS_SHOWN))
  const more = faults.length > shown.length ? [`and ${faults.length - shown.length} more`] : []
  throw new SluiceError(
    'SLUICE_POLICY_INVALID',
    `The policy cannot be used:\n  ${[...shown, ...more].join('\n  ')}\nCorrect the file; docs/policy.md has all fields.`,
    { details: { file, faults } },
  )
}

async function readBounded(file: string, bytesMax: number): Promise<string> {
  try {
    const { size } = await stat(file)
    if (size <= bytesMax) return await readFile(file, 'utf8')
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error)
    throw new SluiceError('SLUICE_INPUT_INVALID', `${file} cannot be read: ${problem}.`, {
      cause: error,
    })
  }
  throw new SluiceError('SLUICE_INPUT_INVALID', `${file} is larger than ${bytesMax} bytes.`)
}

function usage(problem: string): SluiceError {
  return new SluiceError('SLUICE_USAGE', `sluice backtest: ${problem}.`)
}
