// Gates that a policy must pass before promotion to a stricter mode. Each gate is passed, failed, or unknown; unknown is
// not passed.

import { wilsonInterval } from '../scoring/wilson.ts'

export interface PromotionLimits {
  /** Minimum of days that the policy has decided in its current mode. */
  readonly daysMin: number
  /** Minimum share of fraud among the alerts to be published, at the low end of its interval. */
  readonly precisionMin: number
  /** Minimum of alerts with mature labels for a valid precision. */
  readonly alertsMin: number
  /** Minimum share of outcomes on which a cascade agrees with its second stage. */
  readonly agreementMin: number
  /** Maximum share of recomputed feature values that differ. */
  readonly skewShareMax: number
}

/** A finding and its source, or the reason why it is unknown with a remedy. */
export type Evidence<Found> =
  | { readonly found: Found; readonly source: string }
  | { readonly found: null; readonly why: string }

/** Agreement of a cascade with its second stage. Stated: by the model, at the low end; 1 for a model without cascade. */
export type FoundAgreement =
  | { readonly kind: 'stated'; readonly atLeast: number }
  | { readonly kind: 'live'; readonly same: number; readonly different: number }

export interface FoundFairness {
  /** Judged decisions of all groups. */
  readonly rows: number
  /** False when no group has enough decisions. */
  readonly isJudged: boolean
  readonly breaches: number
}

export interface PromotionEvidence {
  readonly days: Evidence<number>
  /** Mature alerts that the next mode would publish, and how many of them were fraud. */
  readonly precision: Evidence<{ readonly alerts: number; readonly frauds: number }>
  readonly agreement: Evidence<FoundAgreement>
  readonly skew: Evidence<{ readonly compared: number; readonly mismatches: number }>
  readonly fairness: Evidence<FoundFairness>
}

export const GATES = ['days', 'precision', 'agreement', 'skew', 'fairness'] as const
export type Gate = (typeof GATES)[number]

/** The result of a gate; figure, bound and source are human-readable. */
export interface GateFinding {
  readonly gate: Gate
  readonly isPassed: boolean
  /** The finding, or the reason for which it is unknown. */
  readonly figure: string
  /** The requirement. */
  readonly bound: string
  /** The source of the figure; null when unknown. */
  readonly source: string | null
}

const CONFIDENCE = 0.95

/** All gates, in the order of the list. */
export function judgePromotion(
  { days, precision, agreement, skew, fairness }: PromotionEvidence,
  { daysMin, precisionMin, alertsMin, agreementMin, skewShareMax }: PromotionLimits,
): readonly GateFinding[] {
  return [
    judged('days', days, `at least ${daysMin}`, (found) => ({
      figure: `${found.toFixed(1)} days in this mode`,
      isPassed: found >= daysMin,
    })),
    judged(
      'precision',
      precision,
      `at least ${alertsMin} alerts, and ${percent(precisionMin)} at the low end`,
      ({ alerts, frauds }) => {
        const { low, high, share } = wilsonInterval(frauds, alerts, CONFIDENCE)
        return {
          figure:
            share === null
              ? 'no alert is old enough to be judged'
              : `${percent(share)} [${percent(low)}, ${percent(high)}] of ${alerts} alerts were fraud`,
          isPassed: alerts >= alertsMin && low >= precisionMin,
        }
      },
    ),
    judged('agreement', agreement, `at least ${percent(agreementMin)}`, (found) => {
      const { low, figure } = agreementOf(found)
      return { figure, isPassed: low >= agreementMin }
    }),
    judged('skew', skew, `at most ${percent(skewShareMax)}`, ({ compared, mismatches }) => ({
      figure: `${mismatches} of ${compared} recomputed values differ`,
      // Without comparisons nothing is known.
      isPassed: compared > 0 && mismatches / compared <= skewShareMax,
    })),
    judged('fairness', fairness, 'no breach', ({ rows, isJudged, breaches }) => ({
      figure: isJudged
        ? `${breaches} breaches of the rule in ${rows} decisions`
        : `no group has enough of the ${rows} decisions that are old enough to be judged`,
      isPassed: isJudged && breaches === 0,
    })),
  ]
}

/** The gates not passed. */
export function missingOf(findings: readonly GateFinding[]): readonly GateFinding[] {
  return findings.filter(({ isPassed }) => !isPassed)
}

/** A finding in a sentence: figure, bound and source. */
export function findingText({ figure, bound, source }: GateFinding): string {
  return `${figure}; asked: ${bound}${source === null ? '' : ` (${source})`}`
}

function judged<Found>(
  gate: Gate,
  evidence: Evidence<Found>,
  bound: string,
  judge: (found: Found) => Pick<GateFinding, 'figure' | 'isPassed'>,
): GateFinding {
  if ('why' in evidence) {
    return { gate, isPassed: false, figure: `not known: ${evidence.why}`, bound, source: null }
  }
  return { gate, ...judge(evidence.found), bound, source: evidence.source }
}

function agreementOf(found: FoundAgreement): { readonly low: number; readonly figure: string } {
  if (found.kind === 'stated') {
    return { low: found.atLeast, figure: `at least ${percent(found.atLeast)} of outcomes` }
  }
  const { same, different } = found
  const { low, cases, share } = wilsonInterval(same, same + different, CONFIDENCE)
  const figure =
    share === null
      ? 'no outcome outside of the band'
      : `${percent(share)} [from ${percent(low)}] of ${cases} outcomes outside of the band`
  return { low, figure }
}

function percent(share: number): string {
  return `${Number((100 * share).toPrecision(4))}%`
}
