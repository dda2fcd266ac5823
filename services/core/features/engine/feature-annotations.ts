// What the fold says of a transaction beside its features.

/** Anything about a decision that its reader should know. Closed list; in the order of the bits. */
export const FEATURE_ANNOTATIONS = [
  'duplicate',
  'retry',
  'late',
  'behind_reach',
  'windows_approximate',
  'after_watermark',
  'expired',
  'degraded',
] as const
export type FeatureAnnotation = (typeof FEATURE_ANNOTATIONS)[number]

export const NO_ANNOTATIONS: readonly FeatureAnnotation[] = []

/** Those that apply, in the order of the list. */
export function marksThat(
  applies: Readonly<Record<FeatureAnnotation, boolean>>,
): readonly FeatureAnnotation[] {
  return FEATURE_ANNOTATIONS.filter((mark) => applies[mark])
}
