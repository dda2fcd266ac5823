// Compiled feature list: every choice is made once, so that the loop per transaction only computes.

import { entityRefOf, PRESENCE, type CardEvent, type EventNeeds } from '../state/card-event.ts'
import type { CardHistory } from '../state/card-history.ts'
import { cardPlanOf, type CardPlan } from './card-plan.ts'
import { cardReader } from './card-readers.ts'
import { CardAggregates } from './card-aggregates.ts'
import { entityPlanOf, type EntityPlan } from './entity-plan.ts'
import { EntityAggregates } from './entity-aggregates.ts'
import {
  ENTITY_KINDS,
  type EntityKind,
  type FeatureDefinition,
} from '../catalogue/feature-definition.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../catalogue/time.ts'

const NIGHT_LAST_HOUR = 6
const MINOR_PER_UNIT = 100

/** Aggregates from which the features of one transaction are computed. Reused for every transaction. */
export interface PlanAggregates {
  readonly card: CardAggregates
  readonly entities: Readonly<Record<EntityKind, EntityAggregates | null>>
}

/** A reader of a value and the position of the value in the row. */
interface Step<Read> {
  readonly at: number
  readonly read: Read
}

type OwnRead = (event: CardEvent) => number
type EntityRead = (aggregates: EntityAggregates, event: CardEvent) => number

/** Readers of the features of one kind of entity. */
interface EntitySteps {
  readonly kind: EntityKind
  readonly steps: readonly Step<EntityRead>[]
}

export interface FeaturePlan {
  readonly definitions: readonly FeatureDefinition[]
  readonly card: CardPlan
  readonly entities: Readonly<Record<EntityKind, EntityPlan | null>>
  readonly needs: EventNeeds
  /** Creates the input of `write`. */
  openAggregates(): PlanAggregates
  /**
   * Writes one value per definition at `position`; NaN means absent. `history` and the aggregates belong to the
   * transaction; `isRetry` is true if it is a retry. Hot path.
   */
  write(
    event: CardEvent,
    isRetry: boolean,
    history: CardHistory,
    aggregates: PlanAggregates,
    out: { readonly row: Float64Array; readonly position: number },
  ): void
  /** Makes the features absent that need the transaction's own amount. */
  clearAmounts(out: { readonly row: Float64Array; readonly position: number }): void
}

/** Aggregates that read the transaction's own amount. */
const OF_OWN_AMOUNT: ReadonlySet<FeatureDefinition['aggregate']> = new Set([
  'amount',
  'sum',
  'mean',
  'ratio_to_mean',
  'z_score',
  'quantile',
  'sum_ratio',
  'just_under_limit',
])

/** @throws RangeError if a definition needs an aggregate that does not exist. */
export function compileFeaturePlan(definitions: readonly FeatureDefinition[]): FeaturePlan {
  const card = cardPlanOf(definitions)
  const entities = perKind((kind) => entityPlanOf(kind, definitions))
  const openAggregates = (): PlanAggregates => ({
    card: new CardAggregates(card),
    entities: perKind((kind) => {
      const plan = entities[kind]
      return plan === null ? null : new EntityAggregates(plan)
    }),
  })
  const ownSteps = stepsOf(definitions, 'transaction', ({ aggregate }) => ownReader(aggregate))
  const cardSteps = stepsOf(definitions, 'card', (definition) => cardReader(definition, card))
  const entitySteps = ENTITY_KINDS.map((kind) => ({
    kind,
    steps: stepsOf(definitions, kind, (definition) => entityReader(definition, entities[kind])),
  })).filter(({ steps }) => steps.length > 0)
  const ofAmount = definitions.flatMap(({ aggregate }, at) =>
    OF_OWN_AMOUNT.has(aggregate) ? [at] : [],
  )
  return {
    definitions,
    card,
    entities,
    needs: {
      ...perKind((kind) => entities[kind] !== null || card.kept.references.has(kind)),
      category: card.kept.references.has('category'),
      categoryCode: definitions.some(({ aggregate }) => aggregate === 'category_code'),
    },
    openAggregates,
    write(event, isRetry, history, aggregates, { row, position }) {
      for (const { at, read } of ownSteps) row[position + at] = read(event)
      const { card: cardAggregates } = aggregates
      const own = isRetry ? 0 : 1
      // One call per value.
      for (const { at, read } of cardSteps) {
        row[position + at] = read(cardAggregates, own, event, history)
      }
      for (const steps of entitySteps) writeEntity(steps, event, aggregates, row, position)
    },
    clearAmounts({ row, position }) {
      for (const at of ofAmount) row[position + at] = NaN
    },
  }
}

