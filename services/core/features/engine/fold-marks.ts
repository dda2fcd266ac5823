// What the fold says of a transaction beside its features.

/** Anything about a decision that its reader should know. Closed list; in the order of the bits. */
export const FOLD_MARKS = [
  'duplicate',
  'retry',
  'late',
  'behind_reach',
  'windows_approximate',
  'after_watermark',
  'expired',
  'degraded',
] as const
export type FoldMark = (typeof FOLD_MARKS)[number]

export const NO_MARKS: readonly FoldMark[] = []

/** Those that apply, in the order of the list. */
export function marksThat(applies: Readonly<Record<FoldMark, boolean>>): readonly FoldMark[] {
  return FOLD_MARKS.filter((mark) => applies[mark])
}
