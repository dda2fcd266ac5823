// What of a decision's marks a policy is shown: what is known before it rules.

import { POLICY_MARKS } from '../policy/ruling.ts'
import { GUARD_MARKS } from './block-guard.ts'

/** Marks that a ruling and the guard behind it put on a decision; no policy is asked about them. */
const OF_RULINGS: ReadonlySet<string> = new Set([...POLICY_MARKS, ...GUARD_MARKS])

/** True for a mark that came with or after the ruling. */
export function isMarkOfRuling(mark: string): boolean {
  return OF_RULINGS.has(mark)
}

/** The marks of a decision without those. The same list where it has none of them. */
export function marksShown(marks: readonly string[]): readonly string[] {
  return marks.some(isMarkOfRuling) ? marks.filter((mark) => !isMarkOfRuling(mark)) : marks
}
