// The active model. A micro-batch holds the model with which it began, so it never uses two. An older model is closed
// once no batch holds it.

import type { ScoringModel } from '../../core/scoring/scoring-model.ts'
import type { Closable } from '../../platform/lifecycle.ts'
import type { Policy } from './policy.ts'

/** A model in service, with the settings that it implies for decisions. */
export interface Serving {
  readonly model: ScoringModel
  readonly policy: Policy
  /** Offset of the newest control message that named the model or the policy; null when none did. */
  readonly controlPosition: number | null
}

/** A model that stays open until it is released. */
export interface HeldModel extends Serving {
  /** Must be called once, when this batch no longer needs the model. */
  release(): void
}

interface Slot {
  readonly model: ScoringModel
  policy: Policy
  holds: number
  isRetired: boolean
}

export class ServedModels implements Closable {
  #slot: Slot
  #modelPosition: number | null = null
  #policyPosition: number | null = null
  #policyOf: (model: ScoringModel) => Policy

  constructor(model: ScoringModel, policyOf: (model: ScoringModel) => Policy) {
    this.#policyOf = policyOf
    this.#slot = { model, policy: policyOf(model), holds: 0, isRetired: false }
  }

  get #controlPosition(): number | null {
    const positions = [this.#modelPosition, this.#policyPosition].filter((at) => at !== null)
    return positions.length === 0 ? null : Math.max(...positions)
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

  /** This model decides from the next batch of every partition on. */
  replace(model: ScoringModel, controlPosition: number | null): void {
    const before = this.#slot
    this.#slot = { model, policy: this.#policyOf(model), holds: 0, isRetired: false }
    this.#modelPosition = controlPosition
    before.isRetired = true
    closeWhenUnused(before)
  }

  /** This policy decides from the next batch of every partition on, with this model and later ones. */
  replacePolicy(policyOf: (model: ScoringModel) => Policy, controlPosition: number | null): void {
    this.#policyOf = policyOf
    this.#policyPosition = controlPosition
    this.#slot.policy = policyOf(this.#slot.model)
  }

  /** The same model, named by another message. */
  confirm(controlPosition: number | null): void {
    this.#modelPosition = controlPosition
  }

  /** The same policy, named by another message. */
  confirmPolicy(controlPosition: number | null): void {
    this.#policyPosition = controlPosition
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
