// A catalogue as a file: read with the place of every fault, and written.

import { openYaml, type YamlFault, type YamlFields } from '../../yaml/yaml-fields.ts'
import { type AggregateRules, CARD_RULES, ENTITY_RULES } from './aggregate-rules.ts'
import {
  CARD_AGGREGATES,
  ENTITY_AGGREGATES,
  ENTITY_KINDS,
  type FeatureDefinition,
  REFERENCES,
  TRANSACTION_AGGREGATES,
} from './feature-definition.ts'
import { card, own, shared } from './feature-makers.ts'
import { spanOfText, spanText } from './span-words.ts'
import { CARD_REACH_MS, MINUTE_MS } from './time.ts'

/** Value of `apiVersion` in every catalogue. */
const CATALOGUE_API_VERSION = 'sluice/v1'

/** Limits of one catalogue (P6). */
export const CATALOGUE_LIMITS = {
  bytesMax: 262_144,
  featuresMax: 256,
  /** Different windows of the card's features; each is summed for every transaction. */
  cardWindowsMax: 16,
  sentenceCharactersMax: 200,
} as const

const NAME = /^[a-z][a-z0-9_]{0,63}$/
const NAME_FORM = 'a lower-case letter, then up to 63 lower-case letters, digits and _'
const SPAN = /^[1-9]\d{0,4}(?:m|h|d)$/
const SPAN_FORM = 'a span such as 10m, 6h or 30d'
const ENTITIES = ['transaction', 'card', ...ENTITY_KINDS] as const

export type ParsedCatalogue =
  | { readonly ok: true; readonly features: readonly FeatureDefinition[] }
  | { readonly ok: false; readonly faults: readonly YamlFault[] }

/** Reads and checks a catalogue. All faults are reported at once. Never throws on bad input. */
export function parseCatalogue(text: string): ParsedCatalogue {
  if (Buffer.byteLength(text) > CATALOGUE_LIMITS.bytesMax) {
    const message = `the text is larger than ${CATALOGUE_LIMITS.bytesMax} bytes`
    return { ok: false, faults: [{ line: 1, column: 1, path: '', message }] }
  }
  const { root, faults } = openYaml(text)
  if (root === null) return { ok: false, faults: faults.all }
  root.oneOf('apiVersion', [CATALOGUE_API_VERSION])
  const features = root.objects('features', CATALOGUE_LIMITS.featuresMax, readFeature)
  if (features.length === 0) root.fault('has no feature', 'features')
  refuseRepeats(root, features)
  refuseCost(root, features)
  root.end()
  return faults.all.length === 0 ? { ok: true, features } : { ok: false, faults: faults.all }
}

function refuseRepeats(root: YamlFields, features: readonly FeatureDefinition[]): void {
  const names = features.map(({ name }) => name).filter((name) => name !== '')
  const repeated = new Set(names.filter((name, index) => names.indexOf(name) < index))
  for (const name of repeated) root.fault(`has the name ${name} more than once`, 'features')
}

function refuseCost(root: YamlFields, features: readonly FeatureDefinition[]): void {
  const windowsMs = new Set<number>()
  for (const feature of features) {
    if (feature.entity !== 'card') continue
    windowsMs.add(feature.windowMs)
    if (feature.longWindowMs !== undefined) windowsMs.add(feature.longWindowMs)
  }
  const { cardWindowsMax } = CATALOGUE_LIMITS
  if (windowsMs.size > cardWindowsMax) {
    const message = `has ${windowsMs.size} different windows of the card; ${cardWindowsMax} are allowed`
    root.fault(message, 'features')
  }
  const hasRun = (entity: string): boolean =>
    features.some((each) => each.entity === entity && each.aggregate === 'fraud_run')
  for (const { name, entity, aggregate } of features) {
    if (aggregate === 'fraud_run_age' && !hasRun(entity)) {
      root.fault(`has ${name}, which needs a feature fraud_run of the ${entity} too`, 'features')
    }
  }
}

