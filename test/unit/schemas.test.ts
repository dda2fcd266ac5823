// The contract: schemas/ with its registry and compatibility modes.

import assert from 'node:assert/strict'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { isSluiceError } from '../../services/core/errors.ts'
import {
  RECORD_NAMES,
  SUBJECTS,
  subjectOfSchema,
} from '../../services/core/wire/schema-registry.ts'
import type { RegisteredSchema, Subject } from '../../services/core/wire/schema-registry.ts'
import * as records from '../../services/core/wire/records.ts'
import * as transaction from '../../services/core/transaction.ts'
import {
  findIncompatibilities,
  parseCompatibilityModes,
  planRelease,
  writeRelease,
  type Release,
} from '../../services/platform/registry/release.ts'
import { createCodecs } from '../../services/core/wire/codecs.ts'
import type { Alert } from '../../services/core/wire/records.ts'
import { FileRegistry } from '../../services/platform/registry/file-registry.ts'
import { fullAlert } from './core/wire/samples.ts'
import { codecs, content, schemaOf, subjectCases } from './core/wire/wire-fixture.ts'

const FOLDER = join(import.meta.dirname, '../../schemas')

interface Field {
  readonly name: string
  readonly type: unknown
  readonly default?: unknown
}

interface RecordSchema {
  readonly name: string
  readonly fields: readonly Field[]
}

const modes = parseCompatibilityModes(
  JSON.parse(await readFile(join(FOLDER, 'compatibility.json'), 'utf8')),
)

function versionOf(subject: Subject, version: number, change: object): RegisteredSchema {
  return { id: 900 + version, subject, version, schema: { ...recordOf(subject), ...change } }
}

function recordOf(subject: Subject): RecordSchema {
  return schemaOf(subject) as RecordSchema
}

async function copyOfSchemas(): Promise<{
  folder: string
  [Symbol.asyncDispose](): Promise<void>
}> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-schemas-'))
  await cp(FOLDER, folder, { recursive: true })
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) }
}

const CHANNEL: Field = { name: 'channel', type: ['null', 'string'], default: null }

/** Adds an invented second version of the alert, with one more field, to a copy of schemas/. */
async function addVersion(folder: string, field: Field): Promise<Release> {
  const alert = recordOf('alert')
  const schema = { ...alert, fields: [...alert.fields, field] }
  await writeFile(join(folder, 'alert/v2.avsc'), JSON.stringify(schema))
  return await planRelease(folder)
}

async function rewrite(path: string, change: (schema: RecordSchema) => object): Promise<void> {
  const schema = JSON.parse(await readFile(path, 'utf8')) as RecordSchema
  await writeFile(path, JSON.stringify(change(schema)))
}

