// The list of features compiled: every choice is made once, so that the loop per transaction only computes.

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

/** What the features of one transaction are computed from. Reused from one to the next. */
export interface Readings {
  readonly card: CardAggregates
  readonly entities: Readonly<Record<EntityKind, EntityAggregates | null>>
}

/** A value and its place in the row. */
interface Step<Read> {
  readonly at: number
  readonly read: Read
}

type OwnRead = (event: CardEvent) => number
type EntityRead = (reading: EntityAggregates, event: CardEvent) => number

/** The features of one kind of entity. */
interface EntitySteps {
  readonly kind: EntityKind
  readonly steps: readonly Step<EntityRead>[]
}

export interface FeaturePlan {
  readonly definitions: readonly FeatureDefinition[]
  readonly card: CardPlan
  readonly entities: Readonly<Record<EntityKind, EntityPlan | null>>
  readonly needs: EventNeeds
  /** Makes what `write` reads from. */
  openReadings(): Readings
  /**
   * Writes one value per definition at `position`; NaN is absent. `history` and the readings are those of the
   * transaction; `isRetry` is true when it is a retry. Hot path.
   */
  write(
    event: CardEvent,
    isRetry: boolean,
    history: CardHistory,
    readings: Readings,
    out: { readonly row: Float64Array; readonly position: number },
  ): void
}

/** @throws RangeError when a definition asks for what no reading gathers. */
export function compileFeaturePlan(definitions: readonly FeatureDefinition[]): FeaturePlan {
  const card = cardPlanOf(definitions)
  const entities = perKind((kind) => entityPlanOf(kind, definitions))
  const openReadings = (): Readings => ({
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
  return {
    definitions,
    card,
    entities,
    needs: {
      ...perKind((kind) => entities[kind] !== null || card.kept.references.has(kind)),
      category: card.kept.references.has('category'),
      categoryCode: definitions.some(({ aggregate }) => aggregate === 'category_code'),
    },
    openReadings,
    write(event, isRetry, history, readings, { row, position }) {
      for (const { at, read } of ownSteps) row[position + at] = read(event)
      const { card: aggregates } = readings
      const own = isRetry ? 0 : 1
      // One call per value.
      for (const { at, read } of cardSteps) {
        row[position + at] = read(aggregates, own, event, history)
      }
      for (const steps of entitySteps) writeEntity(steps, event, readings, row, position)
    },
  }
}

type Of<Entity> = Extract<FeatureDefinition, { readonly entity: Entity }>

/** Readers of the features of one entity, each with its place in the row. */
function stepsOf<Entity extends FeatureDefinition['entity'], Read>(
  definitions: readonly FeatureDefinition[],
  entity: Entity,
  readerOf: (definition: Of<Entity>) => Read,
): readonly Step<Read>[] {
  const isOf = (each: FeatureDefinition): each is Of<Entity> => each.entity === entity
  return definitions.flatMap((each, at) => (isOf(each) ? [{ at, read: readerOf(each) }] : []))
}

/** NaN where the transaction names no such entity. Hot path. */
function writeEntity(
  { kind, steps }: EntitySteps,
  event: CardEvent,
  { entities }: Readings,
  row: Float64Array,
  position: number,
): void {
  const reading = entityRefOf(event, kind) === 0 ? null : entities[kind]
  for (const { at, read } of steps)
    row[position + at] = reading === null ? NaN : read(reading, event)
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
  if (window < 0) throw new RangeError(`No reading of ${entity} has this window.`)
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
