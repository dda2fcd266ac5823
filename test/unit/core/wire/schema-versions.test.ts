// Several versions of a schema: older ones, newer ones, and those of other people's producers.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isSluiceError } from '../../../../services/core/errors.ts'
import { createCodecs } from '../../../../services/core/wire/codecs.ts'
import { frameSchemaId, writeFrameHeader } from '../../../../services/core/wire/codec.ts'
import { fullTransaction } from './samples.ts'
import { codecs, content, schemaOf } from './wire-fixture.ts'

const FOREIGN_ID = 4_711

function withSchemaId(bytes: Uint8Array, schemaId: number): Buffer {
  const changed = Buffer.from(bytes)
  writeFrameHeader(changed, schemaId)
  return changed
}

describe('other versions of a schema', () => {
  const [first] = content.schemas.filter((schema) => schema.subject === 'transaction')
  const fieldsOf = (schema: unknown): readonly { readonly name: string }[] =>
    (schema as { readonly fields: readonly { readonly name: string }[] }).fields
  const schema = schemaOf('transaction') as object
  const shorter = {
    ...schema,
    fields: fieldsOf(schema).filter((field) => field.name !== 'intentId'),
  }
  const longer = {
    ...schema,
    fields: [
      { name: 'notes', type: { type: 'array', items: 'string' }, default: [] },
      ...fieldsOf(schema),
      { name: 'score', type: ['null', 'double'], default: null },
    ],
  }

  function contentWith(version: number, id: number, added: unknown): typeof content {
    return {
      schemas: [...content.schemas, { id, subject: 'transaction', version, schema: added }],
    }
  }

  test('an older version is read with defaults for what it lacks', () => {
    const older = createCodecs({
      schemas: content.schemas.map((entry) =>
        entry === first ? { ...entry, schema: shorter } : entry,
      ),
    })
    const both = createCodecs({
      schemas: [
        ...content.schemas.map((entry) =>
          entry === first ? { ...entry, id: 50, version: 2 } : entry,
        ),
        { id: 1, subject: 'transaction', version: 1, schema: shorter },
      ],
    })
    const bytes = older.transaction.encode(fullTransaction)
    assert.equal(frameSchemaId(bytes), 1)
    assert.equal(both.transaction.schemaId, 50)
    assert.deepStrictEqual(both.decodeTransactionMessage(bytes), {
      kind: 'transaction',
      value: { ...fullTransaction, intentId: null },
    })
  })

  test('the newest version is written whatever the order of the registry', () => {
    const newest = createCodecs(contentWith(2, 50, longer))
    const reversed = createCodecs({ schemas: contentWith(2, 50, longer).schemas.toReversed() })
    assert.equal(newest.transaction.schemaId, 50)
    assert.equal(reversed.transaction.schemaId, 50)
  })

  test('a foreign schema is read once it has been learned, and only then', () => {
    const producer = createCodecs({
      schemas: [
        ...content.schemas.filter((entry) => entry !== first),
        { id: FOREIGN_ID, subject: 'transaction', version: 1, schema: longer },
      ],
    })
    const value = { notes: ['a', 'b'], ...fullTransaction, score: 0.5 }
    const bytes = producer.transaction.encode(value)
    const reader = createCodecs(content)
    assert.equal(reader.knows(FOREIGN_ID), false)
    assert.deepStrictEqual(reader.decodeTransactionMessage(bytes), {
      kind: 'reject',
      reason: 'unknown_schema',
      field: null,
    })
    assert.equal(reader.learn(FOREIGN_ID, longer), 'transaction')
    assert.equal(reader.knows(FOREIGN_ID), true)
    assert.deepStrictEqual(reader.decodeTransactionMessage(bytes), {
      kind: 'transaction',
      value: fullTransaction,
    })
    const label = reader.decodeLabelMessage(bytes)
    assert.ok(label.kind === 'reject' && label.reason === 'unexpected_schema')
  })

  test('a schema that lacks what the newest needs is refused, and its messages stay rejected', () => {
    const reader = createCodecs(content)
    const cardless = { ...schema, fields: fieldsOf(schema).filter(({ name }) => name !== 'card') }
    const bytes = withSchemaId(codecs.transaction.encode(fullTransaction), FOREIGN_ID)
    for (const refused of [
      cardless,
      { ...schema, name: 'Payment' },
      'string',
      { type: 'record' },
    ]) {
      assert.throws(
        () => reader.learn(FOREIGN_ID, refused),
        (error: unknown) => isSluiceError(error, 'SLUICE_SCHEMA_INCOMPATIBLE'),
      )
      assert.equal(reader.knows(FOREIGN_ID), false)
      const message = reader.decodeTransactionMessage(bytes)
      assert.ok(message.kind === 'reject' && message.reason === 'unknown_schema')
    }
  })

  test('foreign schemas are learned up to a limit', () => {
    const reader = createCodecs(content)
    for (let index = 0; index < 256; index += 1) reader.learn(FOREIGN_ID + index, schema)
    assert.throws(() => reader.learn(FOREIGN_ID + 256, schema), /256 foreign schemas/)
    assert.equal(reader.learn(FOREIGN_ID, schema), 'transaction')
  })

  test('a registry without a subject, or with versions that do not fit, is refused', () => {
    assert.throws(
      () => createCodecs({ schemas: content.schemas.filter(({ subject }) => subject !== 'alert') }),
      (error: unknown) => isSluiceError(error, 'SLUICE_SCHEMA_UNKNOWN'),
    )
    const other = { ...schema, fields: [{ name: 'id', type: 'long' }] }
    assert.throws(
      () => createCodecs(contentWith(2, 50, other)),
      (error: unknown) => isSluiceError(error, 'SLUICE_SCHEMA_INCOMPATIBLE'),
    )
  })
})
