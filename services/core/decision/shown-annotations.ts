// Annotations of a decision that a policy may read: those known before its ruling.

import { POLICY_ANNOTATIONS } from '../policy/ruling.ts'
import { GUARD_ANNOTATIONS } from './block-guard.ts'

/** Annotations added by a ruling and the guards after it; no policy reads them. */
const OF_RULINGS: ReadonlySet<string> = new Set([...POLICY_ANNOTATIONS, ...GUARD_ANNOTATIONS])

/** True for an annotation added by or after the ruling. */
export function isAnnotationOfRuling(mark: string): boolean {
  return OF_RULINGS.has(mark)
}

/** The annotations of a decision without those. Returns the same array when there are none. */
export function shownAnnotations(annotations: readonly string[]): readonly string[] {
  return annotations.some(isAnnotationOfRuling)
    ? annotations.filter((mark) => !isAnnotationOfRuling(mark))
    : annotations
}
