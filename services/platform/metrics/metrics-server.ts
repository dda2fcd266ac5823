// Serves /metrics for Prometheus, /livez and /readyz for orchestrators. Read-only; loopback by default.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Registry } from 'prom-client'
import type { Closable } from '../lifecycle.ts'

/** Answer of /readyz. `isReady` selects 200 or 503; the rest is for people. */
export interface Readiness {
  readonly isReady: boolean
  readonly details: Readonly<Record<string, unknown>>
}

export interface MetricsServer extends Closable {
  /** The actual port; it differs from the requested one when that was in use. */
  readonly port: number
}

/** Opens the server on `port`, or on a free one when `port` is 0 or in use. */
export async function openMetricsServer(options: {
  readonly host: string
  readonly port: number
  readonly registry: Registry
  readonly readiness: () => Readiness
}): Promise<MetricsServer> {
  const server = createServer((request, response) => {
    const answer = (status: number, type: string, body: string): void => {
      response.writeHead(status, { 'content-type': type }).end(body)
    }
    if (request.method !== 'GET') {
      answer(405, 'text/plain', 'Only GET.\n')
      return
    }
    switch (request.url ?? '') {
      case '/metrics':
        options.registry.metrics().then(
          (text) => {
            answer(200, options.registry.contentType, text)
          },
          () => {
            answer(500, 'text/plain', 'Metrics could not be collected.\n')
          },
        )
        return
      case '/livez':
        answer(200, 'text/plain', 'ok\n')
        return
      case '/readyz': {
        const { isReady, details } = options.readiness()
        const body = JSON.stringify({ ready: isReady, ...details })
        answer(isReady ? 200 : 503, 'application/json', `${body}\n`)
        return
      }
      default:
        answer(404, 'text/plain', 'Try /metrics, /livez or /readyz.\n')
    }
  })
  const listen = (port: number): Promise<void> =>
    new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, options.host, () => {
        server.off('error', reject)
        resolve()
      })
    })
  try {
    await listen(options.port)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    await listen(0)
  }
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve()
        })
        server.closeAllConnections()
      }),
  }
}
