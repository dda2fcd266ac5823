// Scores decided transactions with a shadow model. It runs after the commit, one slice of rows per turn of the event
// loop, from a bounded queue. Rows that find no room are counted and left out; no partition ever waits for it.

import { isScore, type Thresholds } from '../../core/decision/decide.ts'
import { shownAnnotations } from '../../core/decision/shown-annotations.ts'
import { FEATURE_COUNT } from '../../core/features/catalogue/feature-list.ts'
import type { CompiledPolicy } from '../../core/policy/ruling.ts'
import { hashOf } from '../../core/id-hash.ts'
import { CASCADE_ANNOTATIONS, type CascadeAnnotation } from '../../core/scoring/cascade.ts'
import { BoundedSample } from '../../core/scoring/bounded-sample.ts'
import type { ScoringModel } from '../../core/scoring/scoring-model.ts'
import type { DecisionRecord, Outcome } from '../../core/wire/records.ts'
import type { Closable } from '../../platform/lifecycle.ts'
import type { Logger } from '../../platform/log.ts'
import type { ModelRole, ShadowEvents } from '../../platform/metrics/deployment-metrics.ts'
import type { DecidedBatch } from '../batch/micro-batch.ts'
import { RowInput } from '../decide/rule-batch.ts'
import { ShadowQueue } from './shadow-queue.ts'
import type { ShadowSlot } from './model-switch.ts'
import { scoreShadow, type ShadowRows, type ShadowScores } from './shadow-cascade.ts'

/** Most rows that wait, over all partitions: a few seconds of a busy scorer. */
export const SHADOW_ROWS_MAX = 16_384
/** Rows per turn, few enough that no partition notices. */
const SLICE_ROWS = 256
/** Transactions kept until their labels arrive: those that either model alerts on, and a sample of the others. */
const ALERTED_KEPT_MAX = 32_768
const APPROVED_KEPT_MAX = 65_536
/** Longest wait for a label. */
const LABEL_AGE_MS_MAX = 60 * 86_400_000

type Outcomes = Readonly<Record<ModelRole, Outcome>>

interface Judged {
  readonly outcomes: Outcomes
  readonly amountMinor: number
}

/** A waiting batch: its rows, and the labels that came with it. */
interface Waiting extends ShadowRows {
  readonly states: Uint8Array
  readonly decisions: readonly DecisionRecord[]
  readonly transactions: DecidedBatch['transactions']
  /** The policy that decided; it rules on the shadow's scores too. */
  readonly policy: CompiledPolicy
  readonly labels: DecidedBatch['labelled']
}

export interface ShadowOptions {
  readonly telemetry: ShadowEvents
  readonly log: Logger
}

export class ShadowScorer implements ShadowSlot, Closable {
  readonly #options: ShadowOptions
  readonly #alerted = new BoundedSample<Judged>(ALERTED_KEPT_MAX, LABEL_AGE_MS_MAX)
  readonly #approved = new BoundedSample<Judged>(APPROVED_KEPT_MAX, LABEL_AGE_MS_MAX)
  #model: ScoringModel | null = null
  /** Models that a turn may still be using; each is closed once its slice is done. */
  #retired: ScoringModel[] = []
  readonly #queue: ShadowQueue<Waiting>

