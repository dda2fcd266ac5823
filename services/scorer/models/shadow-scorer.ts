import type { Thresholds } from '../../core/decision/decide.ts'
import type { ScoringModel } from '../../core/scoring/scoring-model.ts'
import type { Closable } from '../../platform/lifecycle.ts'
import type { ScorerTelemetry } from '../../platform/metrics/scorer-telemetry.ts'
import type { DecidedBatch } from '../micro-batch.ts'
import type { ShadowSlot } from './model-switch.ts'

export class ShadowScorer implements ShadowSlot, Closable {
  #model: ScoringModel | null = null

  constructor(_telemetry: ScorerTelemetry) {}

  get digest(): string | null {
    return this.#model?.info.digest ?? null
  }

  set(model: ScoringModel | null): void {
    this.#model?.close()
    this.#model = model
  }

  offer(_decided: DecidedBatch, _thresholds: Thresholds): void {}

  close(): Promise<void> {
    this.set(null)
    return Promise.resolve()
  }
}
