// Recomputes decisions from a replay of the log, and compares features, score, outcome and reasons with the record.
// Facts that only the moment could decide (an unreadable state, a large net that missed its deadline) are taken from
// the record: they are annotations of the decision.

import assert from 'node:assert/strict'
import type { RecordedBatch } from '../../core/features/provenance/replay-records.ts'
import type { ReplayedCause, ReplayedRow } from '../../core/features/provenance/replay-rows.ts'
import { reasonOf } from '../../core/features/provenance/row-comparison.ts'
import { type DecisionRecord, OUTCOMES } from '../../core/wire/records.ts'
import {
  LEFT_OUT,
  type LeftOut,
  ReplayTally,
  judgeDecisions,
  judgeRevisions,
} from './judge-decisions.ts'
import type { ModelsByDigest, PoliciesByDigest } from './recorded-deciders.ts'
import {
  type ReplayedDecision,
  type ReplayedRevision,
  replayedDecisionOf,
  replayedRevisionsOf,
  type Deciding,
} from './replayed-decision.ts'
import type { RatesByDigest } from '../../platform/rate-store.ts'

/** Most first decisions per partition whose outcome is kept, for comparison with their repeats. */
const OUTCOMES_MAX = 1_000_000
/** Rows per call of the model. */
const CHUNK_ROWS = 1_024

interface DecisionReplayOptions {
  readonly models: Pick<ModelsByDigest, 'find'>
  readonly isInRange: (block: RecordedBatch, decision: DecisionRecord) => boolean
  readonly policies: Pick<PoliciesByDigest, 'find'>
  readonly rates: Pick<RatesByDigest, 'find'>
}

export class DecisionReplay {
  readonly tally = new ReplayTally()
  readonly #options: DecisionReplayOptions
  readonly #outcomes = new Map<number, Map<number, number>>()
  #decisions: ReplayedDecision[] = []
  #revisions: ReplayedRevision[] = []

  constructor(options: DecisionReplayOptions) {
    this.#options = options
  }

  /** Adds a row; nothing is scored before `settle`. */
  take(row: ReplayedRow): void {
    const { block, recorded } = row
    const { decision } = recorded
    const isRepeat = decision.duplicateOfOffset !== null
    if (!isRepeat && decision.revision === 0) this.#remember(block.partition, decision)
    if (!this.#options.isInRange(block, decision)) return
    const { tally } = this
    tally.decisions += 1
    if (decision.revision > 0) tally.revisions += 1
    if (isRepeat) tally.repeats += 1
    const replayed = replayedDecisionOf(row, this.#options.rates.find(block.ratesDigest))
    if (replayed === null) {
      tally.leaveOut(leftOutOf(row))
      return
    }
    if (isRepeat) this.#compareRepeat(replayed)
    else this.#decisions.push(replayed)
  }

  /** Adds the revisions that a late transaction made of earlier rows. */
  takeCause(cause: ReplayedCause): void {
    const { block, causeOffset, isKnown } = cause
    const own = block.decisions.find((each) => each.offset === causeOffset && each.revision === 0)
    if (own === undefined || !this.#options.isInRange(block, own)) return
    // Without state the scorer recomputed no decision.
    if (!isKnown || own.annotations.includes('degraded')) return
    this.#revisions.push(...replayedRevisionsOf(cause))
  }

  /** Scores and compares the added rows. */
  async settle(): Promise<void> {
    const [decisions, revisions] = [this.#decisions, this.#revisions]
    this.#decisions = []
    this.#revisions = []
    for (const group of grouped(decisions)) {
      const deciding = await this.#decidingOf(group)
      if (deciding !== null) await judgeDecisions(group, deciding, this.tally)
    }
    for (const group of grouped(revisions)) {
      const deciding = await this.#decidingOf(group)
      if (deciding !== null) await judgeRevisions(group, deciding, this.tally)
    }
  }

  async #decidingOf(group: readonly { readonly block: RecordedBatch }[]): Promise<Deciding | null> {
    const [first] = group
    if (first === undefined) return null
    const { block } = first
    const found = await this.#options.models.find(block.modelDigest, block.backend)
    if (found === null) {
      for (let count = 0; count < group.length; count += 1) this.tally.leaveOut('model_gone')
      return null
    }
    this.tally.tolerance = Math.max(this.tally.tolerance, found.tolerance)
    return { ...found, rule: await this.#options.policies.find(block, found.model) }
  }

  #remember(partition: number, { offset, outcome }: DecisionRecord): void {
    const outcomes = this.#outcomes.get(partition) ?? new Map<number, number>()
    this.#outcomes.set(partition, outcomes)
    outcomes.set(offset, OUTCOMES.indexOf(outcome))
    if (outcomes.size <= OUTCOMES_MAX) return
    for (const oldest of outcomes.keys()) {
      outcomes.delete(oldest)
      break
    }
  }

  /** A repeat has the outcome of the first decision, and no score. */
  #compareRepeat({ block, decision, duplicateOfOffset }: ReplayedDecision): void {
    const { partition } = block
    const recorded = `${decision.outcome}, of ${decision.duplicateOfOffset ?? 'none'}`
    const place = {
      kind: 'repeat',
      partition,
      offset: decision.offset,
      revision: decision.revision,
      transactionId: decision.transactionId,
    } as const
    if (duplicateOfOffset !== decision.duplicateOfOffset) {
      this.tally.differs({ ...place, recorded, recomputed: `of ${duplicateOfOffset ?? 'none'}` })
      return
    }
    const first = this.#outcomes.get(partition)?.get(duplicateOfOffset ?? -1)
    if (first === undefined) this.tally.leaveOut('first_decision_unknown')
    else if (OUTCOMES[first] !== decision.outcome) {
      this.tally.differs({ ...place, recorded, recomputed: OUTCOMES[first] ?? 'none' })
    }
  }
}

function leftOutOf({ verdicts }: ReplayedRow): LeftOut {
  const [first] = verdicts
  assert(first !== undefined, 'Every feature has a verdict.')
  const reason = reasonOf(first)
  return LEFT_OUT.find((each) => each === reason) ?? 'message_gone'
}

/** Consecutive rows decided by the same model and policy, in groups of limited size. */
function grouped<Item extends { readonly block: RecordedBatch }>(
  items: readonly Item[],
): readonly (readonly Item[])[] {
  const groups: Item[][] = []
  let key = ''
  for (const item of items) {
    const { modelDigest, backend, policyDigest, mode } = item.block
    const own = `${modelDigest}/${backend}/${policyDigest}/${mode}`
    const last = groups.at(-1)
    if (last === undefined || own !== key || last.length >= CHUNK_ROWS) groups.push([item])
    else last.push(item)
    key = own
  }
  return groups
}
