// Shorthand for feature definitions.

import {
  WINDOWS,
  type Absence,
  type EntityKind,
  type FeatureDefinition,
  type Reference,
  type WindowName,
} from './feature-definition.ts'
import { ENTITY_DELAY_MS, LABEL_DELAY_MS } from './time.ts'

type Of<Entity> = Extract<FeatureDefinition, { readonly entity: Entity }>

/** A feature of the transaction alone. */
export function own(
  aggregate: Of<'transaction'>['aggregate'],
  name: string,
  unit: string,
  sentence: string,
  absence: Absence = 'never',
): FeatureDefinition {
  const entity = 'transaction'
  const rest = { windowMs: 0, delayMs: 0, includesCurrent: true }
  return { name, entity, aggregate, ...rest, unit, absence, sentence }
}

interface CardOptions {
  readonly unit?: string
  readonly absence?: Absence
  readonly of?: Reference
  readonly longWindowMs?: number
  /** False when only earlier events count. */
  readonly current?: boolean
}

/** A feature of the card's history. */
export function card(
  aggregate: Of<'card'>['aggregate'],
  name: string,
  window: WindowName,
  sentence: string,
  options: CardOptions = {},
): FeatureDefinition {
  const { unit = 'payments', absence = 'never', current = true, of, longWindowMs } = options
  return {
    name,
    entity: 'card',
    aggregate,
    ...(of !== undefined && { of }),
    ...(longWindowMs !== undefined && { longWindowMs }),
    windowMs: WINDOWS[window].windowMs,
    delayMs: 0,
    includesCurrent: current,
    unit,
    absence,
    sentence,
  }
}

interface SharedOptions {
  readonly unit: string
  /** Windows over labels end a week ago ('label', unless given), others two hours ago. */
  readonly delay?: 'label' | 'short'
}

/** A feature of an entity that several cards share. */
export function shared(
  entity: EntityKind,
  aggregate: Of<EntityKind>['aggregate'],
  window: WindowName,
  sentence: string,
  { unit, delay = 'label' }: SharedOptions,
): FeatureDefinition {
  const isRun = aggregate === 'fraud_run' || aggregate === 'fraud_run_age'
  return {
    name: isRun ? `${entity}_${aggregate}` : `${entity}_${aggregate}_${window}`,
    entity,
    aggregate,
    windowMs: WINDOWS[window].windowMs,
    delayMs: delay === 'label' ? LABEL_DELAY_MS : ENTITY_DELAY_MS,
    includesCurrent: false,
    unit,
    absence: aggregate === 'fraud_run_age' ? 'run' : 'entity',
    sentence,
  }
}

/** Options of features for which only earlier payments count. */
export const EARLIER = { current: false, absence: 'history' } as const
