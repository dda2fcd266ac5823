// Goal: Avro and Protobuf are decoded by the schemas that wrote them, found at run time, whatever their evolution. Method:
// messages of several schemas, and a registry that is a stand-in speaking Confluent's API, with faults.

import { deepStrictEqual, rejects, strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import avro from 'avsc'
import protobuf from 'protobufjs'
import { registryDecoder } from '../../../services/bridge/registry-decoder.ts'
import { MappingRefusal } from '../../../services/core/mapping/mapping-refusal.ts'
import type { MessageDecoder } from '../../../services/core/mapping/message-decoder.ts'
import { openSourceRegistry } from '../../../services/platform/registry/source-registry.ts'
import { framed, openRegistry, type RegistryStandIn } from '../../support/registry-stand-in.ts'

const NEVER = new AbortController().signal

function decoderOf(registry: RegistryStandIn, format: 'avro' | 'protobuf'): MessageDecoder {
  return registryDecoder({
    registry: openSourceRegistry(registry.url),
    format,
    onFailure: () => undefined,
    monotonicMs: () => performance.now(),
  })
}

async function decoded(decoder: MessageDecoder, value: Buffer): Promise<unknown> {
  await decoder.prepare([value], NEVER)
  return decoder.decode(value)
}

const isRefusal = (reason: string) => (error: unknown) =>
  error instanceof MappingRefusal && error.reason === reason

const MONEY = {
  type: 'record',
  name: 'Money',
  namespace: 'acme',
  fields: [
    { name: 'value', type: { type: 'bytes', logicalType: 'decimal', precision: 12, scale: 2 } },
    { name: 'currency', type: 'string' },
  ],
} as const
const PAYMENT = {
  type: 'record',
  name: 'Payment',
  namespace: 'acme',
  fields: [
    { name: 'id', type: 'long' },
    { name: 'money', type: MONEY },
    { name: 'day', type: { type: 'int', logicalType: 'date' } },
  ],
} as const
function typeOf(schema: object): avro.Type {
  return avro.Type.forSchema(schema as avro.Schema)
}

const MESSAGE = { id: 7, money: { value: Buffer.from([0x04, 0xd2]), currency: 'EUR' }, day: 20_454 }

test('Avro follows the schema that wrote it: decimals, dates, a new field, another order', async (t) => {
  const registry = await openRegistry(t)
  const later = {
    ...PAYMENT,
    fields: [{ name: 'channel', type: 'string' }, ...PAYMENT.fields],
  } as const
  registry.schemas.set(1, { schema: JSON.stringify(PAYMENT) })
  registry.schemas.set(2, { schema: JSON.stringify(later), schemaType: 'AVRO' })
  const decoder = decoderOf(registry, 'avro')
  const plain = { id: 7, money: { value: '12.34', currency: 'EUR' }, day: '2026-01-01' }
  const first = framed(1, typeOf(PAYMENT).toBuffer(MESSAGE))
  deepStrictEqual(await decoded(decoder, first), plain)
  const second = framed(2, typeOf(later).toBuffer({ channel: 'WEB', ...MESSAGE }))
  deepStrictEqual(await decoded(decoder, second), { channel: 'WEB', ...plain })
  // A schema is asked for once.
  await decoded(decoder, first)
  deepStrictEqual(registry.asked, ['/schemas/ids/1', '/schemas/ids/2'])
})

test('a schema that refers to others is read with them', async (t) => {
  const registry = await openRegistry(t)
  const referring = {
    ...PAYMENT,
    fields: PAYMENT.fields.map((field) =>
      field.name === 'money' ? { name: 'money', type: 'acme.Money' } : field,
    ),
  }
  const references = [{ name: 'acme.Money', subject: 'money', version: 1 }]
  registry.schemas.set(1, { schema: JSON.stringify(referring), references })
  registry.subjects.set('money', { schema: JSON.stringify(MONEY) })
  const value = framed(1, typeOf(PAYMENT).toBuffer(MESSAGE))
  deepStrictEqual(await decoded(decoderOf(registry, 'avro'), value), {
    id: 7,
    money: { value: '12.34', currency: 'EUR' },
    day: '2026-01-01',
  })
})

test('a long that a number cannot hold is a text of its digits; bytes that are no such Avro are refused', async (t) => {
  const registry = await openRegistry(t)
  registry.schemas.set(1, { schema: '"long"' })
  const decoder = decoderOf(registry, 'avro')
  const bytes = Buffer.from([0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01])
  strictEqual(await decoded(decoder, framed(1, bytes)), '9223372036854775807')
  await rejects(decoded(decoder, framed(1, bytes, Buffer.from([1]))), isRefusal('malformed'))
  await rejects(decoded(decoder, Buffer.from('{}')), isRefusal('not_framed'))
  await rejects(decoded(decoder, framed(9, bytes)), isRefusal('unknown_schema'))
})

const PROTO = `syntax = "proto3";
package acme;
import "money.proto";
import "google/protobuf/timestamp.proto";
message Ping { string id = 1; }
message Payment {
  enum Kind { AUTH = 0; REFUND = 1; }
  message Shop { string name = 1; }
  int64 id = 1;
  Money money = 2;
  google.protobuf.Timestamp at = 3;
  Kind kind = 4;
  Shop shop = 5;
}`
const MONEY_PROTO = `syntax = "proto3"; package acme; message Money { string value = 1; string currency = 2; }`

test('Protobuf is read by the type that the indexes name, with imports', async (t) => {
  const registry = await openRegistry(t)
  const references = [{ name: 'money.proto', subject: 'money', version: 3 }]
  registry.schemas.set(4, { schema: PROTO, schemaType: 'PROTOBUF', references })
  registry.subjects.set('money', { schema: MONEY_PROTO, schemaType: 'PROTOBUF' })
  const root = new protobuf.Root()
  protobuf.parse(MONEY_PROTO, root)
  root.addJSON(protobuf.common.get('google/protobuf/timestamp.proto')?.nested ?? {})
  protobuf.parse(PROTO, root)
  const type = root.lookupType('acme.Payment')
  const body = type
    .encode(
      type.fromObject({
        id: '9007199254740993',
        money: { value: '1.5', currency: 'EUR' },
        at: { seconds: 5 },
        kind: 1,
        shop: { name: 'x' },
      }),
    )
    .finish()
  const decoder = decoderOf(registry, 'protobuf')
  // One index, the second type: zigzag 1 and 1.
  deepStrictEqual(await decoded(decoder, framed(4, Buffer.from([2, 2]), body)), {
    id: '9007199254740993',
    money: { value: '1.5', currency: 'EUR' },
    at: { seconds: '5', nanos: 0 },
    kind: 'REFUND',
    shop: { name: 'x' },
  })
  const shop = root.lookupType('acme.Payment.Shop')
  const inner = shop.encode({ name: 'y' }).finish()
  deepStrictEqual(await decoded(decoder, framed(4, Buffer.from([4, 2, 0]), inner)), { name: 'y' })
  const ping = root.lookupType('acme.Ping').encode({ id: 'p' }).finish()
  deepStrictEqual(await decoded(decoder, framed(4, Buffer.from([0]), ping)), { id: 'p' })
  await rejects(
    decoded(decoder, framed(4, Buffer.from([2, 40]), ping)),
    isRefusal('unexpected_schema'),
  )
})

test('while the registry is away messages wait, and go on when it is back', async (t) => {
  const registry = await openRegistry(t)
  registry.schemas.set(1, { schema: '"string"' })
  registry.isAway = true
  let failures = 0
  const decoder = registryDecoder({
    registry: openSourceRegistry(registry.url),
    format: 'avro',
    onFailure: () => {
      failures += 1
      registry.isAway = false
    },
    monotonicMs: () => 0,
  })
  strictEqual(await decoded(decoder, framed(1, Buffer.from([2, 0x61]))), 'a')
  strictEqual(failures, 1)
})

test('a schema of another format is unknown here, and an end of the bridge ends the wait', async (t) => {
  const registry = await openRegistry(t)
  registry.schemas.set(1, { schema: MONEY_PROTO, schemaType: 'PROTOBUF' })
  const decoder = decoderOf(registry, 'avro')
  await rejects(decoded(decoder, framed(1, Buffer.from([0]))), isRefusal('unknown_schema'))
  registry.isAway = true
  const stop = new AbortController()
  const waiting = decoder.prepare([framed(2, Buffer.from([0]))], stop.signal)
  stop.abort()
  await waiting
  throws(() => decoder.decode(framed(2, Buffer.from([0]))), isRefusal('unknown_schema'))
})
