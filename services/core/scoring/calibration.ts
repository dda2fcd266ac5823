// From the output of a net (a logit) to a score that reads as a probability.

/** score = 1 / (1 + exp(-(slope x logit + intercept))), fitted on validation data (Platt's method). */
export interface Calibration {
  readonly kind: 'identity' | 'platt'
  /** Above 0, so that calibration never changes an order. 1 for identity. */
  readonly slope: number
  /** 0 for identity. */
  readonly intercept: number
}

/** Calibrated score, 0 to 1; NaN for a logit that is not finite, which means "not scored". */
export function scoreOf(logit: number, { slope, intercept }: Calibration): number {
  if (!Number.isFinite(logit)) return NaN
  const value = slope * logit + intercept
  // Both branches keep exp's argument at or below 0, so nothing overflows.
  if (value >= 0) return 1 / (1 + Math.exp(-value))
  const power = Math.exp(value)
  return power / (1 + power)
}
