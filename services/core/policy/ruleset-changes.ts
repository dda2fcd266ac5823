// How people change what is in force: every change is another ruleset with a higher version.

import { MODES, type Mode } from '../wire/records.ts'
import type { PolicyDocument } from './policy-document.ts'
import { modeOfSegment, type Ruleset } from './ruleset.ts'

/** A policy by its text's digest. */
export interface NamedPolicy {
  readonly digest: string
  readonly document: Pick<PolicyDocument, 'name' | 'segments'>
}

/**
 * The ruleset with another policy. The next version of a policy of the same name goes on in the modes that it has
 * reached; any other policy begins in `startMode`. Lists stay.
 */
export function withPolicy(
  inForce: Ruleset | null,
  nameInForce: string | null,
  { digest, document }: NamedPolicy,
  startMode: Mode,
  version: number,
): Ruleset {
  const goesOn = inForce !== null && nameInForce === document.name
  const segments = new Set(document.segments.map(({ name }) => name))
  return {
    version,
    policy: digest,
    mode: goesOn ? inForce.mode : startMode,
    segmentModes: goesOn
      ? Object.fromEntries(
          Object.entries(inForce.segmentModes).filter(([name]) => segments.has(name)),
        )
      : {},
    lists: inForce?.lists ?? {},
    breakerResets: inForce?.breakerResets ?? 0,
  }
}

/** The policy and modes of an earlier ruleset again, with the lists as they are now. */
export function withEarlier(inForce: Ruleset | null, earlier: Ruleset, version: number): Ruleset {
  return {
    version,
    policy: earlier.policy,
    mode: earlier.mode,
    segmentModes: earlier.segmentModes,
    lists: inForce?.lists ?? earlier.lists,
    breakerResets: inForce?.breakerResets ?? earlier.breakerResets,
  }
}

/** The ruleset with another content of one list. */
export function withListDigest(
  inForce: Ruleset,
  list: string,
  digest: string,
  version: number,
): Ruleset {
  return { ...inForce, version, lists: { ...inForce.lists, [list]: digest } }
}

/** The ruleset with another mode of a segment; null is everything that is in no segment with a mode of its own. */
export function withMode(
  inForce: Ruleset,
  segment: string | null,
  mode: Mode,
  version: number,
): Ruleset {
  return segment === null
    ? { ...inForce, version, mode }
    : { ...inForce, version, segmentModes: { ...inForce.segmentModes, [segment]: mode } }
}

/** What stands against this step, in words: modes climb one at a time, and fall as far as one likes. Null for nothing. */
export function stepProblem(inForce: Ruleset, segment: string | null, to: Mode): string | null {
  const from = modeOfSegment(inForce, segment)
  const climb = MODES.indexOf(to) - MODES.indexOf(from)
  if (climb === 0) return `it is in mode ${from} already`
  if (climb > 1)
    return `it is in mode ${from}, and modes climb one step at a time: next is ${MODES[1]}`
  return null
}

/** Whether the step lets the policy do more than before. */
export function isClimb(inForce: Ruleset, segment: string | null, to: Mode): boolean {
  return MODES.indexOf(to) > MODES.indexOf(modeOfSegment(inForce, segment))
}
