// What people call a ruleset: its version, the name of its policy, its modes. What the store cannot tell is said, since
// one look at what decides must not end at the first gap.

import { isSluiceError } from '../../../core/errors.ts'
import type { Choice } from '../../../core/control/deployment.ts'
import type { PolicyDocument } from '../../../core/policy/policy-document.ts'
import { parsePolicy } from '../../../core/policy/policy-parsing.ts'
import type { Ruleset } from '../../../core/policy/ruleset.ts'
import { findPolicyText, findRuleset } from '../../../platform/policy-store.ts'

export interface DescribedRuleset {
  /** Null is the built-in policy. */
  readonly digest: Choice
  /** Null for the built-in policy, and where the store cannot tell. */
  readonly ruleset: Ruleset | null
  readonly document: PolicyDocument | null
  /** Why it cannot be told, and what to do; null when nothing is wrong. */
  readonly problem: string | null
}

const BUILT_IN: DescribedRuleset = { digest: null, ruleset: null, document: null, problem: null }

/** Never fails on what the store lacks, or holds damaged. */
export async function describeRuleset(store: string, digest: Choice): Promise<DescribedRuleset> {
  if (digest === null) return BUILT_IN
  let ruleset: Ruleset | null = null
  try {
    ruleset = await findRuleset(store, digest)
    if (ruleset.policy === null) return { digest, ruleset, document: null, problem: null }
    const parsed = parsePolicy(await findPolicyText(store, ruleset.policy))
    if (parsed.ok) return { digest, ruleset, document: parsed.policy, problem: null }
    const problem = `The policy ${ruleset.policy} is none that this build takes. Use the build that applied it.`
    return { digest, ruleset, document: null, problem }
  } catch (error) {
    if (!isSluiceError(error)) throw error
    return { digest, ruleset, document: null, problem: error.message }
  }
}
