// A stand-in for a schema registry that speaks the read part of Confluent's API.

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { closeWith } from './cleanup.ts'

export interface StandInSchema {
  readonly schema: string
  readonly schemaType?: 'AVRO' | 'PROTOBUF'
  readonly references?: readonly {
    readonly name: string
    readonly subject: string
    readonly version: number
  }[]
}

export interface RegistryStandIn {
  readonly url: string
  /** By id. */
  readonly schemas: Map<number, StandInSchema>
  /** By subject; every version is this one. */
  readonly subjects: Map<string, StandInSchema>
  /** Paths that were asked for. */
  readonly asked: string[]
  /** Answers 503 while true. */
  isAway: boolean
}

export async function openRegistry(t: TestContext): Promise<RegistryStandIn> {
  const registry = {
    url: '',
    schemas: new Map<number, StandInSchema>(),
    subjects: new Map<string, StandInSchema>(),
    asked: [] as string[],
    isAway: false,
  }
  const server = createServer(({ url = '' }, response) => {
    registry.asked.push(url)
    const [, id = ''] = /^\/schemas\/ids\/(\d+)$/.exec(url) ?? []
    const [, subject = ''] = /^\/subjects\/([^/]+)\/versions\/\d+$/.exec(url) ?? []
    const found =
      registry.schemas.get(Number(id)) ?? registry.subjects.get(decodeURIComponent(subject))
    const status = registry.isAway ? 503 : found === undefined ? 404 : 200
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(JSON.stringify(status === 200 ? found : { error_code: status }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closeWith(t, async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  registry.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return registry
}

/** The bytes of a message with the id of its schema before them. */
export function framed(id: number, ...parts: readonly Uint8Array[]): Buffer {
  const header = Buffer.alloc(5)
  header.writeInt32BE(id, 1)
  return Buffer.concat([header, ...parts])
}