describe('the registry of released schemas', () => {
  test('has every file of schemas/, unchanged, and all versions fit together', async () => {
    const release = await planRelease(FOLDER)
    assert.deepEqual(release.added, [])
    assert.deepEqual(
      SUBJECTS.filter((subject) => !release.entries.some((entry) => entry.subject === subject)),
      [],
    )
  })

  test('names records as the code does', () => {
    for (const { subject, schema } of content.schemas) {
      assert.equal(subjectOfSchema(schema), subject, RECORD_NAMES[subject])
    }
  })

  test('refuses a released file that was changed, be it a doc or a default', async () => {
    for (const change of [
      (schema: RecordSchema) => ({ ...schema, doc: 'Another word.' }),
      (schema: RecordSchema) => ({
        ...schema,
        fields: schema.fields.map((field) =>
          field.name === 'intentId' ? { name: field.name, type: field.type } : field,
        ),
      }),
    ]) {
      await using copy = await copyOfSchemas()
      await rewrite(join(copy.folder, 'transaction/v1.avsc'), change)
      await assert.rejects(planRelease(copy.folder), (error: unknown) => {
        assert.ok(isSluiceError(error, 'SLUICE_SCHEMA_INCOMPATIBLE'))
        return /transaction\/v1\.avsc was changed.*v2\.avsc/.test(error.message)
      })
    }
  })

  test('accepts a released file with other white space and order of keys', async () => {
    await using copy = await copyOfSchemas()
    await rewrite(join(copy.folder, 'alert/v1.avsc'), (schema) =>
      Object.fromEntries(Object.entries(schema).toReversed()),
    )
    assert.deepEqual((await planRelease(copy.folder)).added, [])
  })

  test('refuses a released file that is gone', async () => {
    await using copy = await copyOfSchemas()
    await rm(join(copy.folder, 'lease/v1.avsc'))
    await assert.rejects(planRelease(copy.folder), (error: unknown) =>
      isSluiceError(error, 'SLUICE_SCHEMA_UNKNOWN'),
    )
  })

  test('gives a second version the next id and keeps all others', async () => {
    await using copy = await copyOfSchemas()
    const release = await addVersion(copy.folder, CHANNEL)
    assert.deepEqual(
      release.added.map(({ id, file, version }) => [id, file, version]),
      [[content.schemas.length + 1, 'alert/v2.avsc', 2]],
    )
    await writeRelease(copy.folder, release)
    const again = await planRelease(copy.folder)
    assert.deepEqual(again.added, [])
    for (const { id, subject, version } of content.schemas) {
      assert.ok(
        again.entries.some(
          (entry) => entry.id === id && entry.subject === subject && entry.version === version,
        ),
      )
    }
  })

  test('refuses a second version that cannot read what is in the topics', async () => {
    await using copy = await copyOfSchemas()
    const required = { name: 'channel', type: 'string' }
    await assert.rejects(addVersion(copy.folder, required), (error: unknown) => {
      assert.ok(isSluiceError(error, 'SLUICE_SCHEMA_INCOMPATIBLE'))
      return error.message.includes('alert v2 must read v1')
    })
  })

  test('lets a second version be read before it is written, and the first one after', async () => {
    await using copy = await copyOfSchemas()
    await writeRelease(copy.folder, await addVersion(copy.folder, CHANNEL))
    const registry = await new FileRegistry(copy.folder).load()
    const newer = createCodecs(registry).alert
    assert.equal(newer.schemaId, content.schemas.length + 1)
    const ofFirst = codecs.alert.encode(fullAlert)
    const ofSecond = newer.encode({ ...fullAlert, channel: 'online' } as Alert)
    assert.deepEqual(newer.decode(ofFirst), { ok: true, value: { ...fullAlert, channel: null } })

    // A process of the previous build receives the second version, fetches its schema, and continues to write the
    // first.
    const older = createCodecs(content)
    const refused = { ok: false, reason: 'unknown_schema', field: null }
    assert.deepEqual(older.alert.decode(ofSecond), refused)
    const second = registry.schemas.find(({ id }) => id === newer.schemaId)
    assert.equal(older.learn(newer.schemaId, second?.schema), 'alert')
    assert.deepEqual(older.alert.decode(ofSecond), { ok: true, value: fullAlert })
    assert.deepEqual(older.alert.encode(fullAlert), ofFirst)
  })
})

