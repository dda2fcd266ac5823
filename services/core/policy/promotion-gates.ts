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

/** What was found and where, or why it is not known and what to do about that; both in words. */
export type Evidence<Found> =
  | { readonly found: Found; readonly source: string }
  | { readonly found: null; readonly why: string }

/** Agreement of a cascade with its large net. Stated: by the model, at the low end; 1 for a model of one net. */
export type FoundAgreement =
  | { readonly kind: 'stated'; readonly atLeast: number }
  | { readonly kind: 'live'; readonly same: number; readonly different: number }

export interface FoundFairness {
  /** Decisions that were judged, all groups together. */
  readonly rows: number
  /** False where no group has enough of them. */
  readonly isJudged: boolean
  readonly breaches: number
}

export interface PromotionEvidence {
  readonly days: Evidence<number>
  /** Alerts that the next mode would publish, old enough to be judged, and how many of them were fraud. */
  readonly precision: Evidence<{ readonly alerts: number; readonly frauds: number }>
  readonly agreement: Evidence<FoundAgreement>
  readonly skew: Evidence<{ readonly compared: number; readonly mismatches: number }>
  readonly fairness: Evidence<FoundFairness>
}

export const GATES = ['days', 'precision', 'agreement', 'skew', 'fairness'] as const
export type Gate = (typeof GATES)[number]

/** All but the first two in words. */
export interface GateFinding {
  readonly gate: Gate
  readonly isPassed: boolean
  /** What was found, or why it is not known. */
  readonly figure: string
  /** What is asked. */
  readonly bound: string
  /** Where the figure is from; null where there is none. */
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
              ? 'no alert that is old enough to be judged'
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
      // Nothing compared is nothing known.
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

/** Those that stand in the way. */
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
  const figure = `${percent(share ?? 0)} [from ${percent(low)}] of ${cases} outcomes outside of the band`
  return { low, figure }
}

function percent(share: number): string {
  return `${Number((100 * share).toPrecision(4))}%`
}
