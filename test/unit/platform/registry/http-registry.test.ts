import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isSluiceError, type ErrorCode } from '../../../../services/core/errors.ts'
import { createCodecs } from '../../../../services/core/wire/codecs.ts'
import { FileRegistry } from '../../../../services/platform/registry/file-registry.ts'
import {
  HttpRegistry,
  type HttpRegistryOptions,
  openSchemaRegistry,
  RESPONSE_BYTES_MAX,
} from '../../../../services/platform/registry/http-registry.ts'
import { fullTransaction } from '../../core/wire/samples.ts'
import { openLocalRegistry, type LocalRegistry } from './local-registry.ts'

const files = new FileRegistry()

function registryAt(url: string, options: Partial<HttpRegistryOptions> = {}): HttpRegistry {
  return new HttpRegistry(files, { url, topicPrefix: '', register: true, ...options })
}

async function rejectsWith(
  promise: Promise<unknown>,
  code: ErrorCode,
  message: RegExp,
): Promise<void> {
  await assert.rejects(promise, (error: unknown) => {
    assert.ok(isSluiceError(error, code), String(error))
    assert.match(error.message, message)
    return true
  })
}

describe('http registry', () => {
  test('registers what is missing once, and afterwards finds it under the same ids', async () => {
    await using server = await openLocalRegistry()
    const first = await registryAt(server.url).load()
    const { size } = server.schemas
    assert.equal(size, (await files.load()).schemas.length)
    const second = await registryAt(server.url, { register: false }).load()
    assert.deepEqual(second, first)
    assert.equal(server.schemas.size, size)
  })

  test('gives codecs that write and read the ids of the registry, not those of the files', async () => {
    await using server = await openLocalRegistry()
    const codecs = createCodecs(await registryAt(server.url).load())
    const bytes = codecs.transaction.encode(fullTransaction)
    assert.ok(codecs.transaction.schemaId > 100_000)
    assert.equal(codecs.decodeTransactionMessage(bytes).kind, 'transaction')
    const byFiles = createCodecs(await files.load()).decodeTransactionMessage(bytes)
    assert.ok(byFiles.kind === 'reject' && byFiles.reason === 'unknown_schema')
  })

  test('names subjects after topics, prefix included, and the watermark after its record', async () => {
    await using server = await openLocalRegistry()
    await registryAt(server.url, { topicPrefix: 'demo/' }).load()
    const subjects = new Set([...server.schemas.values()].map(({ subject }) => subject))
    assert.deepEqual(
      [...subjects].toSorted(),
      [
        'demo/alerts-value',
        'demo/control-value',
        'demo/dead-letters-value',
        'demo/decisions-value',
        'demo/dispositions-value',
        'demo/labels-value',
        'demo/leases-value',
        'demo/receipts-value',
        'demo/transactions-value',
        'sluice.Watermark',
      ].toSorted(),
    )
  })

  test('registers nothing unless it may, and says what to register', async () => {
    await using server = await openLocalRegistry()
    const loading = registryAt(server.url, { register: false }).load()
    await rejectsWith(loading, 'SLUICE_SCHEMA_UNKNOWN', /v1\.avsc/)
    assert.equal(server.schemas.size, 0)
    assert.ok(server.requests.every(({ path }) => !path.endsWith('/versions')))
  })

  test('fetches a foreign schema by id, and null for an id that nobody knows', async () => {
    await using server = await openLocalRegistry()
    const schema = { type: 'record', name: 'Other', fields: [] }
    server.schemas.set(7, { subject: 'other', schema: JSON.stringify(schema) })
    server.schemas.set(8, { subject: 'proto', schema: 'syntax = "proto3";' })
    const registry = registryAt(server.url)
    assert.deepEqual(await registry.fetchSchema(7), schema)
    assert.equal(await registry.fetchSchema(8), null)
    assert.equal(await registry.fetchSchema(9), null)
  })

  test('keeps a path in its address, and sends credentials from options or address', async () => {
    await using server = await openLocalRegistry()
    const expected = `Basic ${Buffer.from('reader:päss word').toString('base64')}`
    const address = new URL(server.url)
    address.pathname = '/apis/ccompat/v7'
    await registryAt(address.href, { username: 'reader', password: 'päss word' }).fetchSchema(1)
    address.username = 'reader'
    address.password = 'päss word'
    await registryAt(address.href).fetchSchema(1)
    await registryAt(server.url).fetchSchema(1)
    assert.deepEqual(
      server.requests.map(({ path, authorization }) => [path, authorization]),
      [
        ['/apis/ccompat/v7/schemas/ids/1', expected],
        ['/apis/ccompat/v7/schemas/ids/1', expected],
        ['/schemas/ids/1', null],
      ],
    )
  })
})

