// Metrics of `sluice produce --metrics-port`: /metrics, /livez and /readyz while a run lasts.

import type { Summary } from '../../producer/index.ts'
import { printProgress } from '../command.ts'

const HOST = '127.0.0.1'

export interface ProducerMetrics {
  produced(summary: Summary): void
  close(): Promise<void>
}

/** Serves metrics on the port, or on a free one when it is in use; says where. */
export async function openProducerMetrics(port: number): Promise<ProducerMetrics> {
  // Loaded here, so that --help does not wait for it.
  const [{ createProducerTelemetry }, { openMetricsServer }] = await Promise.all([
    import('../../platform/metrics/producer-telemetry.ts'),
    import('../../platform/metrics/metrics-server.ts'),
  ])
  const telemetry = createProducerTelemetry()
  const server = await openMetricsServer({
    host: HOST,
    port,
    registry: telemetry.registry,
    readiness: () => ({ isReady: true, details: {} }),
  })
  printProgress(`metrics: http://${HOST}:${server.port}/metrics`)
  return {
    produced: (summary) => {
      telemetry.produced(summary)
    },
    close: () => server.close(),
  }
}
