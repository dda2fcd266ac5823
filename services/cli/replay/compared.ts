// What a replay counts: decisions by what differs, and what was not compared and why.

/** What of a decision can differ. Closed list. */
export const MISMATCHES = [
  'transaction',
  'features',
  'annotations',
  'score',
  'cascade',
  'rules',
  'outcome',
  'rules',
  'reasons',
  'revision',
  'repeat',
] as const
export type Mismatch = (typeof MISMATCHES)[number]

/** Why something of a decision was not compared. Closed list. */
export const LEFT_OUT = [
  'message_gone',
  'other_feature_list',
  'behind_reach',
  'outside_sample',
  'model_gone',
  'policy_gone',
  'target_unknown',
  'reasons_inexact',
  'first_decision_unknown',
] as const
export type LeftOut = (typeof LEFT_OUT)[number]

/** Mismatches that are told one by one. */
export const SHOWN_MAX = 20

export interface ShownMismatch {
  readonly kind: Mismatch
  readonly partition: number
  readonly offset: number
  readonly revision: number
  readonly transactionId: string
  readonly recorded: string
  readonly recomputed: string
}

export interface ReplaySummary {
  /** Decisions of the range that were met, revisions and repeats included. */
  readonly decisions: number
  readonly revisions: number
  readonly repeats: number
  /** Decisions of which something differs. */
  readonly mismatched: number
  readonly features: { readonly compared: number; readonly notCompared: number }
  readonly scores: { readonly compared: number; readonly ofTarget: number }
  readonly outcomes: number
  readonly reasons: number
  readonly mismatches: Readonly<Record<Mismatch, number>>
  readonly leftOut: Readonly<Record<LeftOut, number>>
  /** How far a score may be off: 0 is bit for bit. */
  readonly tolerance: number
  readonly first: readonly ShownMismatch[]
}

export class ReplayTally {
  decisions = 0
  revisions = 0
  repeats = 0
  features = { compared: 0, notCompared: 0 }
  scores = { compared: 0, ofTarget: 0 }
  outcomes = 0
  reasons = 0
  tolerance = 0
  readonly #mismatches = new Map<Mismatch, number>()
  readonly #leftOut = new Map<LeftOut, number>()
  readonly #first: ShownMismatch[] = []
  #mismatched = 0
  #lastPlace = ''

  differs(shown: ShownMismatch): void {
    const { kind, partition, offset, revision } = shown
    this.#mismatches.set(kind, (this.#mismatches.get(kind) ?? 0) + 1)
    const place = `${partition}/${offset}/${revision}`
    if (place !== this.#lastPlace) this.#mismatched += 1
    this.#lastPlace = place
    if (this.#first.length < SHOWN_MAX) this.#first.push(shown)
  }

  leaveOut(reason: LeftOut): void {
    this.#leftOut.set(reason, (this.#leftOut.get(reason) ?? 0) + 1)
  }

  summary(): ReplaySummary {
    const { decisions, revisions, repeats, features, scores, outcomes, reasons, tolerance } = this
    const counted = { decisions, revisions, repeats, features, scores, outcomes, reasons }
    const each = <Name extends string>(names: readonly Name[], counts: ReadonlyMap<Name, number>) =>
      Object.fromEntries(names.map((name) => [name, counts.get(name) ?? 0])) as Record<Name, number>
    return {
      ...counted,
      tolerance,
      mismatched: this.#mismatched,
      mismatches: each(MISMATCHES, this.#mismatches),
      leftOut: each(LEFT_OUT, this.#leftOut),
      first: this.#first,
    }
  }
}

/** Whether a replay shows that everything of its range is as it was: nothing differs, and something was compared. */
export function isProven({ decisions, mismatched, leftOut }: ReplaySummary): boolean {
  return decisions > 0 && mismatched === 0 && leftOut.model_gone === 0 && leftOut.policy_gone === 0
}