describe('compatibility of all versions', () => {
  test('holds for what is released', () => {
    assert.deepEqual(findIncompatibilities(content.schemas, modes), [])
  })

  test('is full for what strangers read and at least backward for the rest', () => {
    for (const subject of ['decision-batch', 'alert', 'lease', 'receipt'] as const) {
      assert.equal(modes[subject], 'FULL_TRANSITIVE')
    }
  })

  test('control: a required field that old messages lack is found in every mode', () => {
    for (const subject of ['transaction', 'alert'] as const) {
      const fields = [...recordOf(subject).fields, { name: 'added', type: 'string' }]
      const schemas = [...content.schemas, versionOf(subject, 2, { fields })]
      const found = findIncompatibilities(schemas, modes)
      assert.deepEqual(
        found.map((pair) => [pair.subject, pair.readerVersion, pair.writerVersion]),
        [[subject, 2, 1]],
      )
    }
  })

  test('control: a removed required field breaks old readers, so it is found only where those count', () => {
    for (const subject of ['transaction', 'alert'] as const) {
      const fields = recordOf(subject).fields.filter((field) => field.name !== 'card')
      const schemas = [...content.schemas, versionOf(subject, 2, { fields })]
      const found = findIncompatibilities(schemas, modes)
      assert.deepEqual(
        found.map((pair) => [pair.readerVersion, pair.writerVersion]),
        modes[subject] === 'FULL_TRANSITIVE' ? [[1, 2]] : [],
      )
    }
  })

  test('control: versions apart by more than one are compared too', () => {
    const fields = recordOf('label').fields
    const optional = { name: 'added', type: ['null', 'string'], default: null }
    const required = { name: 'added', type: ['null', 'string'] }
    const schemas = [
      ...content.schemas,
      versionOf('label', 2, { fields: [...fields, optional] }),
      versionOf('label', 3, { fields: [...fields, required] }),
    ]
    const found = findIncompatibilities(schemas, modes)
    assert.deepEqual(
      found.map((pair) => [pair.readerVersion, pair.writerVersion]),
      [[3, 1]],
    )
  })

  test('a mode is asked for every subject, and only for subjects', () => {
    const entries = Object.entries(modes)
    for (const wrong of [
      Object.fromEntries(entries.slice(1)),
      { ...modes, lease: 'NONE' },
      { ...modes, payment: 'FULL_TRANSITIVE' },
      null,
    ]) {
      assert.throws(
        () => parseCompatibilityModes(wrong),
        (error: unknown) => isSluiceError(error, 'SLUICE_CONFIG_INVALID'),
      )
    }
  })
})

describe('the types in code', () => {
  const symbolsByName = new Map<string, readonly string[]>()
  const collect = (schema: unknown): void => {
    if (Array.isArray(schema)) schema.forEach(collect)
    if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) return
    const { type, name, symbols } = schema as Record<string, unknown>
    if (type === 'enum') symbolsByName.set(name as string, symbols as readonly string[])
    Object.values(schema).forEach(collect)
  }
  content.schemas.forEach(({ schema }) => {
    collect(schema)
  })

  test('list the words of every enum as the schemas do', () => {
    const lists: Readonly<Record<string, readonly string[]>> = {
      Channel: transaction.CHANNELS,
      EntryMode: transaction.ENTRY_MODES,
      Authorisation: transaction.AUTHORISATIONS,
      Verdict: transaction.VERDICTS,
      LabelSource: transaction.LABEL_SOURCES,
      Alignment: records.ALIGNMENTS,
      Mode: records.MODES,
      Outcome: records.OUTCOMES,
      NotScored: records.NOT_SCORED,
      AlertAction: records.ALERT_ACTIONS,
      AlertMode: records.MODES,
      AlertGrade: records.GRADES,
      AlertCause: records.ALERT_CAUSES,
      RuleOutcome: records.OUTCOMES,
      OutcomeThen: records.OUTCOMES,
      Grade: records.GRADES,
      ReceiptStatus: records.RECEIPT_STATUSES,
      Finding: records.FINDINGS,
      DispositionSource: transaction.LABEL_SOURCES,
      ControlKind: records.CONTROL_KINDS,
      ControlMode: records.MODES,
    }
    assert.deepEqual(Object.fromEntries(symbolsByName), lists)
  })

  test('have the fields of every schema, in its order', () => {
    for (const { subject, full } of subjectCases) {
      const decoded = subjectCases.find((one) => one.subject === subject)?.codec
      assert.ok(decoded !== undefined)
      const names = recordOf(subject).fields.map((field) => field.name)
      assert.deepEqual(Object.keys(full as object).toSorted(), names.toSorted(), subject)
    }
  })
})
