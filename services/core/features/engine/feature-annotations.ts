// Annotations that the fold adds to a transaction in addition to its features.

/** Conditions of a decision that its reader should know. Closed list, in the order of the bits. */
export const FEATURE_ANNOTATIONS = [
  'duplicate',
  'retry',
  'late',
  'behind_reach',
  'windows_approximate',
  'after_watermark',
  'expired',
  'degraded',
  'no_rate',
] as const
export type FeatureAnnotation = (typeof FEATURE_ANNOTATIONS)[number]

export const NO_ANNOTATIONS: readonly FeatureAnnotation[] = []

/** Annotations that apply, in the order of the list. */
export function annotationsThat(
  applies: Readonly<Record<FeatureAnnotation, boolean>>,
): readonly FeatureAnnotation[] {
  return FEATURE_ANNOTATIONS.filter((annotation) => applies[annotation])
}