  constructor(options: ShadowOptions) {
    this.#options = options
    this.#queue = new ShadowQueue({
      rowsMax: SHADOW_ROWS_MAX,
      sliceRows: SLICE_ROWS,
      step: (waiting, from, to, isWanted) => this.#step(waiting, from, to, isWanted),
      failed: (error, rows) => {
        // A failing shadow is reported and changes nothing else.
        options.telemetry.shadowNotScored(rows)
        options.log.warn({ error }, 'The shadow model has failed; waiting rows are dropped.')
      },
      rested: () => {
        this.#closeRetired()
      },
    })
  }

  get digest(): string | null {
    return this.#model?.info.digest ?? null
  }

  /**
   * True when batches must bring the payments before each row. A model that is set while a batch is decided starts with
   * the next one.
   */
  get keepsSequences(): boolean {
    return this.#model !== null && this.#model.verifier !== null
  }

  /**
   * Takes ownership of the model, and closes it when another one is set. Comparisons with the previous model are
   * discarded.
   */
  set(model: ScoringModel | null): void {
    if (this.#model !== null) this.#retired.push(this.#model)
    this.#model = model
    this.forget()
    if (!this.#queue.isWorking) this.#closeRetired()
  }

  /** Called when the active model changes: comparisons with the previous one are discarded. */
  forget(): void {
    this.#queue.empty()
    this.#alerted.clear()
    this.#approved.clear()
    this.#options.telemetry.shadowSampled(this.#model === null ? 0 : 1)
  }

  /** Copies the arrays, because the partition reuses them. */
  offer(decided: DecidedBatch, policy: CompiledPolicy): void {
    if (this.#model === null) return
    const { decisions, features, states, sequences, amountsMinor, transactions } = decided
    const count = decisions.length
    if (!this.#queue.hasRoomFor(count)) {
      this.#options.telemetry.shadowDropped(count)
      return
    }
    const rows = features.slice(0, count * FEATURE_COUNT)
    const copies = { rows, states: states.slice(), sequences, labels: decided.labelled }
    this.#queue.push({ ...copies, decisions, amountsMinor, transactions, policy }, count)
  }

  async close(): Promise<void> {
    const resting = this.#queue.rest()
    this.set(null)
    await resting
  }

  #closeRetired(): void {
    for (const model of this.#retired.splice(0)) model.close()
  }

  async #step(waiting: Waiting, from: number, to: number, isWanted: () => boolean): Promise<void> {
    const model = this.#model
    if (model === null) return
    if (from === 0) this.#meetLabels(waiting)
    try {
      const scored = await scoreShadow(model, waiting, from, to)
      // The model was replaced while this slice ran, so these scores are of the earlier one.
      if (this.#model !== model || !isWanted()) return
      const { info } = model
      const thresholds = { flag: info.flagThreshold, block: info.blockThreshold }
      this.#judge(waiting, from, scored, thresholds)
    } finally {
      this.#closeRetired()
    }
  }

  #judge(waiting: Waiting, from: number, found: ShadowScores, thresholds: Thresholds): void {
    const { telemetry } = this.#options
    const scores = { active: [] as number[], shadow: [] as number[] }
    const pairs: Outcomes[] = []
    let notScored = 0
    const { transactions, amountsMinor, states, policy } = waiting
    const matrix = {
      transactions,
      amountsMinor,
      states,
      features: waiting.rows,
      modelThresholds: thresholds,
    }
    for (const [index, score] of found.scores.entries()) {
      const row = from + index
      const decision = waiting.decisions[row]
      // Duplicates are not judged, and a revision's transaction was judged before.
      if (decision === undefined || decision.duplicateOfOffset !== null || decision.revision > 0) {
        continue
      }
      if (!isScore(score) || decision.score === null) {
        notScored += 1
        continue
      }
      const mark = found.annotations[index] ?? null
      const annotations = annotationsOfShadow(decision, mark)
      const shadow = policy.rule(new RowInput(matrix, row, score, annotations)).outcome
      const outcomes = { active: decision.outcome, shadow }
      scores.active.push(decision.score)
      scores.shadow.push(score)
      pairs.push(outcomes)
      const isAlerted = outcomes.active !== 'approve' || shadow !== 'approve'
      const judged = { outcomes, amountMinor: waiting.amountsMinor[row] ?? 0 }
      const sample = isAlerted ? this.#alerted : this.#approved
      sample.add(hashOf(decision.transactionId), decision.eventTimeMs, judged)
    }
    telemetry.shadowNotScored(notScored)
    telemetry.shadowScored(scores, pairs)
    telemetry.shadowSampled(this.#approved.share)
  }

  #meetLabels({ labels }: Waiting): void {
    const { telemetry } = this.#options
    for (const { label } of labels) {
      const reference = hashOf(label.transactionId)
      const kept = this.#alerted.take(reference) ?? this.#approved.take(reference)
      if (kept === null) {
        telemetry.shadowLabelNotKept()
        continue
      }
      const verdict = label.verdict === 'fraud' ? 'fraud' : 'genuine'
      telemetry.shadowLabelled({ ...kept.value, verdict, weight: kept.weight })
    }
  }
}

/** Annotations of a decision as if the shadow had scored it: the active cascade's annotations are removed. */
function annotationsOfShadow(
  decision: DecisionRecord,
  mark: CascadeAnnotation | null,
): readonly string[] {
  const annotations = shownAnnotations(decision.annotations).filter(
    (shown) => !CASCADE_ANNOTATIONS.some((own) => own === shown),
  )
  return mark === null ? annotations : [...annotations, mark]
}
