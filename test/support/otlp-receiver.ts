// A receiver of spans as OTLP over HTTP with JSON, on its own port, that records them.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import { closeWith } from './cleanup.ts'

interface Attribute {
  readonly key: string
  readonly value: {
    readonly stringValue?: string
    readonly intValue?: number | string
    readonly doubleValue?: number
  }
}

/** The fields of a sent span that tests examine. */
export interface ReceivedSpan {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly traceState?: string
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: readonly Attribute[]
  readonly events: readonly { readonly name: string; readonly timeUnixNano: string }[]
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[]
  readonly status: { readonly code?: number }
}

interface TraceRequest {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] }
    readonly scopeSpans: readonly { readonly spans: readonly ReceivedSpan[] }[]
  }[]
}

export interface OtlpReceiver {
  readonly endpoint: string
  readonly spans: readonly ReceivedSpan[]
  /** `service.name` of each request. */
  readonly services: ReadonlySet<string>
  /** Requested paths. */
  readonly paths: ReadonlySet<string>
  /** From now on every request is answered with this status. */
  answerWith(status: number): void
}

/** Opens a receiver; closed when the test ends. */
export async function openOtlpReceiver(t: TestContext): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = []
  const services = new Set<string>()
  const paths = new Set<string>()
  let status = 200
  const server = createServer((request, response) => {
    paths.add(request.url ?? '')
    void json(request).then((body) => {
      if (status === 200) {
        for (const { resource, scopeSpans } of (body as TraceRequest).resourceSpans) {
          services.add(attributeOf(resource, 'service.name') as string)
          for (const scope of scopeSpans) spans.push(...scope.spans)
        }
      }
      response.writeHead(status, { 'content-type': 'application/json' }).end('{}')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closeWith(t, async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  const { port } = server.address() as AddressInfo
  return {
    endpoint: `http://127.0.0.1:${port}`,
    spans,
    services,
    paths,
    answerWith(next) {
      status = next
    },
  }
}

/** Value of one attribute; undefined when it is absent. */
export function attributeOf(
  { attributes }: { readonly attributes: readonly Attribute[] },
  key: string,
): string | number | undefined {
  const value = attributes.find((attribute) => attribute.key === key)?.value
  const number = value?.intValue ?? value?.doubleValue
  return value?.stringValue ?? (number === undefined ? undefined : Number(number))
}