describe('http registry that misbehaves', () => {
  type Answer = Parameters<LocalRegistry['respondWith']>[0]
  const status =
    (code: number, body = '{}'): Answer =>
    (_, response) =>
      response.writeHead(code).end(body)

  const cases: readonly (readonly [string, Answer, ErrorCode, RegExp])[] = [
    ['with a page that is no JSON', status(200, '<html>'), 'SLUICE_REGISTRY_UNAVAILABLE', /200/],
    [
      'with an id that is no number',
      status(200, '{"id":"1"}'),
      'SLUICE_REGISTRY_UNAVAILABLE',
      /200/,
    ],
    [
      'with one id for everything',
      status(200, '{"id":1}'),
      'SLUICE_REGISTRY_UNAVAILABLE',
      /one id/,
    ],
    ['with a failure of its own', status(500), 'SLUICE_REGISTRY_UNAVAILABLE', /500/],
    ['with a refusal of the schema', status(409), 'SLUICE_SCHEMA_INCOMPATIBLE', /409/],
    ['with a refusal of the credentials', status(401), 'SLUICE_CONFIG_INVALID', /401/],
    [
      'with a redirect',
      (_, response) => response.writeHead(302, { location: 'http://127.0.0.1:9/' }).end(),
      'SLUICE_REGISTRY_UNAVAILABLE',
      /302/,
    ],
    [
      'with a connection that breaks',
      (request) => request.destroy(),
      'SLUICE_REGISTRY_UNAVAILABLE',
      /cannot be reached/,
    ],
  ]
  for (const [name, answer, code, message] of cases) {
    test(`${name} gives an error of ours`, async () => {
      await using server = await openLocalRegistry()
      server.respondWith(answer)
      await rejectsWith(registryAt(server.url).load(), code, message)
    })
  }

  test('by not answering is given up after the time limit, also in the middle of a body', async () => {
    await using server = await openLocalRegistry()
    for (const answer of [
      () => undefined,
      (_: unknown, response: import('node:http').ServerResponse) => response.write('{"id":'),
    ]) {
      server.respondWith(answer)
      const loading = registryAt(server.url, { timeoutMs: 50 }).load()
      await rejectsWith(loading, 'SLUICE_REGISTRY_UNAVAILABLE', /within 50 ms/)
    }
  })

  test('by sending without end is cut off at the limit of bytes', async () => {
    await using server = await openLocalRegistry()
    let sentBytes = 0
    const chunk = Buffer.alloc(64 * 1024, 0x20)
    server.respondWith((_, response) => {
      const send = (): void => {
        while (!response.destroyed) {
          sentBytes += chunk.length
          if (!response.write(chunk)) {
            response.once('drain', send)
            return
          }
        }
      }
      send()
    })
    const loading = registryAt(server.url).load()
    await rejectsWith(loading, 'SLUICE_REGISTRY_UNAVAILABLE', /more than 1048576 bytes/)
    assert.ok(sentBytes >= RESPONSE_BYTES_MAX)
  })

  test('by not listening is told with its address, and never with the password', async () => {
    const registry = registryAt('http://reader:secret-word@127.0.0.1:9')
    await assert.rejects(registry.load(), (error: unknown) => {
      assert.ok(isSluiceError(error, 'SLUICE_REGISTRY_UNAVAILABLE'))
      assert.match(error.message, /127\.0\.0\.1:9/)
      assert.doesNotMatch(error.message, /secret-word/)
      return true
    })
  })
})

describe('the choice of registry', () => {
  const settings = { topicPrefix: '', register: false }

  test('is the files without a URL', async () => {
    const content = await openSchemaRegistry({ url: null, ...settings }).load()
    assert.deepEqual(content, await files.load())
  })

  test('is the HTTP one with a URL', async () => {
    await using server = await openLocalRegistry()
    await registryAt(server.url).load()
    const content = await openSchemaRegistry({ url: server.url, ...settings }).load()
    assert.ok(content.schemas.every(({ id }) => id > 100_000))
  })

  test('is refused when the URL is none', () => {
    for (const url of ['registry:8081', 'not a url', 'ftp://127.0.0.1/']) {
      assert.throws(
        () => openSchemaRegistry({ url, ...settings }),
        (error: unknown) => isSluiceError(error, 'SLUICE_CONFIG_INVALID'),
      )
    }
  })
})
