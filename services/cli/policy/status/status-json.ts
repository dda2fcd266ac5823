// What decides, for programs.

import type { WordSince } from '../../../core/control/deployment.ts'
import type { DescribedRuleset } from './described-ruleset.ts'
import type { PolicyStatus } from './policy-status.ts'

/** Times are in ISO 8601; null is not known, or none. */
export function statusJson(status: PolicyStatus): object {
  const { store, active, since, changed, segments, shadow, lists, breakers, earlier, scorers } =
    status
  return {
    store,
    active: {
      ...rulesetJson(active),
      since: sinceJson(since),
      versionSince: sinceJson(changed),
      segments,
    },
    shadow:
      shadow === null ? null : { ...rulesetJson(shadow.ruleset), since: sinceJson(shadow.since) },
    lists: lists.map(({ counts, ...list }) => ({
      ...list,
      entries: counts?.entries ?? null,
      ended: counts?.ended ?? null,
      endingWithinDay: counts?.endingWithinDay ?? null,
    })),
    breakers: { ...breakers, open: breakers.partitions.filter(({ isOpen }) => isOpen).length },
    rollback: earlier.map(rulesetJson),
    scorers,
  }
}

function rulesetJson({ digest, ruleset, document, problem }: DescribedRuleset): object {
  return {
    digest,
    isBuiltIn: digest === null,
    version: digest === null ? 0 : (ruleset?.version ?? null),
    name: document?.name ?? null,
    policy: ruleset?.policy ?? null,
    mode: ruleset?.mode ?? null,
    problem,
  }
}

function sinceJson(since: WordSince | null): object | null {
  if (since === null) return null
  const { author, reason, atMs, position, isFirst } = since
  return { time: new Date(atMs).toISOString(), isExact: isFirst, author, reason, position }
}
