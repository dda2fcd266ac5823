// A small schema registry over real HTTP, written for these tests: the calls of Confluent's API that Sluice
// makes, in memory. It does not replace a test against Karapace, Apicurio or Confluent.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A received request. */
export interface SeenRequest {
  readonly method: string
  readonly path: string
  readonly authorization: string | null
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** The registry and the requests received. `respondWith` replaces all responses. */
export interface LocalRegistry {
  readonly url: string
  readonly requests: SeenRequest[]
  readonly schemas: Map<number, { subject: string; schema: string }>
  respondWith(handler: Handler | null): void
  [Symbol.asyncDispose](): Promise<void>
}

const FIRST_ID = 100_001

/** Listens on a free port of the loopback interface. */
export async function openLocalRegistry(): Promise<LocalRegistry> {
  const requests: SeenRequest[] = []
  const schemas = new Map<number, { subject: string; schema: string }>()
  let override: Handler | null = null
  const server = createServer((request, response) => {
    requests.push({
      method: request.method ?? '',
      path: request.url ?? '',
      authorization: request.headers.authorization ?? null,
    })
    if (override !== null) override(request, response)
    else void answer(request, response, schemas)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    schemas,
    respondWith: (handler) => {
      override = handler
    },
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections()
        server.close(() => {
          resolve()
        })
      }),
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  schemas: LocalRegistry['schemas'],
): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const path = (request.url ?? '').split('/').slice(1).map(decodeURIComponent)
  const send = (status: number, body: unknown): void => {
    response.writeHead(status, { 'content-type': 'application/vnd.schemaregistry.v1+json' })
    response.end(JSON.stringify(body))
  }
  if (request.method === 'GET' && path[0] === 'schemas' && path[1] === 'ids') {
    const found = schemas.get(Number(path[2]))
    if (found === undefined) send(404, { error_code: 40403, message: 'Schema not found' })
    else send(200, { schema: found.schema })
    return
  }
  if (request.method !== 'POST' || path[0] !== 'subjects') {
    send(404, { error_code: 404, message: 'HTTP 404 Not Found' })
    return
  }
  const subject = path[1] ?? ''
  const { schema } = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { schema: string }
  const known = [...schemas].find(([, one]) => one.subject === subject && one.schema === schema)
  if (path[2] === 'versions') {
    const id = known?.[0] ?? FIRST_ID + schemas.size
    schemas.set(id, { subject, schema })
    send(200, { id })
  } else if (known === undefined) {
    send(404, { error_code: 40401, message: 'Subject not found' })
  } else {
    send(200, { subject, id: known[0], version: 1, schema })
  }
}
