// Policies and inputs shared by tests of policies.

import {
  FEATURE_COUNT,
  FEATURE_NAMES,
} from '../../../../services/core/features/catalogue/feature-list.ts'
import { compilePolicy } from '../../../../services/core/policy/compile-policy.ts'
import type { PolicyDocument } from '../../../../services/core/policy/policy-document.ts'
import type { PolicyLists } from '../../../../services/core/policy/policy-lists.ts'
import { parsePolicy, type ParsedPolicy } from '../../../../services/core/policy/policy-parsing.ts'
import type { CompiledPolicy, PolicyInput } from '../../../../services/core/policy/ruling.ts'
import { fullTransaction } from '../wire/samples.ts'

export const HEAD = 'apiVersion: sluice/v1\nname: cards\nmatch: strictest\n'

export type Features = Readonly<Record<string, number>>

/** Parses a text without faults. */
export function policyOf(text: string): PolicyDocument {
  const parsed = parsePolicy(text)
  if (parsed.ok) return parsed.policy
  throw new Error(JSON.stringify(parsed.faults))
}

export function compiledOf(text: string, lists: PolicyLists = new Map()): CompiledPolicy {
  return compilePolicy(policyOf(text), lists, { mode: 'enforce', segmentModes: {} })
}

/** A transaction with these features; the others are absent. */
export function inputOf(fields: Partial<PolicyInput> = {}, features: Features = {}): PolicyInput {
  const row = new Float64Array(FEATURE_COUNT).fill(NaN)
  for (const [name, value] of Object.entries(features)) row[indexOf(name)] = value
  return {
    transaction: fullTransaction,
    row,
    states: Uint8Array.from(row, (value) => (Number.isNaN(value) ? 1 : 0)),
    score: 0.1,
    referenceMinor: 5_000,
    modelThresholds: { flag: 0.5, block: 0.9 },
    annotations: [],
    ...fields,
  }
}

/** The input with a different state of one feature. */
export function withState(input: PolicyInput, name: string, state: number): PolicyInput {
  const states = Uint8Array.from(input.states)
  states[indexOf(name)] = state
  return { ...input, states }
}

function indexOf(name: string): number {
  const index = FEATURE_NAMES.indexOf(name)
  if (index < 0) throw new Error(`${name} is no feature`)
  return index
}

/** A policy of one rule. */
export function rule(when: string, reason = 'x'): string {
  return `${HEAD}rules:\n  - name: a\n    when: ${when}\n    outcome: flag\n    reason: "${reason}"\n`
}

/** Each fault as `line:column path` and message. */
export function placesOf(parsed: ParsedPolicy): ReadonlyMap<string, string> {
  if (parsed.ok) return new Map()
  return new Map(
    parsed.faults.map(({ line, column, path, message }) => [`${line}:${column} ${path}`, message]),
  )
}
