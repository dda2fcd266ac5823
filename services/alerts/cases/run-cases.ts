// Queue and labels as a service: follows alerts, labels and dispositions, and answers GET /queue and POST /labels.

import { PRIORITIES } from '../../core/cases.ts'
import type { Clock } from '../../core/clock.ts'
import { createCodecs } from '../../core/wire/codecs.ts'
import { openApiServer } from '../../platform/http/api-server.ts'
import { closeAll, type Closable } from '../../platform/lifecycle.ts'
import type { Logger } from '../../platform/log.ts'
import {
  type CasesTelemetry,
  createCasesTelemetry,
} from '../../platform/metrics/alerts-telemetry.ts'
import { openMetricsServer } from '../../platform/metrics/metrics-server.ts'
import { openSchemaRegistry } from '../../platform/registry/http-registry.ts'
import type { CasesConfig } from './config.ts'
import { openLabelWriter } from './label-request.ts'
import { DispositionChanges, followQueue, QueueState } from './queue-state.ts'
import { casesRoutes } from './routes.ts'

const STANDING_MS = 5_000

export interface CasesOptions {
  readonly config: CasesConfig
  readonly clock: Clock
  readonly log: Logger
  /** Called once everything that existed at the start has been read. */
  readonly onReady?: (ports: { readonly http: number; readonly metrics: number }) => void
}

/** Runs until the signal is aborted. @throws SluiceError as `openLabelWriter` and `openApiServer`. */
export async function runCases(options: CasesOptions, signal: AbortSignal): Promise<void> {
  const opened: Closable[] = []
  try {
    await run(options, opened, signal)
  } finally {
    await closeAll(opened.splice(0))
    options.log.info({}, 'Queue and labels stopped.')
  }
}

async function run(options: CasesOptions, opened: Closable[], signal: AbortSignal): Promise<void> {
  const { config, clock, log } = options
  const { topicPrefix, schemaRegistryUrl: url } = config
  const codecs = createCodecs(
    await openSchemaRegistry({ url, topicPrefix, register: false }).load(),
  )
  const telemetry = createCasesTelemetry()
  const { horizonMs, cases } = config
  const state = new QueueState({ topicPrefix, horizonMs, cases, clock, codecs })
  let isFollowing = false
  const writer = await openLabelWriter({ ...config, codecs })
  opened.push(writer)
  const changes = new DispositionChanges(config)
  const metrics = await openMetricsServer({
    ...config.metrics,
    registry: telemetry.registry,
    readiness: () => ({ isReady: isFollowing, details: { unreadable: state.unreadable } }),
  })
  opened.push(metrics)
  const api = await openApiServer({
    ...config.http,
    tokens: config.tokens,
    requestsPerSecondMax: config.requestsPerSecondMax,
    routes: casesRoutes({
      ...{ state, writer, clock, telemetry },
      catchUp: () => changes.untilNow(),
      isReady: () => isFollowing,
    }),
    clock,
    log,
    onAnswered: (problem) => {
      telemetry.answered(problem)
    },
  })
  opened.push(api)
  const timer = setInterval(() => {
    tell(state, telemetry, isFollowing)
  }, STANDING_MS)
  opened.push({
    close: () => {
      clearInterval(timer)
      return Promise.resolve()
    },
  })
  const onCaughtUp = (): void => {
    isFollowing = true
    tell(state, telemetry, isFollowing)
    log.info({ port: api.port, metricsPort: metrics.port }, 'Queue and labels are served.')
    options.onReady?.({ http: api.port, metrics: metrics.port })
  }
  await followQueue(config, state, signal, onCaughtUp, changes)
}

function tell(state: QueueState, telemetry: CasesTelemetry, isFollowing: boolean): void {
  const { cases, openAlerts } = state.queue()
  const counts = PRIORITIES.map(
    (priority) => [priority, cases.filter((each) => each.priority === priority).length] as const,
  )
  const losses = cases.flatMap((each) => each.expectedLossMinor ?? [])
  const expectedLossMinor = losses.reduce((sum, loss) => sum + loss, 0)
  telemetry.stood({ cases: new Map(counts), openAlerts, expectedLossMinor, isFollowing })
}
