import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { isSluiceError } from '../../../../services/core/errors.ts'
import { MANIFEST_FORMAT, checkManifest } from '../../../../services/core/scoring/manifest.ts'

type Json = null | boolean | number | string | Json[] | { [name: string]: Json }

const FILE = join(import.meta.dirname, '../../../../models/simulator/manifest.json')

function released(): { [name: string]: Json } {
  return JSON.parse(readFileSync(FILE, 'utf8')) as { [name: string]: Json }
}

/** Every object in the manifest with the names of its fields. */
function* objects(value: Json): Generator<{ [name: string]: Json }> {
  if (value === null || typeof value !== 'object') return
  if (!Array.isArray(value)) yield value
  for (const entry of Object.values(value)) yield* objects(entry)
}

function refusal(manifest: Json): string {
  try {
    checkManifest(manifest)
  } catch (error) {
    assert.ok(isSluiceError(error, 'SLUICE_MODEL_CORRUPT'), String(error))
    return error.message
  }
  return 'accepted'
}

test('the released manifest is accepted unchanged, of a model trained in euro', () => {
  assert.deepEqual(checkManifest(released()), { ...released(), referenceCurrency: 'EUR' })
  const won = { ...released(), referenceCurrency: 'KRW' }
  assert.deepEqual(checkManifest(won), won)
})

test('a manifest of a format to come is refused with both numbers and what to do, whatever else it holds', () => {
  const next = MANIFEST_FORMAT + 1
  for (const manifest of [{ ...released(), formatVersion: next }, { formatVersion: next }]) {
    assert.throws(
      () => checkManifest(manifest),
      (error: unknown) =>
        isSluiceError(error, 'SLUICE_MODEL_INCOMPATIBLE') &&
        error.message.includes(
          `has format ${next}, and this build reads format ${MANIFEST_FORMAT}`,
        ) &&
        /Use the build that the model was made with/.test(error.message),
    )
  }
})

test('any missing field is named in the refusal', () => {
  const count = [...objects(released())].length
  assert.ok(count > 30)
  for (let index = 0; index < count; index += 1) {
    for (const name of Object.keys([...objects(released())][index] ?? {})) {
      const manifest = released()
      const object = [...objects(manifest)][index]
      assert.ok(object !== undefined)
      Reflect.deleteProperty(object, name)
      assert.match(refusal(manifest), new RegExp(name.replace('.', '\\.')))
    }
  }
})

test('any field of a wrong type is named in the refusal', () => {
  const count = [...objects(released())].length
  for (let index = 0; index < count; index += 1) {
    for (const name of Object.keys([...objects(released())][index] ?? {})) {
      const manifest = released()
      const object = [...objects(manifest)][index]
      assert.ok(object !== undefined)
      const isList = Array.isArray(object[name])
      object[name] = isList ? 'x' : [object[name] ?? null]
      assert.match(refusal(manifest), new RegExp(name.replace('.', '\\.')))
    }
  }
})

test('an unknown field is refused, since it would be a setting without effect', () => {
  const count = [...objects(released())].length
  for (let index = 0; index < count; index += 1) {
    const manifest = released()
    const object = [...objects(manifest)][index]
    assert.ok(object !== undefined)
    object['surplus'] = 1
    assert.match(refusal(manifest), /surplus is not a known field/)
  }
})

test('lists of different lengths, strayed scalings and crossed thresholds are refused', () => {
  const baseline = released()
  baseline['baseline'] = [1]
  assert.match(refusal(baseline), /baselines/)
  const strayed = released()
  assert.ok(Array.isArray(strayed['scaling']))
  strayed['scaling'] = strayed['scaling'].toReversed()
  assert.match(refusal(strayed), /is for "network_frauds_30d", but feature 0 is "amount"/)
  const crossed = released()
  crossed['thresholds'] = { flag: 0.5, block: 0.5, rule: 'x' }
  assert.match(refusal(crossed), /must be above flag/)
})

test('a model whose amounts do not depend on the category says so with null', () => {
  const manifest = released()
  for (const object of objects(manifest)) {
    for (const name of ['byCode', 'amountByCategory']) if (name in object) object[name] = null
  }
  const { scaling, target } = checkManifest(manifest)
  assert.ok(scaling.every(({ byCode }) => byCode === null))
  assert.equal(target?.encoding.amountByCategory, null)
})

test('edges by code that do not match are refused', () => {
  const edges = [
    [0, 1],
    [0, 2],
  ]
  const cases: readonly [byCode: Json, part: RegExp][] = [
    [{ feature: 'merchant_category', codes: [7], edges }, /accepted/],
    [
      { feature: 'merchant_kind', codes: [7], edges },
      /depends on "merchant_kind", which is not one of its features/,
    ],
    [{ feature: 'merchant_category', codes: [7, 8], edges }, /a list of edges each/],
    [
      {
        feature: 'merchant_category',
        codes: [7],
        edges: [
          [0, 1],
          [0, 1, 2],
        ],
      },
      /a list of edges each/,
    ],
    [
      {
        feature: 'merchant_category',
        codes: [7],
        edges: [
          [0, 1],
          [2, 1],
        ],
      },
      /never descend/,
    ],
    [{ feature: 'merchant_category', codes: [7], edges: [[0], [0]] }, /never descend/],
    [{ feature: 'merchant_category', codes: [8, 7], edges: [...edges, [0, 3]] }, /do not ascend/],
  ]
  for (const [byCode, part] of cases) {
    const manifest = released()
    const [first] = manifest['scaling'] as { [name: string]: Json }[]
    assert.ok(first !== undefined)
    first['byCode'] = byCode
    assert.match(refusal(manifest), part)
  }
})
