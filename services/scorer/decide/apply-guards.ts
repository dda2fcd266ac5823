// Applies breaker, budgets and leases to the rulings of a batch in offset order: each transaction, then the revisions
// that it causes.

import type { GuardedRuling } from '../../core/decision/block-guard.ts'
import type { Ruling } from '../../core/policy/ruling.ts'
import type { Outcome } from '../../core/wire/records.ts'
import type { DecideOptions } from './decide-options.ts'
import { revisedAlertOf } from '../publish/decision-records.ts'
import { counterfactualFor } from './explain-decided.ts'
import type { FoldedEntry, PartitionLabel } from '../batch/fold-batch.ts'
import { withAnnotation, type PartitionBlocks } from '../publish/partition-blocks.ts'
import type { Revision } from './revise.ts'

/** Applies the guards of one partition to one batch. */
export class Settling {
  readonly #blocks: PartitionBlocks
  readonly #decidedAtMs: number
  readonly #options: DecideOptions
  readonly #byCause = new Map<number, Revision[]>()
  readonly #outcomes = new Map<number, Outcome>()

  constructor(
    blocks: PartitionBlocks,
    revisions: readonly Revision[],
    decidedAtMs: number,
    options: DecideOptions,
  ) {
    this.#blocks = blocks
    this.#decidedAtMs = decidedAtMs
    this.#options = options
    for (const revision of revisions) {
      const cause = revision.decision.causeOffset ?? -1
      const others = this.#byCause.get(cause)
      if (others === undefined) this.#byCause.set(cause, [revision])
      else others.push(revision)
    }
  }

  /**
   * Labels are applied first. An aligned replay skips them for leases, because how far labels run ahead is chance
   * there.
   */
  labels(labels: readonly PartitionLabel[]): void {
    const { alignment, policy } = this.#options
    if (alignment === 'aligned') return
    for (const entry of labels) {
      if (entry.kind === 'label') this.#blocks.label(entry.label, policy.leaseMs, this.#decidedAtMs)
    }
  }

  /** The next transaction. A duplicate has no ruling: its first decision stands with the guards applied to it. */
  transaction(
    { transaction, folded, offset, timestampMs }: FoldedEntry,
    ruledOutcome: Outcome,
    ruling: Ruling | null,
  ): GuardedRuling {
    this.#blocks.advance(transaction.eventTimeMs, timestampMs, this.#decidedAtMs)
    if (ruling === null) {
      const first = this.#outcomes.get(folded.duplicateOfOffset ?? -1)
      return { outcome: first ?? ruledOutcome, mark: null }
    }
    const { id: transactionId, card } = transaction
    // A block without a known amount cannot count towards the share of the value.
    const amountMinor = Number.isNaN(folded.amountMinor) ? 0 : folded.amountMinor
    const settled = this.#blocks.applyGuards(
      { transactionId, card, amountMinor, ruling, isRevision: false },
      this.#options,
    )
    this.#outcomes.set(offset, settled.outcome)
    return settled
  }

  /** Revisions caused by the transaction at this offset. A revision that the guards leave without effect is dropped. */
  revisions(causeOffset: number): readonly Revision[] {
    const caused = this.#byCause.get(causeOffset) ?? []
    return caused.flatMap((revision) => this.#revise(revision) ?? [])
  }

  #revise(revision: Revision): Revision | null {
    const {
      decision: ruled,
      transaction,
      amountMinor,
      ruling,
      rulingBefore,
      timestampMs,
    } = revision
    const { transactionId, card } = ruled
    const { outcome, mark } = this.#blocks.applyGuards(
      { transactionId, card, amountMinor, ruling, isRevision: true },
      this.#options,
    )
    if (outcome === rulingBefore.outcome) return null
    const decision = { ...ruled, outcome, annotations: withAnnotation(ruled.annotations, mark) }
    const at = this.#decidedAtMs
    const alert =
      mark === null
        ? revision.alert
        : revisedAlertOf(
            { transaction, decision, ruling, referenceMinor: amountMinor, timestampMs },
            rulingBefore,
            at,
            this.#options,
          )
    if (alert === null) return { ...revision, decision, alert }
    const counterfactual = counterfactualFor(outcome, revision)
    return { ...revision, decision, alert: this.#blocks.revise({ ...alert, counterfactual }, at) }
  }
}
