// Goal: every released bill is a valid CycloneDX bill, and our reader accepts nothing that CycloneDX refuses. Method:
// the published schema, applied to the bills and to bills with one change.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { isSluiceError } from '../../../../services/core/errors.ts'
import { checkBom } from '../../../../tools/model-documentation/bom.ts'
import { cycloneDxErrors } from '../../../support/cyclonedx-schema.ts'

const MODELS = join(import.meta.dirname, '../../../../models')
const NAMES = readdirSync(MODELS)

function billOf(name: string): unknown {
  return JSON.parse(readFileSync(join(MODELS, name, 'bom.json'), 'utf8'))
}

test('the bill of every released model is valid CycloneDX 1.6, and our reader accepts it', () => {
  assert.ok(NAMES.length > 0)
  for (const name of NAMES) {
    assert.deepEqual(cycloneDxErrors(billOf(name)), [], name)
    assert.ok(checkBom(billOf(name)).files.length > 10)
  }
})

test('marked as version 1.7, a bill is valid under that schema, too', () => {
  const bill = billOf('simulator') as Record<string, unknown>
  const later = {
    ...bill,
    $schema: 'http://cyclonedx.org/schema/bom-1.7.schema.json',
    specVersion: '1.7',
  }
  assert.deepEqual(cycloneDxErrors(later, '1.7'), [])
})

type Path = readonly (string | number)[]

/** Paths of all values in it. */
function pathsOf(value: unknown, path: Path = []): readonly Path[] {
  if (typeof value !== 'object' || value === null) return [path]
  const entries: readonly (readonly [string | number, unknown])[] = Array.isArray(value)
    ? value.map((entry: unknown, index) => [index, entry] as const)
    : Object.entries(value)
  return [path, ...entries.flatMap(([key, entry]) => pathsOf(entry, [...path, key]))]
}

function changed(value: unknown, path: Path, change: (old: unknown) => unknown): unknown {
  const [key, ...rest] = path
  if (key === undefined) return change(value)
  const copy = (
    Array.isArray(value) ? [...(value as unknown[])] : { ...(value as object) }
  ) as Record<string | number, unknown>
  copy[key] = changed(copy[key], rest, change)
  if (rest.length === 0 && copy[key] === undefined) {
    if (Array.isArray(copy)) copy.splice(Number(key), 1)
    else Reflect.deleteProperty(copy, key)
  }
  return copy
}

test('whatever the published schema refuses, our reader refuses', () => {
  const bill = billOf('simulator')
  const values: readonly unknown[] = [undefined, null, 0, '', 'other', {}, [], [{}], { a: 1 }]
  let refused = 0
  // Every change at every path: random draws could miss the one gap.
  for (const path of pathsOf(bill).filter(({ length }) => length > 0)) {
    for (const value of values) {
      const other = changed(bill, path, () => value)
      if (cycloneDxErrors(other).length === 0) continue
      refused += 1
      assert.throws(
        () => checkBom(other),
        (error) => isSluiceError(error, 'SLUICE_MODEL_CORRUPT'),
        `${path.join('.')} = ${JSON.stringify(value)}`,
      )
    }
  }
  assert.ok(refused > 1_000, `${refused}`)
})
