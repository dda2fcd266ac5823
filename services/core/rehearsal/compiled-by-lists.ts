// One policy with the lists of different times: the rows of a back-test were decided while lists changed.

import { compilePolicy } from '../policy/compile-policy.ts'
import type { PolicyDocument } from '../policy/policy-document.ts'
import type { PolicyLists } from '../policy/policy-lists.ts'
import type { CompiledPolicy } from '../policy/ruling.ts'

/** The policy with these lists. Pure: the same lists give the same policy. */
export type CompiledFor = (lists: PolicyLists) => CompiledPolicy

/** Modes say what is published; a back-test is about what is decided. */
const NO_MODES = { mode: 'enforce', segmentModes: {} } as const

/** Rows come in the order of time and lists change one after the other, so few are in use at a time. */
const KEPT_MAX = 4

/** Compiles once for each set of lists, as long as it is in use; sets are told apart by what they are, not by content. */
export function compiledByLists(document: PolicyDocument): CompiledFor {
  const kept = new Map<PolicyLists, CompiledPolicy>()
  const always = document.lists.length === 0 ? compilePolicy(document, new Map(), NO_MODES) : null
  return (lists) => {
    const known = always ?? kept.get(lists)
    if (known !== undefined) return known
    const compiled = compilePolicy(document, lists, NO_MODES)
    const [oldest] = kept.keys()
    if (kept.size >= KEPT_MAX && oldest !== undefined) kept.delete(oldest)
    kept.set(lists, compiled)
    return compiled
  }
}
