// Catalogues of features for tests: any that a team could write.

import fc from 'fast-check'
import {
  CARD_RULES,
  ENTITY_RULES,
  REFERENCE_UNITS,
} from '../../services/core/features/catalogue/aggregate-rules.ts'
import {
  CARD_AGGREGATES,
  ENTITY_AGGREGATES,
  ENTITY_KINDS,
  type FeatureDefinition,
  REFERENCES,
} from '../../services/core/features/catalogue/feature-definition.ts'
import { SHIPPED_FEATURES } from '../../services/core/features/catalogue/shipped-features.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../services/core/features/catalogue/time.ts'

const windowsMs = fc.constantFrom(
  ...[MINUTE_MS, 7 * MINUTE_MS, HOUR_MS, 3 * HOUR_MS, DAY_MS, 2 * DAY_MS, 7 * DAY_MS, 29 * DAY_MS],
)

const cardFeature = fc
  .record({
    aggregate: fc.constantFrom(...CARD_AGGREGATES),
    windowMs: windowsMs,
    of: fc.constantFrom(...REFERENCES),
  })
  .map(({ aggregate, windowMs, of }): FeatureDefinition => {
    const rules = CARD_RULES[aggregate]
    return {
      name: '',
      entity: 'card',
      aggregate,
      ...(rules.needsReference && { of }),
      ...(rules.needsLongWindow && { longWindowMs: 30 * DAY_MS }),
      windowMs: rules.windowMs ?? windowMs,
      delayMs: 0,
      includesCurrent: rules.includesCurrent,
      unit: aggregate === 'distinct' ? REFERENCE_UNITS[of] : rules.unit,
      absence: rules.absence,
      sentence: 'generated',
    }
  })

const entityFeature = fc
  .record({
    entity: fc.constantFrom(...ENTITY_KINDS),
    // The age of a run needs the run itself.
    aggregate: fc.constantFrom(...ENTITY_AGGREGATES.filter((each) => each !== 'fraud_run_age')),
    windowMs: windowsMs,
    delay: fc.nat(),
  })
  .map(({ entity, aggregate, windowMs, delay }): FeatureDefinition => {
    const { delaysMs, unit, absence, includesCurrent, ...rules } = ENTITY_RULES[aggregate]
    return {
      ...{ name: '', entity, aggregate, windowMs: rules.windowMs ?? windowMs },
      ...{ delayMs: delaysMs[delay % delaysMs.length] ?? delaysMs[0], includesCurrent },
      ...{ unit, absence, sentence: 'generated' },
    }
  })

/** Catalogues of other features than the shipped ones, in any order. */
export const catalogues: fc.Arbitrary<readonly FeatureDefinition[]> = fc
  .array(
    fc.oneof(
      fc.constantFrom(...SHIPPED_FEATURES.filter(({ entity }) => entity === 'transaction')),
      { weight: 4, arbitrary: cardFeature },
      { weight: 2, arbitrary: entityFeature },
    ),
    { minLength: 8, maxLength: 40 },
  )
  .map((features) => features.map((feature, index) => ({ ...feature, name: `feature_${index}` })))
