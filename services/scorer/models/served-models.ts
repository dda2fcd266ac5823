// The model that decides now. A micro-batch holds on to the one it began with, so it never sees two; an older model is
// closed once no batch holds it.

import type { ScoringModel } from '../../core/scoring/scoring-model.ts'
import type { Closable } from '../../platform/lifecycle.ts'
import type { Policy } from './policy.ts'

/** A model in service, with what follows from it for deciding. */
export interface Serving {
  readonly model: ScoringModel
  readonly policy: Policy
  /** Offset of the control message that named it; null when none did. */
  readonly controlPosition: number | null
}

/** A model that stays open until it is released. */
export interface HeldModel extends Serving {
  /** To be called once, when nothing of this batch needs the model any more. */
  release(): void
}

interface Slot {
  readonly model: ScoringModel
  readonly policy: Policy
  holds: number
  isRetired: boolean
}

export class ServedModels implements Closable {
  #slot: Slot
  #controlPosition: number | null
  readonly #policyOf: (model: ScoringModel) => Policy

  constructor(model: ScoringModel, policyOf: (model: ScoringModel) => Policy) {
    this.#policyOf = policyOf
    this.#slot = { model, policy: policyOf(model), holds: 0, isRetired: false }
    this.#controlPosition = null
  }

  get current(): Serving {
    const { model, policy } = this.#slot
    return { model, policy, controlPosition: this.#controlPosition }
  }

  /** The model of the batch that begins now. */
  take(): HeldModel {
    const slot = this.#slot
    slot.holds += 1
    return {
      model: slot.model,
      policy: slot.policy,
      controlPosition: this.#controlPosition,
      release: () => {
        slot.holds -= 1
        closeWhenUnused(slot)
      },
    }
  }

  /** From the next batch of every lane on this model decides. */
  replace(model: ScoringModel, controlPosition: number | null): void {
    const before = this.#slot
    this.#slot = { model, policy: this.#policyOf(model), holds: 0, isRetired: false }
    this.#controlPosition = controlPosition
    before.isRetired = true
    closeWhenUnused(before)
  }

  /** The same model, named by another message. */
  confirm(controlPosition: number | null): void {
    this.#controlPosition = controlPosition
  }

  close(): Promise<void> {
    this.#slot.isRetired = true
    closeWhenUnused(this.#slot)
    return Promise.resolve()
  }
}

function closeWhenUnused(slot: Slot): void {
  if (slot.isRetired && slot.holds === 0) slot.model.close()
}
