// The list of features compiled: every choice is made once, so that the loop per transaction only computes.

import { entityRefOf, PRESENCE, type CardEvent, type EventNeeds } from './card-event.ts'
import type { CardHistory } from './card-history.ts'
import { cardPlanOf, type CardPlan } from './card-plan.ts'
import { cardReader, type CardValue } from './card-readers.ts'
import { CardReading } from './card-reading.ts'
import { entityPlanOf, type EntityPlan } from './entity-plan.ts'
import { EntityReading } from './entity-reading.ts'
import { ENTITY_KINDS, type EntityKind, type FeatureDefinition } from './feature-definition.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from './time.ts'

const NIGHT_LAST_HOUR = 6
const MINOR_PER_UNIT = 100

/** What the features of one transaction are computed from. Reused from one to the next. */
export interface Readings {
  readonly card: CardReading
  readonly entities: Readonly<Record<EntityKind, EntityReading | null>>
}

type Read = (event: CardEvent, history: CardHistory, readings: Readings, own: 0 | 1) => number

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
    row: Float64Array,
    position: number,
  ): void
}

/** @throws RangeError when a definition asks for what no reading gathers. */
export function compileFeaturePlan(definitions: readonly FeatureDefinition[]): FeaturePlan {
  const card = cardPlanOf(definitions)
  const entities = perKind((kind) => entityPlanOf(kind, definitions))
  const openReadings = (): Readings => ({
    card: new CardReading(card),
    entities: perKind((kind) => {
      const plan = entities[kind]
      return plan === null ? null : new EntityReading(plan)
    }),
  })
  const steps = definitions.map((definition) => compile(definition, card, entities))
  return {
    definitions,
    card,
    entities,
    needs: {
      ...perKind((kind) => entities[kind] !== null || card.references.includes(kind)),
      category: card.references.includes('category'),
      categoryCode: definitions.some(({ aggregate }) => aggregate === 'category_code'),
    },
    openReadings,
    write(event, isRetry, history, readings, row, position) {
      const own = isRetry ? 0 : 1
      for (let index = 0; index < steps.length; index += 1) {
        row[position + index] = steps[index]?.(event, history, readings, own) ?? NaN
      }
    },
  }
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

function compile(
  definition: FeatureDefinition,
  card: CardPlan,
  entities: Readonly<Record<EntityKind, EntityPlan | null>>,
): Read {
  switch (definition.entity) {
    case 'transaction':
      return transactionReader(definition.aggregate)
    case 'card':
      return cardStep(cardReader(definition, card))
    case 'terminal':
    case 'merchant':
    case 'device':
    case 'network':
      return entityReader(definition, entities[definition.entity])
  }
}

function cardStep(value: CardValue): Read {
  return (event, history, { card }, own) => value(event, history, card, own)
}

type Of<Entity> = Extract<FeatureDefinition, { readonly entity: Entity }>

function transactionReader(aggregate: Of<'transaction'>['aggregate']): Read {
  switch (aggregate) {
    case 'amount':
      return ({ amountMinor }) => amountMinor / MINOR_PER_UNIT
    case 'weekend':
      // 1970-01-01 was a Thursday, three days after a Monday.
      return (event) => ((Math.floor(localMsOf(event) / DAY_MS) + 3) % 7 >= 5 ? 1 : 0)
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

/** NaN when the transaction names no such entity. */
function entityReader(
  { aggregate, entity, windowMs, delayMs }: Of<EntityKind>,
  plan: EntityPlan | null,
): Read {
  const group = plan?.groups.findIndex((each) => each.delayMs === delayMs) ?? -1
  const window = plan?.groups[group]?.windowsMs.indexOf(windowMs) ?? -1
  if (window < 0) throw new RangeError(`No reading of ${entity} has this window.`)
  const read = (value: (event: CardEvent, reading: EntityReading) => number): Read => {
    return (event, _, { entities }) => {
      const reading = entities[entity]
      return reading === null || entityRefOf(event, entity) === 0 ? NaN : value(event, reading)
    }
  }
  switch (aggregate) {
    case 'count':
      return read((_, { groups }) => groups[group]?.counts[window] ?? NaN)
    case 'frauds':
      return read((_, { groups }) => groups[group]?.frauds[window] ?? NaN)
    case 'fraud_share':
      return read((_, { groups }) => {
        const count = groups[group]?.counts[window] ?? 0
        return count === 0 ? 0 : Math.min(1, (groups[group]?.frauds[window] ?? 0) / count)
      })
    case 'distinct_cards':
      return read((_, { distinctCards }) => distinctCards)
    case 'fraud_run':
      return read((_, { runLength }) => runLength)
    case 'fraud_run_age':
      return read((event, { runStartMs }) => (event.timeMs - runStartMs) / SECOND_MS)
  }
}
