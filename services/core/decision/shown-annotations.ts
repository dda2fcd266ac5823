// Annotations of a decision that a policy is shown: those known before it rules.

import { POLICY_ANNOTATIONS } from '../policy/ruling.ts'
import { GUARD_ANNOTATIONS } from './block-guard.ts'

/** Marks that a ruling and the guard behind it put on a decision; no policy is asked about them. */
const OF_RULINGS: ReadonlySet<string> = new Set([...POLICY_ANNOTATIONS, ...GUARD_ANNOTATIONS])

/** True for a mark that came with or after the ruling. */
export function isAnnotationOfRuling(mark: string): boolean {
  return OF_RULINGS.has(mark)
}

/** The annotations of a decision without those. The same list where it has none of them. */
export function shownAnnotations(annotations: readonly string[]): readonly string[] {
  return annotations.some(isAnnotationOfRuling)
    ? annotations.filter((mark) => !isAnnotationOfRuling(mark))
    : annotations
}
