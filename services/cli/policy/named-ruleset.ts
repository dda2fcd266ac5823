// A ruleset of the store by what people call it: its version, its digest, or the beginning of that.

import { isDigest } from '../../core/control/deployment.ts'
import { SluiceError } from '../../core/errors.ts'
import type { Ruleset } from '../../core/policy/ruleset.ts'
import { findRuleset, listRulesets } from '../../platform/policy-store.ts'

/** Fewer characters of a digest would be guessing. */
const PREFIX_MIN = 6
/** Digests that an error shows. */
const SHOWN_MAX = 5

export interface NamedRuleset {
  readonly digest: string
  readonly ruleset: Ruleset
}

/** @throws SluiceError SLUICE_POLICY_NOT_FOUND when none or more than one is meant, SLUICE_POLICY_CORRUPT. */
export async function findNamedRuleset(store: string, named: string): Promise<NamedRuleset> {
  if (isDigest(named)) return { digest: named, ruleset: await findRuleset(store, named) }
  const all = await listRulesets(store)
  const byVersion = all.filter(({ ruleset }) => String(ruleset.version) === named)
  const byDigest =
    named.length < PREFIX_MIN ? [] : all.filter(({ digest }) => digest.startsWith(named))
  const found = byVersion.length > 0 ? byVersion : byDigest
  const [only, another] = found
  if (only !== undefined && another === undefined) return only
  const digests = found.slice(0, SHOWN_MAX).map(({ digest }) => digest.slice(0, 2 * PREFIX_MIN))
  throw new SluiceError(
    'SLUICE_POLICY_NOT_FOUND',
    `"${named}" is the version, or the beginning of the digest, of ${found.length} rulesets of the store ${store}` +
      `${digests.length === 0 ? '' : ` (${digests.join(', ')})`}; "sluice policy list" shows them.`,
  )
}
