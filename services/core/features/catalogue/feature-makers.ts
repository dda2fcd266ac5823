// Definitions of features from what is stated of each; the rest follows from the aggregate.

import { CARD_RULES, ENTITY_RULES, REFERENCE_UNITS, TRANSACTION_RULES } from './aggregate-rules.ts'
import type { EntityKind, FeatureDefinition, Reference } from './feature-definition.ts'

type Of<Entity> = Extract<FeatureDefinition, { readonly entity: Entity }>

/** A feature of the transaction alone. */
export function own(
  aggregate: Of<'transaction'>['aggregate'],
  name: string,
  sentence: string,
): FeatureDefinition {
  const { unit, absence, includesCurrent } = TRANSACTION_RULES[aggregate]
  return {
    ...{ name, entity: 'transaction', aggregate, windowMs: 0, delayMs: 0 },
    ...{ includesCurrent, unit, absence, sentence },
  }
}

/** What only some aggregates of the card have. */
export interface CardOptions {
  readonly of?: Reference | undefined
  readonly longWindowMs?: number | undefined
}

/** A feature of the card's history. */
export function card(
  aggregate: Of<'card'>['aggregate'],
  name: string,
  windowMs: number,
  sentence: string,
  { of, longWindowMs }: CardOptions = {},
): FeatureDefinition {
  const { unit, absence, includesCurrent } = CARD_RULES[aggregate]
  return {
    ...{ name, entity: 'card', aggregate },
    ...(of !== undefined && { of }),
    ...(longWindowMs !== undefined && { longWindowMs }),
    ...{ windowMs, delayMs: 0, includesCurrent },
    unit: aggregate === 'distinct' && of !== undefined ? REFERENCE_UNITS[of] : unit,
    ...{ absence, sentence },
  }
}

/** What is stated of a feature of an entity that several cards share. */
export interface SharedFeature {
  readonly name: string
  readonly entity: EntityKind
  readonly aggregate: Of<EntityKind>['aggregate']
  readonly windowMs: number
  /** The usual one of the aggregate unless given. */
  readonly delayMs?: number | undefined
  readonly sentence: string
}

/** A feature of an entity that several cards share. */
export function shared(feature: SharedFeature): FeatureDefinition {
  const { unit, absence, includesCurrent, delaysMs } = ENTITY_RULES[feature.aggregate]
  return { ...feature, delayMs: feature.delayMs ?? delaysMs[0], includesCurrent, unit, absence }
}
