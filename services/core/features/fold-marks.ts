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
