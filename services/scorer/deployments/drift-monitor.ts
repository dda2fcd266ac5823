// Compares decided rows with the training distribution of the model. Counts a sample of each batch after its commit,
// and updates the metrics every few seconds. Hot path: plain loops, no allocation.

import { FEATURE_COUNT } from '../../core/features/catalogue/feature-list.ts'
import { binOf } from '../../core/scoring/training-distribution.ts'
import type { ScoringModelInfo } from '../../core/scoring/scoring-model.ts'
import type { Closable } from '../../platform/lifecycle.ts'
import { distributionsOf, type DriftEvents } from '../../platform/metrics/deployment-metrics.ts'
import type { DecidedBatch } from '../batch/micro-batch.ts'

/** Most rows of a batch that are sampled, spread evenly: enough for shares, and 64 rows cost about 50 microseconds. */
const BATCH_ROWS_MAX = 64
const TELL_MS = 5_000
const DIGEST_CHARACTERS = 12

export class DriftMonitor implements Closable {
  readonly #telemetry: DriftEvents
  readonly #timer: NodeJS.Timeout
  /** Edges and counts of each feature, then of the score; empty before the first model. */
  #edges: readonly Float64Array[] = []
  #counts: readonly Float64Array[] = []

  constructor(telemetry: DriftEvents) {
    this.#telemetry = telemetry
    this.#timer = setInterval(() => {
      this.tell()
    }, TELL_MS)
    this.#timer.unref()
  }

  /** Starts over with another model. */
  begin({
    digest,
    trainingDistribution,
  }: Pick<ScoringModelInfo, 'digest' | 'trainingDistribution'>): void {
    this.tell()
    this.#telemetry.trainingDistributionOpened(
      digest.slice(0, DIGEST_CHARACTERS),
      trainingDistribution,
    )
    const distributions = distributionsOf(trainingDistribution)
    this.#edges = distributions.map(({ edges }) => Float64Array.from(edges))
    this.#counts = distributions.map(({ shares }) => new Float64Array(shares.length))
  }

  /** Counts a sample of the batch. */
  count({ decisions, features }: Pick<DecidedBatch, 'decisions' | 'features'>): void {
    if (this.#edges.length === 0) return
    const step = Math.max(1, Math.ceil(decisions.length / BATCH_ROWS_MAX))
    for (let row = 0; row < decisions.length; row += step) {
      const decision = decisions[row]
      if (decision === undefined || decision.duplicateOfOffset !== null || decision.revision > 0) {
        continue
      }
      for (let feature = 0; feature < FEATURE_COUNT; feature += 1) {
        this.#add(feature, features[row * FEATURE_COUNT + feature] ?? NaN)
      }
      this.#add(FEATURE_COUNT, decision.score ?? NaN)
    }
  }

  /** Reports the counts to the metrics. */
  tell(): void {
    if (this.#counts.length === 0) return
    this.#telemetry.driftCounted(this.#counts)
    for (const counts of this.#counts) counts.fill(0)
  }

  close(): Promise<void> {
    clearInterval(this.#timer)
    this.tell()
    return Promise.resolve()
  }

  #add(index: number, value: number): void {
    const edges = this.#edges[index]
    const counts = this.#counts[index]
    if (edges === undefined || counts === undefined) return
    const bin = binOf(value, edges)
    counts[bin] = (counts[bin] ?? 0) + 1
  }
}