function readFeature(fields: YamlFields): FeatureDefinition {
  const name = fields.matching('name', NAME, NAME_FORM) ?? ''
  const entity = fields.oneOf('entity', ENTITIES)
  const sentence = fields.text('meaning', CATALOGUE_LIMITS.sentenceCharactersMax)?.text ?? ''
  if (entity === 'transaction')
    return own(fields.oneOf('aggregate', TRANSACTION_AGGREGATES), name, sentence)
  if (entity === 'card') {
    const aggregate = fields.oneOf('aggregate', CARD_AGGREGATES)
    const rules = CARD_RULES[aggregate]
    const windowMs = windowOf(fields, rules)
    const of = rules.needsReference ? fields.oneOf('of', REFERENCES) : undefined
    const longWindowMs = rules.needsLongWindow ? spanOf(fields, 'longWindow') : undefined
    if (longWindowMs !== undefined && longWindowMs <= windowMs)
      fields.fault('must be longer than window', 'longWindow')
    return card(aggregate, name, windowMs, sentence, { of, longWindowMs })
  }
  const aggregate = fields.oneOf('aggregate', ENTITY_AGGREGATES)
  const rules = ENTITY_RULES[aggregate]
  const windowMs = windowOf(fields, rules)
  return shared({ name, entity, aggregate, windowMs, delayMs: delayOf(fields, rules), sentence })
}

function windowOf(fields: YamlFields, { windowMs }: AggregateRules): number {
  if (windowMs !== null && !fields.has('window')) {
    fields.matchingOr('window', SPAN, SPAN_FORM, null)
    return windowMs
  }
  const foundMs = spanOf(fields, 'window')
  if (windowMs !== null && foundMs !== windowMs)
    fields.fault(`must be ${spanText(windowMs)} for this aggregate`, 'window')
  return foundMs
}

function spanOf(fields: YamlFields, name: string): number {
  const text = fields.matching(name, SPAN, SPAN_FORM)
  const spanMs = text === null ? CARD_REACH_MS : spanOfText(text)
  if (spanMs < MINUTE_MS || spanMs > CARD_REACH_MS)
    fields.fault(`must be from 1m to ${spanText(CARD_REACH_MS)}`, name)
  return spanMs
}

/** Time before the transaction at which the window of a shared entity ends. */
function delayOf(fields: YamlFields, { delaysMs }: AggregateRules): number {
  const [usualMs] = delaysMs
  const text = fields.matchingOr('delay', SPAN, SPAN_FORM, null)
  if (text === null) return usualMs
  const delayMs = spanOfText(text)
  if (delaysMs.includes(delayMs)) return delayMs
  fields.fault(`must be ${delaysMs.map(spanText).join(' or ')} for this aggregate`, 'delay')
  return usualMs
}

/** The catalogue as a file that `parseCatalogue` reads. */
export function catalogueText(features: readonly FeatureDefinition[]): string {
  const lines = [`apiVersion: ${CATALOGUE_API_VERSION}`, 'features:']
  for (const feature of features) {
    lines.push(`  - name: ${feature.name}`, `    entity: ${feature.entity}`)
    lines.push(`    aggregate: ${feature.aggregate}`)
    if (feature.windowMs > 0) lines.push(`    window: ${spanText(feature.windowMs)}`)
    if ('longWindowMs' in feature) lines.push(`    longWindow: ${spanText(feature.longWindowMs)}`)
    if ('of' in feature) lines.push(`    of: ${feature.of}`)
    if (feature.delayMs > 0) lines.push(`    delay: ${spanText(feature.delayMs)}`)
    lines.push(`    meaning: ${JSON.stringify(feature.sentence)}`)
  }
  return `${lines.join('\n')}\n`
}

/** Differences of two catalogues, by name. */
export interface CatalogueDifference {
  readonly added: readonly string[]
  readonly removed: readonly string[]
  /** Same name, another meaning. */
  readonly changed: readonly string[]
  /** True when the features that both have stand in another order. */
  readonly isReordered: boolean
}

/** Compares what is computed, not the sentences for analysts. */
export function compareCatalogues(
  before: readonly FeatureDefinition[],
  after: readonly FeatureDefinition[],
): CatalogueDifference {
  const meanings = new Map(before.map((each) => [each.name, meaningText(each)]))
  const namesAfter = new Set(after.map(({ name }) => name))
  const shared = after.filter(({ name }) => meanings.has(name))
  const orderBefore = before.map(({ name }) => name).filter((name) => namesAfter.has(name))
  return {
    added: after.map(({ name }) => name).filter((name) => !meanings.has(name)),
    removed: before.map(({ name }) => name).filter((name) => !namesAfter.has(name)),
    changed: shared
      .filter((each) => meanings.get(each.name) !== meaningText(each))
      .map(({ name }) => name),
    isReordered: shared.some(({ name }, index) => name !== orderBefore[index]),
  }
}

function meaningText(definition: FeatureDefinition): string {
  const meaning = Object.entries(definition).filter(([field]) => field !== 'sentence')
  return JSON.stringify(meaning.toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
