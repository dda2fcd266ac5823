// State of every value that reaches the model (P7): the number alone does not say why a value is missing.

import type { FeaturePlan } from './feature-plan.ts'
import { ENTITY_KINDS, type EntityKind } from '../catalogue/feature-definition.ts'

/** Closed list; a value's state is stored as its index. Only a present value is a number. */
export const FEATURE_STATES = ['present', 'absent', 'expired', 'degraded'] as const
export type FeatureState = (typeof FEATURE_STATES)[number]

export const STATE = { present: 0, absent: 1, expired: 2, degraded: 3 } as const

/** State that was unreadable or incomplete for one transaction. */
export interface Faults {
  /** Card windows from this index of the plan on reach further back than the stored history. */
  cardExpiredFrom: number
  isCardDegraded: boolean
  areEntitiesExpired: boolean
  readonly degradedEntities: Record<EntityKind, boolean>
}

export function noFaults(): Faults {
  return {
    cardExpiredFrom: Infinity,
    isCardDegraded: false,
    areEntitiesExpired: false,
    degradedEntities: { terminal: false, merchant: false, device: false, network: false },
  }
}

/** Whether any state was unreadable or incomplete. Hot path. */
export function hasFaults(faults: Faults): boolean {
  const { terminal, merchant, device, network } = faults.degradedEntities
  return (
    faults.cardExpiredFrom !== Infinity ||
    faults.isCardDegraded ||
    faults.areEntitiesExpired ||
    terminal ||
    merchant ||
    device ||
    network
  )
}

/** Faults of a transaction of which no state is readable. */
export const ALL_DEGRADED: Faults = {
  cardExpiredFrom: Infinity,
  isCardDegraded: true,
  areEntitiesExpired: false,
  degradedEntities: { terminal: true, merchant: true, device: true, network: true },
}

/** Writes the state of each value of a row, and sets unreadable and expired values to NaN. */
export type WriteStates = (
  faults: Faults,
  row: Float64Array,
  position: number,
  states: Uint8Array,
) => void

/** Compiles a writer of states; the windows and entities of each feature are resolved once. */
export function compileStates({ definitions, card }: FeaturePlan): WriteStates {
  const cardWindow = definitions.map((definition) =>
    definition.entity === 'card'
      ? card.windowsMs.indexOf(Math.max(definition.windowMs, definition.longWindowMs ?? 0))
      : -1,
  )
  const entityOf = definitions.map(
    ({ entity }) => ENTITY_KINDS.find((kind) => kind === entity) ?? null,
  )
  const faultOf = (index: number, faults: Faults): number => {
    const window = cardWindow[index] ?? -1
    if (window >= 0) {
      if (faults.isCardDegraded) return STATE.degraded
      return window >= faults.cardExpiredFrom ? STATE.expired : STATE.present
    }
    const entity = entityOf[index] ?? null
    if (entity === null) return STATE.present
    if (faults.degradedEntities[entity]) return STATE.degraded
    return faults.areEntitiesExpired ? STATE.expired : STATE.present
  }
  return (faults, row, position, states) => {
    if (!hasFaults(faults)) {
      const end = position + definitions.length
      for (let at = position; at < end; at += 1) {
        states[at] = Number.isNaN(row[at]) ? STATE.absent : STATE.present
      }
      return
    }
    for (let index = 0; index < definitions.length; index += 1) {
      const at = position + index
      const fault = faultOf(index, faults)
      if (fault !== STATE.present) row[at] = NaN
      states[at] =
        fault !== STATE.present ? fault : Number.isNaN(row[at]) ? STATE.absent : STATE.present
    }
  }
}
