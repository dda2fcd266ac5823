// What must be known of a policy before it may do more: a list of gates, each passed, failed, or not known. Not known is
// not passed.

import { wilsonInterval } from '../scoring/wilson.ts'

export interface PromotionLimits {
  /** Days that the policy has decided in the mode it has. */
  readonly daysMin: number
  /** Of what would be published, the share that must be fraud, at the low end of its interval. */
  readonly precisionMin: number
  /** Alerts with mature labels, below which a precision is none. */
  readonly alertsMin: number
  /** Least share of outcomes on which a cascade agrees with its large net. */
  readonly agreementMin: number
  /** Largest share of recomputed feature values that differ. */
  readonly skewShareMax: number
}

/** What was found; null is not known. */
export interface PromotionEvidence {
  readonly days: number | null
  /** Alerts that the next mode would publish, old enough to be judged, and how many of them were fraud. */
  readonly precision: { readonly alerts: number; readonly frauds: number } | null
  /** As the model states it; 1 for a model of one net. */
  readonly agreementAtLeast: number | null
  readonly skew: { readonly compared: number; readonly mismatches: number } | null
  readonly fairness: { readonly judged: boolean; readonly breaches: number } | null
}

export const GATES = ['days', 'precision', 'agreement', 'skew', 'fairness'] as const
export type Gate = (typeof GATES)[number]

export interface GateFinding {
  readonly gate: Gate
  readonly isPassed: boolean
  /** What was found and what is asked, in words. */
  readonly text: string
}

const CONFIDENCE = 0.95

/** All gates, in the order of the list. */
export function judgePromotion(
  evidence: PromotionEvidence,
  limits: PromotionLimits,
): readonly GateFinding[] {
  return [
    daysGate(evidence, limits),
    precisionGate(evidence, limits),
    agreementGate(evidence, limits),
    skewGate(evidence, limits),
    fairnessGate(evidence),
  ]
}

/** Those that stand in the way. */
export function missingOf(findings: readonly GateFinding[]): readonly GateFinding[] {
  return findings.filter(({ isPassed }) => !isPassed)
}

function daysGate({ days }: PromotionEvidence, { daysMin }: PromotionLimits): GateFinding {
  if (days === null) return unknown('days', 'no decision of this policy in this mode was found')
  const text = `${days.toFixed(1)} days in this mode, at least ${daysMin} are asked`
  return { gate: 'days', isPassed: days >= daysMin, text }
}

function precisionGate(
  { precision }: PromotionEvidence,
  { precisionMin, alertsMin }: PromotionLimits,
): GateFinding {
  if (precision === null) return unknown('precision', 'no decision is old enough to be judged')
  const { alerts, frauds } = precision
  if (alerts < alertsMin) {
    const text = `${alerts} alerts are old enough to be judged, at least ${alertsMin} are asked`
    return { gate: 'precision', isPassed: false, text }
  }
  const { low, high, share } = wilsonInterval(frauds, alerts, CONFIDENCE)
  const found = `${percent(share ?? 0)} [${percent(low)}, ${percent(high)}]`
  const text = `${found} of ${alerts} alerts were fraud, the low end must be at least ${percent(precisionMin)}`
  return { gate: 'precision', isPassed: low >= precisionMin, text }
}

function agreementGate(
  { agreementAtLeast }: PromotionEvidence,
  { agreementMin }: PromotionLimits,
): GateFinding {
  if (agreementAtLeast === null)
    return unknown('agreement', 'the model that decides is not in the store')
  const text = `the cascade agrees with its large net on at least ${percent(agreementAtLeast)}, asked are ${percent(agreementMin)}`
  return { gate: 'agreement', isPassed: agreementAtLeast >= agreementMin, text }
}

function skewGate({ skew }: PromotionEvidence, { skewShareMax }: PromotionLimits): GateFinding {
  if (skew === null || skew.compared === 0) {
    return unknown('skew', 'give the metrics page of "sluice skew" with --skew')
  }
  const { compared, mismatches } = skew
  const isPassed = mismatches / compared <= skewShareMax
  const text = `${mismatches} of ${compared} recomputed values differ, at most ${percent(skewShareMax)} may`
  return { gate: 'skew', isPassed, text }
}

function fairnessGate({ fairness }: PromotionEvidence): GateFinding {
  if (fairness === null) return unknown('fairness', 'no rule is set (SLUICE_FAIRNESS_RULE)')
  if (!fairness.judged) {
    return unknown('fairness', 'no group has enough decisions that are old enough to be judged')
  }
  const text = `${fairness.breaches} groups breach the fairness rule, none may`
  return { gate: 'fairness', isPassed: fairness.breaches === 0, text }
}

function unknown(gate: Gate, remedy: string): GateFinding {
  return { gate, isPassed: false, text: `not known: ${remedy}` }
}

function percent(share: number): string {
  return `${Number((100 * share).toPrecision(4))}%`
}
