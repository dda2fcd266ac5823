// Goal: the class follows from the components that exist, as the framework defines it. Method: components removed one
// by one, and MOF.yml of the released model against the published form of the framework.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Ajv } from 'ajv'
import { parse } from 'yaml'
import {
  MOF_COMPONENTS,
  assess,
  mofOf,
  presenceOf,
  type MofComponent,
} from '../../../../tools/model-documentation/mof.ts'
import { OPEN_TERMS, OWNED_TERMS } from '../../../../services/trainer/release.ts'

const ROOT = join(import.meta.dirname, '../../../..')
const RELEASED = join(ROOT, 'models/simulator/MOF.yml')
const MODEL = { name: 'a', version: 'a-1', releasedOn: '2026-01-31' }
const LICENCE = { license_name: 'Apache-2.0', license_path: 'LICENSES/Apache-2.0.md' }

/** A release with all components, including those that ours never has. */
const COMPLETE: readonly MofComponent[] = MOF_COMPONENTS.map(({ name, description }) => ({
  name,
  description,
  location: `there/${name}`,
  ...LICENCE,
}))

test('a release with all seventeen components is open science', () => {
  assert.equal(COMPLETE.length, 17)
  assert.deepEqual(
    assess(COMPLETE, () => true),
    {
      class: 'I',
      class_name: 'Open Science',
      missing_for_next_class: [],
    },
  )
})

for (const { name, neededFor } of MOF_COMPONENTS) {
  const below = { I: 'II', II: 'III', III: 'none' } as const
  const expected = neededFor === null ? 'I' : below[neededFor]
  test(`without "${name}" the class is ${expected}, whether it is absent, missing or without a licence`, () => {
    const without = (change: Partial<MofComponent>): readonly MofComponent[] =>
      COMPLETE.map((component) =>
        component.name === name ? { ...component, ...change } : component,
      )
    assert.equal(assess(without({ location: '' }), () => true).class, expected)
    assert.equal(assess(without({ license_name: '' }), () => true).class, expected)
    const gone = (location: string): boolean => location !== `there/${name}`
    assert.equal(assess(COMPLETE, gone).class, expected)
  })
}

test('without the code a folder reaches a lower class; a folder of owned data reaches none', () => {
  const folder = MOF_COMPONENTS.flatMap(({ location }) => (location === null ? [] : [location]))
  const whole = mofOf(MODEL, OPEN_TERMS, presenceOf(folder, ROOT))
  assert.equal(whole.assessment.class, 'II')
  assert.equal(
    mofOf(MODEL, OPEN_TERMS, presenceOf(folder, join(ROOT, 'docs'))).assessment.class,
    'III',
  )
  assert.equal(mofOf(MODEL, OWNED_TERMS, presenceOf(folder, ROOT)).assessment.class, 'none')
})

const TEXT = { type: 'string' }
const COMPONENT_FIELDS = ['name', 'description', 'location', 'license_name', 'license_path']
const RELEASE_FIELDS = [
  'name',
  'version',
  'date',
  'architecture',
  'origin',
  'producer',
  'contact',
  'components',
]

test('MOF.yml of the released model has the form that the framework requires', () => {
  // The rules of the framework's published form, in our own words: required fields and their types.
  const validate = new Ajv({ strict: false }).compile({
    type: 'object',
    required: ['framework', 'release'],
    properties: {
      framework: {
        type: 'object',
        required: ['name', 'version', 'date'],
        properties: { name: { const: 'Model Openness Framework' }, version: TEXT, date: TEXT },
      },
      release: {
        type: 'object',
        required: RELEASE_FIELDS,
        properties: {
          ...Object.fromEntries(RELEASE_FIELDS.map((name) => [name, TEXT])),
          type: { const: 'other' },
          components: {
            type: 'array',
            minItems: 17,
            maxItems: 17,
            items: {
              type: 'object',
              required: COMPONENT_FIELDS,
              properties: Object.fromEntries(COMPONENT_FIELDS.map((name) => [name, TEXT])),
            },
          },
        },
      },
    },
  })
  const released: unknown = parse(readFileSync(RELEASED, 'utf8'))
  assert.ok(validate(released), JSON.stringify(validate.errors))
  assert.ok(!validate({ framework: {}, release: {} }))
})
