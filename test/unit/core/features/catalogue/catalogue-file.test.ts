// Goal: a catalogue is read as it was written, every fault has its place, and the shipped one follows its own rules.

import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  CATALOGUE_LIMITS,
  catalogueText,
  compareCatalogues,
  parseCatalogue,
} from '../../../../../services/core/features/catalogue/catalogue-file.ts'
import type { FeatureDefinition } from '../../../../../services/core/features/catalogue/feature-definition.ts'
import { hashOfFeatures } from '../../../../../services/core/features/catalogue/feature-list.ts'
import { SHIPPED_FEATURES } from '../../../../../services/core/features/catalogue/shipped-features.ts'
import { compileFeaturePlan } from '../../../../../services/core/features/engine/feature-plan.ts'
import { catalogues } from '../../../../support/catalogues.ts'
import { holds } from '../../../../support/property.ts'

const HEAD = 'apiVersion: sluice/v1\nfeatures:\n'

function parsed(text: string): readonly FeatureDefinition[] {
  const catalogue = parseCatalogue(text)
  ok(catalogue.ok, JSON.stringify(catalogue))
  return catalogue.features
}

function faultsOf(text: string): readonly string[] {
  const catalogue = parseCatalogue(text)
  return catalogue.ok
    ? []
    : catalogue.faults.map(({ line, path, message }) => `${line} ${path} ${message}`)
}

test('the shipped catalogue, written and read, is itself, and its hash that of the shipped model', () => {
  const read = parsed(catalogueText(SHIPPED_FEATURES))
  deepStrictEqual(read, SHIPPED_FEATURES)
  strictEqual(hashOfFeatures(read), hashOfFeatures(SHIPPED_FEATURES))
})

test('any catalogue, written and read, is itself, and compiles', () => {
  holds(
    100,
    fc.property(catalogues, (features) => {
      deepStrictEqual(parsed(catalogueText(features)), features)
      strictEqual(compileFeaturePlan(features).definitions.length, features.length)
    }),
  )
})

const FAULTS: readonly [feature: string, fault: RegExp][] = [
  ['{ name: A, entity: card, aggregate: count, window: 1h, meaning: x }', /^3 features\[0\].name /],
  [
    '{ name: a, entity: shop, aggregate: count, window: 1h, meaning: x }',
    /^3 features\[0\].entity /,
  ],
  ['{ name: a, entity: card, aggregate: median, window: 1h, meaning: x }', /\.aggregate /],
  [
    '{ name: a, entity: card, aggregate: count, window: 31d, meaning: x }',
    /\.window must be from 1m to 30d/,
  ],
  ['{ name: a, entity: card, aggregate: count, window: 90s, meaning: x }', /\.window /],
  ['{ name: a, entity: card, aggregate: count, meaning: x }', /\.window /],
  ['{ name: a, entity: card, aggregate: speed, window: 1d, meaning: x }', /\.window must be 30d/],
  ['{ name: a, entity: card, aggregate: distinct, window: 1d, meaning: x }', /\.of /],
  ['{ name: a, entity: card, aggregate: count, of: device, window: 1d, meaning: x }', /\.of /],
  [
    '{ name: a, entity: card, aggregate: sum_ratio, window: 1d, longWindow: 1d, meaning: x }',
    /longWindow must be longer/,
  ],
  [
    '{ name: a, entity: device, aggregate: distinct_cards, window: 7d, meaning: x }',
    /\.window must be 1d/,
  ],
  [
    '{ name: a, entity: device, aggregate: frauds, window: 7d, delay: 2h, meaning: x }',
    /\.delay must be 7d/,
  ],
  [
    '{ name: a, entity: device, aggregate: fraud_run_age, meaning: x }',
    /needs a feature fraud_run of the device/,
  ],
  ['{ name: a, entity: card, aggregate: count, window: 1h }', /\.meaning /],
]

for (const [feature, fault] of FAULTS) {
  test(`a fault has its place: ${feature}`, () => {
    match(faultsOf(`${HEAD}  - ${feature}\n`).join('\n'), fault)
  })
}

test('a catalogue has features, each name once, and bounds', () => {
  match(faultsOf('apiVersion: sluice/v1\nfeatures: []\n').join(), /has no feature/)
  const one = '  - { name: a, entity: card, aggregate: count, window: 1h, meaning: x }\n'
  match(faultsOf(HEAD + one + one).join(), /has the name a more than once/)
  const { cardWindowsMax, bytesMax, featuresMax } = CATALOGUE_LIMITS
  const windows = Array.from(
    { length: cardWindowsMax + 1 },
    (_, at) =>
      `  - { name: a${at}, entity: card, aggregate: count, window: ${at + 1}m, meaning: x }\n`,
  )
  match(
    faultsOf(HEAD + windows.join('')).join(),
    /17 different windows of the card; 16 are allowed/,
  )
  const many = Array.from({ length: featuresMax + 1 }, (_, at) =>
    one.replace('name: a', `name: a${at}`),
  )
  ok(faultsOf(HEAD + many.join('')).length > 0)
  match(faultsOf(' '.repeat(bytesMax + 1)).join(), /larger than/)
})

test('a comparison names what was added, removed, changed and moved', () => {
  const [first, second, third] = SHIPPED_FEATURES
  ok(first !== undefined && second !== undefined && third !== undefined)
  const changed = { ...third, unit: 'other' }
  deepStrictEqual(
    compareCatalogues([first, second, third], [second, changed, { ...first, name: 'new' }]),
    {
      added: ['new'],
      removed: [first.name],
      changed: [third.name],
      isReordered: false,
    },
  )
  strictEqual(compareCatalogues([first, second], [second, first]).isReordered, true)
  const reworded = { ...first, sentence: 'other words' }
  deepStrictEqual(compareCatalogues([first], [reworded]).changed, [])
})
