// A receiver of forwarded alerts as a bank would write one: a real HTTP server that verifies each delivery, reads it
// with the CloudEvents SDK, counts refusals, and answers as the test chooses.

import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import type { CloudEventV1 } from 'cloudevents'
import type { Alert } from '../../services/core/wire/records.ts'
import {
  parseSigningKey,
  REFUSAL_STATUS,
  SeenDeliveries,
  verifyDelivery,
  type DeliveryRefusal,
} from '../../services/alerts/forward/index.ts'
import { closeWith } from './cleanup.ts'

/** One accepted request. */
export interface ReceivedEvent {
  readonly event: CloudEventV1<Alert>
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly status: number
}

/** Response of the receiver to an accepted request; `nth` counts those of its id, from 1. */
export type Answer = (
  event: CloudEventV1<Alert>,
  nth: number,
) => number | { readonly status: number; readonly headers: Record<string, string> } | 'hang'

export interface WebhookReceiver {
  readonly url: string
  /** Everything that was accepted, in order of arrival, failed ones included. */
  readonly received: readonly ReceivedEvent[]
  /** Ids answered with 2xx, in order. */
  readonly taken: readonly string[]
  readonly refused: ReadonlyMap<DeliveryRefusal, number>
  answer: Answer
  keys: readonly string[]
  /** Answers requests that hang. */
  release(status: number): void
}

export interface ReceiverOptions {
  readonly keys: readonly string[]
  readonly answer?: Answer
}

/** Null when npm has left the SDK out, since it does not support this version of Node. */
async function loadSdk(): Promise<typeof import('cloudevents') | null> {
  try {
    return await import('cloudevents')
  } catch {
    return null
  }
}

/** Opens a receiver on a free port of the loopback. It is closed when the test ends. */
export async function openReceiver(
  t: TestContext,
  options: ReceiverOptions,
): Promise<WebhookReceiver> {
  const sdk = await loadSdk()
  const received: ReceivedEvent[] = []
  const taken: string[] = []
  const refused = new Map<DeliveryRefusal, number>()
  const seen = new SeenDeliveries()
  const hanging = new Set<(status: number) => void>()
  const counts = new Map<string, number>()
  const receiver = { answer: options.answer ?? (() => 204), keys: options.keys }
  const server = createServer((request, response) => {
    void (async () => {
      const body = await bytesOf(request)
      const verdict = verifyDelivery({
        headers: request.headers,
        body,
        keys: receiver.keys.map((key) => parseSigningKey(key)).filter((key) => key !== null),
        seen,
        nowMs: Date.now(),
      })
      if (!verdict.isAccepted) {
        const { refusal } = verdict
        refused.set(refusal, (refused.get(refusal) ?? 0) + 1)
        response.writeHead(REFUSAL_STATUS[refusal]).end()
        return
      }
      const headers = request.headers as Record<string, string>
      const text = body.toString()
      const event = read(sdk, headers, text)
      const nth = (counts.get(event.id) ?? 0) + 1
      counts.set(event.id, nth)
      const answer = receiver.answer(event, nth)
      const status =
        answer === 'hang'
          ? await new Promise<number>((resolve) => hanging.add(resolve))
          : typeof answer === 'number'
            ? answer
            : answer.status
      received.push({ event, headers, body: text, status })
      if (status >= 200 && status < 300) taken.push(event.id)
      else seen.forget(event.id)
      response.writeHead(status, typeof answer === 'object' ? answer.headers : {}).end()
    })()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closeWith(t, () => {
    server.closeAllConnections()
    return new Promise((resolve) =>
      server.close(() => {
        resolve()
      }),
    )
  })
  const { port } = server.address() as AddressInfo
  return Object.assign(receiver, {
    url: `http://127.0.0.1:${port}/alerts`,
    received,
    taken,
    refused,
    release: (status: number) => {
      for (const resolve of hanging) resolve(status)
      hanging.clear()
    },
  })
}

/** Uses the SDK, which refuses anything but a CloudEvent; without it, plain JSON. */
function read(
  sdk: typeof import('cloudevents') | null,
  headers: Record<string, string>,
  body: string,
): CloudEventV1<Alert> {
  if (sdk === null) return JSON.parse(body) as CloudEventV1<Alert>
  const event = sdk.HTTP.toEvent<Alert>({ headers, body })
  if (Array.isArray(event)) throw new Error('One event was expected, and not a batch.')
  if (!(event instanceof sdk.CloudEvent) || !event.validate()) throw new Error('No CloudEvent.')
  return event
}

async function bytesOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}
