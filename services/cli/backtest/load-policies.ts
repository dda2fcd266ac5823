// Policies of a backtest, from files.

import { SluiceError } from '../../core/errors.ts'
import { FEATURE_NAMES } from '../../core/features/catalogue/feature-list.ts'
import { POLICY_LIMITS, type PolicyDocument } from '../../core/policy/policy-document.ts'
import { parseNewPolicy } from '../../core/policy/policy-parsing.ts'
import { textDigest } from '../../core/policy/ruleset.ts'
import { compiledByLists, type CompiledFor } from '../../core/backtest/guarded-policy.ts'
import { POLICIES_MAX } from '../../core/backtest/backtest.ts'
import type { AlertCosts } from '../../core/scoring/alert-costs.ts'
import { faultLines } from '../policy/policy-file.ts'
import { readBounded } from './bounded-file.ts'

/** A policy of the backtest. */
export interface LoadedPolicy {
  readonly name: string
  readonly file: string
  readonly document: PolicyDocument
  /** SHA-256 of its text. */
  readonly digest: string
  readonly compiledFor: CompiledFor
}

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
 * Reads and checks.
 * @throws SluiceError SLUICE_POLICY_INVALID with the place of every fault, SLUICE_USAGE for names that are there twice,
 * SLUICE_INPUT_INVALID for a file that cannot be read.
 */
export async function loadPolicies(files: readonly NamedFile[]): Promise<readonly LoadedPolicy[]> {
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
    const compiledFor = compiledByLists(document)
    loaded.push({ name: called, file, document, digest: textDigest(text), compiledFor })
  }
  return loaded
}

/** Names of all lists that policies use, in order. */
export function listsNamedBy(policies: readonly LoadedPolicy[]): readonly string[] {
  const named = policies.flatMap(({ document }) => document.lists.map(({ name }) => name))
  return [...new Set(named)].sort()
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
  const parsed = parseNewPolicy(text)
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

function usage(problem: string): SluiceError {
  return new SluiceError('SLUICE_USAGE', `sluice backtest: ${problem}.`)
}
