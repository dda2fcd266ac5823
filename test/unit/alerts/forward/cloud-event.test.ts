// Goal: a delivery is a CloudEvent with an alert as documented. Method: the CloudEvents SDK reads it, and ajv checks it
// against the published schema docs/alert-event.schema.json.

import { deepStrictEqual, notStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { alertEvent } from '../../../../services/alerts/forward/cloud-event.ts'
import { fullAlert, minimalAlert } from '../../core/wire/samples.ts'

const OPTIONS = {
  allErrors: true,
  strict: true,
  allowUnionTypes: true,
  formats: { 'date-time': (text: string) => !Number.isNaN(Date.parse(text)) },
}
const SCHEMA = join(import.meta.dirname, '../../../../docs/alert-event.schema.json')
const schema = JSON.parse(readFileSync(SCHEMA, 'utf8')) as {
  properties: { data: { required: readonly string[]; properties: Record<string, unknown> } }
}

test('every alert is an event that the published schema allows, with nothing that it does not name', () => {
  const isValid = new Ajv2020(OPTIONS).compile(schema)
  for (const alert of [fullAlert, minimalAlert]) {
    const event = JSON.parse(alertEvent({ ...alert, action: 'block' }).body) as { data: object }
    ok(isValid(event), JSON.stringify(isValid.errors))
    deepStrictEqual(
      Object.keys(event.data).toSorted(),
      Object.keys(schema.properties.data.properties).toSorted(),
    )
  }
})

test('the schema refuses what is no alert of ours', () => {
  const isValid = new Ajv2020(OPTIONS).compile(schema)
  const event = JSON.parse(alertEvent({ ...fullAlert, action: 'flag' }).body) as Record<
    string,
    unknown
  >
  ok(isValid(event))
  ok(!isValid({ ...event, specversion: '0.3' }))
  ok(!isValid({ ...event, type: 'dev.sluice.alert.unknown.v1' }))
  ok(!isValid({ ...event, data: { ...fullAlert, score: 2 } }))
  for (const field of schema.properties.data.required) {
    const data = Object.fromEntries(Object.entries(fullAlert).filter(([name]) => name !== field))
    ok(!isValid({ ...event, data }), field)
  }
})

test('the same alert gives the same bytes, and each revision an id of its own', () => {
  const { id, body } = alertEvent(fullAlert)
  deepStrictEqual(alertEvent(structuredClone(fullAlert)), { id, body })
  strictEqual(id, `${fullAlert.alertId}.${fullAlert.revision}`)
  notStrictEqual(alertEvent({ ...fullAlert, revision: 3 }).id, id)
})

test('a stream id with signs of its own makes a source that is a reference', () => {
  const source = { ...fullAlert.source, streamId: 'a b/c?d' }
  const event = JSON.parse(alertEvent({ ...fullAlert, source }).body) as { source: string }
  strictEqual(event.source, '/sluice/a%20b%2Fc%3Fd')
})
