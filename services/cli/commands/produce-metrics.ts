// Metrics of `sluice produce --metrics-port`: /metrics, /livez and /readyz while a run lasts.

import type { Summary } from '../../producer/index.ts'
import { printProgress } from '../command.ts'

export interface ProducerMetrics {
  produced(summary: Summary): void
  close(): Promise<void>
}

/** Serves metrics on the port, or on a free one when it is in use; says where. */
export async function openProducerMetrics(host: string, port: number): Promise<ProducerMetrics> {
  // Loaded here, so that --help does not wait for it.
  const [{ createProducerTelemetry }, { openMetricsServer }] = await Promise.all([
    import('../../platform/metrics/producer-telemetry.ts'),
    import('../../platform/metrics/metrics-server.ts'),
  ])
  const telemetry = createProducerTelemetry()
  let soFar: Summary | null = null
  const server = await openMetricsServer({
    host,
    port,
    registry: telemetry.registry,
    // The first report comes once the run is connected and sends.
    readiness: () => ({
      isReady: soFar !== null,
      details: {
        transactions: soFar?.transactions ?? 0,
        labels: soFar?.labels ?? 0,
        acknowledged: soFar?.acknowledged ?? 0,
        behindMs: soFar?.behindMs ?? 0,
      },
    }),
  })
  printProgress(`metrics: http://${host}:${server.port}/metrics`)
  return {
    produced: (summary) => {
      soFar = summary
      telemetry.produced(summary)
    },
    close: () => server.close(),
  }
}
