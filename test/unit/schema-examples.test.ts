// The golden bytes of schemas/examples: they decode to the JSON stored alongside, for as long as their version exists.
// Another Avro library decoded and encoded the valid ones with the same results when they were made.

import assert from 'node:assert/strict'
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { SUBJECTS } from '../../services/core/wire/schema-registry.ts'
import { subjectCases } from './core/wire/wire-fixture.ts'

const EXAMPLES = join(import.meta.dirname, '../../schemas/examples')

/** The JSON files write bytes as { "hex": "..." }. */
function toJson(value: unknown): unknown {
  if (value instanceof Uint8Array) return { hex: Buffer.from(value).toString('hex') }
  if (Array.isArray(value)) return value.map(toJson)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, toJson(part)]))
}

describe('golden bytes', async () => {
  const files = await readdir(EXAMPLES, { recursive: true })
  const names = files.filter((file) => file.endsWith('.bin')).map((file) => file.slice(0, -4))

  test('are there for every subject, minimal and full', () => {
    for (const subject of SUBJECTS) {
      assert.ok(names.includes(join(subject, 'v1', 'minimal')), subject)
      assert.ok(names.includes(join(subject, 'v1', 'full')), subject)
    }
    const others = files.filter((file) => /\.\w+$/.test(file) && !/\.(bin|json)$/.test(file))
    assert.deepEqual(others, [])
  })

  for (const name of names.toSorted()) {
    test(`decode as written down: ${name}`, async () => {
      const found = subjectCases.find(({ subject }) => name.startsWith(join(subject, 'v')))
      assert.ok(found !== undefined)
      const bytes = await readFile(join(EXAMPLES, `${name}.bin`))
      const expected = JSON.parse(await readFile(join(EXAMPLES, `${name}.json`), 'utf8')) as object
      const decoded = found.codec.decode(bytes)
      if ('value' in expected) {
        assert.ok(decoded.ok, JSON.stringify(decoded))
        assert.deepStrictEqual(toJson(decoded.value), expected.value)
        assert.deepEqual(found.codec.encode(decoded.value), bytes)
      } else {
        assert.deepStrictEqual(decoded, { ok: false, ...expected })
      }
    })
  }
})