type Of<Entity> = Extract<FeatureDefinition, { readonly entity: Entity }>

/** Readers of the features of one entity, each with its position in the row. */
function stepsOf<Entity extends FeatureDefinition['entity'], Read>(
  definitions: readonly FeatureDefinition[],
  entity: Entity,
  readerOf: (definition: Of<Entity>) => Read,
): readonly Step<Read>[] {
  const isOf = (each: FeatureDefinition): each is Of<Entity> => each.entity === entity
  return definitions.flatMap((each, at) => (isOf(each) ? [{ at, read: readerOf(each) }] : []))
}

/** Writes NaN if the transaction names no such entity. Hot path. */
function writeEntity(
  { kind, steps }: EntitySteps,
  event: CardEvent,
  { entities }: PlanAggregates,
  row: Float64Array,
  position: number,
): void {
  const aggregates = entityRefOf(event, kind) === 0 ? null : entities[kind]
  for (const { at, read } of steps)
    row[position + at] = aggregates === null ? NaN : read(aggregates, event)
}

function perKind<Value>(make: (kind: EntityKind) => Value): Record<EntityKind, Value> {
  const [terminal, merchant, device, network] = ENTITY_KINDS
  return {
    terminal: make(terminal),
    merchant: make(merchant),
    device: make(device),
    network: make(network),
  }
}

function ownReader(aggregate: Of<'transaction'>['aggregate']): OwnRead {
  switch (aggregate) {
    case 'amount':
      return ({ amountMinor }) => amountMinor / MINOR_PER_UNIT
    case 'weekend':
      // 1970-01-01 was a Thursday, three days after a Monday.
      return (event) => (((Math.floor(localMsOf(event) / DAY_MS) + 3) | 0) % 7 >= 5 ? 1 : 0)
    case 'night':
      return (event) => (Math.floor(hourOf(event)) <= NIGHT_LAST_HOUR ? 1 : 0)
    case 'hour':
      return hourOf
    case 'card_not_present':
      return ({ presence }) =>
        presence === PRESENCE.unknown ? NaN : presence === PRESENCE.notPresent ? 1 : 0
    case 'category_code':
      return ({ categoryCode }) => categoryCode
  }
}

function localMsOf({ timeMs, utcOffsetMinutes }: CardEvent): number {
  return timeMs + utcOffsetMinutes * MINUTE_MS
}

function hourOf(event: CardEvent): number {
  const localMs = localMsOf(event)
  return (localMs - Math.floor(localMs / DAY_MS) * DAY_MS) / HOUR_MS
}

function entityReader(
  { aggregate, entity, windowMs, delayMs }: Of<EntityKind>,
  plan: EntityPlan | null,
): EntityRead {
  const group = plan?.groups.findIndex((each) => each.delayMs === delayMs) ?? -1
  const window = plan?.groups[group]?.windowsMs.indexOf(windowMs) ?? -1
  if (window < 0) throw new RangeError(`The plan of ${entity} has no such window.`)
  switch (aggregate) {
    case 'count':
      return ({ groups }) => groups[group]?.counts[window] ?? NaN
    case 'frauds':
      return ({ groups }) => groups[group]?.frauds[window] ?? NaN
    case 'fraud_share':
      return ({ groups }) => {
        const count = groups[group]?.counts[window] ?? 0
        return count === 0 ? 0 : Math.min(1, (groups[group]?.frauds[window] ?? 0) / count)
      }
    case 'distinct_cards':
      return ({ distinctCards }) => distinctCards
    case 'fraud_run':
      return ({ runLength }) => runLength
    case 'fraud_run_age':
      return ({ runStartMs }, event) => (event.timeMs - runStartMs) / SECOND_MS
  }
}
