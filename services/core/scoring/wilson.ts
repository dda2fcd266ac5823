// Wilson's score interval of a share, which also holds for few cases and for shares near 0 and 1.

/** A share with the interval that contains it at the given confidence. */
export interface ShareInterval {
  readonly hits: number
  readonly cases: number
  /** hits / cases; null without cases. */
  readonly share: number | null
  readonly low: number
  readonly high: number
}

/** Two-sided normal quantiles of the supported confidences. */
const QUANTILES = { 0.9: 1.644854, 0.95: 1.959964, 0.99: 2.575829 } as const
export const CONFIDENCES = [0.9, 0.95, 0.99] as const
export type Confidence = (typeof CONFIDENCES)[number]

/** Without cases the interval is 0 to 1. */
export function wilsonInterval(hits: number, cases: number, confidence: Confidence): ShareInterval {
  if (cases === 0) return { hits, cases, share: null, low: 0, high: 1 }
  const z = QUANTILES[confidence]
  const share = hits / cases
  const square = (z * z) / cases
  const centre = share + square / 2
  const reach = z * Math.sqrt((share * (1 - share)) / cases + square / (4 * cases))
  const scale = 1 + square
  return {
    hits,
    cases,
    share,
    low: hits === 0 ? 0 : Math.max(0, (centre - reach) / scale),
    high: hits === cases ? 1 : Math.min(1, (centre + reach) / scale),
  }
}
