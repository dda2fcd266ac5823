// Goal: the OpenAPI document is sound: every schema compiles in its dialect, every reference leads somewhere, and the
// schemas take what the gateway takes.

import { deepStrictEqual, ok } from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { OPEN_API } from '../../../services/gateway/open-api.ts'
import { CLIENT_TYPES, clientTypesHeader } from '../../../tools/docs/write-client-types.ts'
import { minimalTransaction } from '../core/wire/samples.ts'

function referencesIn(value: unknown): readonly string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) =>
    key === '$ref' && typeof inner === 'string' ? [inner] : referencesIn(inner),
  )
}

test('every reference of the document leads to a schema of it, and every schema is used', () => {
  const known = Object.keys(OPEN_API.components.schemas).map(
    (name) => `#/components/schemas/${name}`,
  )
  const used = new Set(referencesIn(OPEN_API))
  deepStrictEqual(
    [...used].filter((reference) => !known.includes(reference)),
    [],
  )
  deepStrictEqual(
    known.filter((name) => !used.has(name)),
    [],
  )
})

test('every schema compiles, and that of a transaction takes one with the needed fields only', () => {
  const ajv = new Ajv2020({ strict: false })
  ajv.addSchema({ $id: 'document', ...OPEN_API })
  for (const name of Object.keys(OPEN_API.components.schemas)) {
    ok(ajv.getSchema(`document#/components/schemas/${name}`), name)
  }
  const takes = ajv.getSchema('document#/components/schemas/Transaction')
  ok(takes !== undefined)
  const { id, card, eventTimeMs, amountMinor, currency } = minimalTransaction
  const needed = { id, card, eventTimeMs, amountMinor, currency }
  deepStrictEqual(takes(needed), true)
  deepStrictEqual(takes({ ...needed, attributes: { tds: 'ok', amount: 1, isNew: true } }), true)
  deepStrictEqual(takes({ ...needed, currency: undefined }), false)
  deepStrictEqual(takes({ ...needed, cvv: '123' }), false)
})

test('every operation has its own id, and names the problems of a missing token', () => {
  const operations = Object.values(OPEN_API.paths).flatMap((path) =>
    Object.values<{ operationId: string; responses: object }>(path),
  )
  const ids = operations.map(({ operationId }) => operationId)
  deepStrictEqual(ids.length, new Set(ids).size)
  for (const { operationId, responses } of operations) {
    if (operationId !== 'openApi') ok('401' in responses, operationId)
  }
})

test('the types of the example clients are of this document; "npm run docs:clients" writes them', () => {
  for (const { file, comment } of CLIENT_TYPES) {
    const [header] = readFileSync(file, 'utf8').split('\n')
    deepStrictEqual(header, clientTypesHeader(comment))
  }
})
