// The gateway as a service: appends transactions to the log, follows decisions and alerts, and answers over HTTP. At the
// start it reads recent decisions and the alerts of active blocks back, so that it answers as the others do. At the end
// readiness fails first, then the port closes once its requests are answered.

import { setTimeout as sleepMs } from 'node:timers/promises'
import { ActiveBlocks } from '../core/active-blocks.ts'
import type { Clock } from '../core/clock.ts'
import { type Codecs, createCodecs } from '../core/wire/codecs.ts'
import { topicName } from '../platform/kafka/topics.ts'
import { type Closable, closeAll } from '../platform/lifecycle.ts'
import type { Logger } from '../platform/log.ts'
import {
  createGatewayTelemetry,
  type GatewayTelemetry,
} from '../platform/metrics/gateway-telemetry.ts'
import { openMetricsServer } from '../platform/metrics/metrics-server.ts'
import { openSchemaRegistry } from '../platform/registry/http-registry.ts'
import type { GatewayConfig } from './config.ts'
import { type GatewayLog, type GatewayLogOptions, openGatewayLog } from './gateway-log.ts'
import { type HttpServer, openHttpServer } from './http-server.ts'
import { OPEN_API } from './open-api.ts'
import { RecentDecisions } from './recent-decisions.ts'
import { GatewayRoutes } from './routes.ts'
import { ScoreRequests, type ScoreLog } from './score-requests.ts'

/** A million active blocks take about 300 MB. */
const BLOCKS_MAX = 1_000_000
const STANDING_MS = 1_000
const READY_POLL_MS = 10
/** Largest lead of an event time over its record's time stamp. */
const AHEAD_MS_MAX = 3_600_000

export interface GatewayOptions {
  readonly config: GatewayConfig
  readonly clock: Clock
  readonly log: Logger
  /** Called once requests are answered. */
  readonly onReady?: (ports: { readonly http: number; readonly metrics: number }) => void
  /** Replaces the log of requests, for tests that show why a guard is needed. */
  readonly wrapLog?: (log: ScoreLog) => ScoreLog
}

/**
 * Runs until the signal is aborted. @throws SluiceError as `openGatewayLog`, SLUICE_CONFIG_INVALID for the port, or the
 * fault of a topic that cannot be read any more.
 */
export async function runGateway(options: GatewayOptions, signal: AbortSignal): Promise<void> {
  const opened: Closable[] = []
  try {
    await new Gateway(options).run(opened, signal)
  } finally {
    await closeAll(opened.splice(0))
    options.log.info({}, 'Gateway stopped.')
  }
}

class Gateway {
  readonly #options: GatewayOptions
  readonly #telemetry: GatewayTelemetry = createGatewayTelemetry()
  readonly #recent: RecentDecisions
  readonly #blocks: ActiveBlocks
  readonly #failed = new AbortController()
  #routes: GatewayRoutes | null = null
  #log: GatewayLog | null = null
  #isDraining = false

  constructor(options: GatewayOptions) {
    this.#options = options
    const { config } = options
    this.#recent = new RecentDecisions({
      countMax: config.repeatCountMax,
      bytesMax: config.repeatBytesMax,
    })
    this.#blocks = new ActiveBlocks({
      blocksMax: BLOCKS_MAX,
      leaseMsMax: config.leaseMs,
      isNeverBlocked: () => false,
    })
  }

  async run(opened: Closable[], signal: AbortSignal): Promise<void> {
    const { config, log } = this.#options
    const { topicPrefix, schemaRegistryUrl: url } = config
    const registry = openSchemaRegistry({ url, topicPrefix, register: false })
    const codecs = createCodecs(await registry.load())
    const scores = new ScoreRequests({
      log: this.#scoreLog(),
      recent: this.#recent,
      topic: topicName(topicPrefix, 'transactions'),
    })
    this.#log = await openGatewayLog({ ...this.#following(codecs, scores), codecs })
    opened.push(this.#log)
    const metrics = await openMetricsServer({
      ...config.metrics,
      registry: this.#telemetry.registry,
      readiness: () => ({
        isReady: this.#isReady && !this.#isDraining,
        details: { isDraining: this.#isDraining, remembered: this.#recent.count },
      }),
    })
    opened.push(metrics)
    const ended = AbortSignal.any([signal, this.#failed.signal])
    while (!this.#isReady && !ended.aborted) await sleepMs(READY_POLL_MS)
    this.#failed.signal.throwIfAborted()
    if (ended.aborted) return
    const server = await this.#openServer(codecs, scores)
    opened.push(server, this.#openTimer())
    const { port } = server
    const remembered = this.#recent.count
    log.info({ port, metricsPort: metrics.port, remembered }, 'Gateway answers.')
    this.#options.onReady?.({ http: port, metrics: metrics.port })
    await aborted(ended)
    this.#failed.signal.throwIfAborted()
    await this.#drain()
  }

  get #isReady(): boolean {
    return this.#log?.isCaughtUp === true
  }

  /** Readiness fails, so that callers go elsewhere; requests are still answered meanwhile. */
  async #drain(): Promise<void> {
    const { config, log } = this.#options
    this.#isDraining = true
    this.#stand()
    log.info({ drainMs: config.drainMs }, 'Gateway drains.')
    await sleepMs(config.drainMs)
  }

  /** The log, which is opened after its first reader. */
  #scoreLog(): ScoreLog {
    const opened = (): GatewayLog => {
      if (this.#log === null) throw new Error('Requests are answered once the log is open.')
      return this.#log
    }
    const log: ScoreLog = {
      append: (transaction, value, headers) => opened().append(transaction, value, headers),
      digestAt: (partition, offset, deadlineMs) => opened().digestAt(partition, offset, deadlineMs),
    }
    return this.#options.wrapLog?.(log) ?? log
  }

  #following(codecs: Codecs, scores: ScoreRequests): Omit<GatewayLogOptions, 'codecs'> {
    const { config, clock, log } = this.#options
    const nowMs = clock.nowMs()
    return {
      ...config,
      log,
      decisionsSinceMs: Math.max(0, nowMs - config.repeatMs),
      alertsSinceMs: Math.max(0, nowMs - config.leaseMs - AHEAD_MS_MAX),
      onDecisions: ({ records }) => {
        for (const { value } of records) {
          const decoded = codecs.decisionBatch.decode(value)
          if (decoded.ok) scores.decided(decoded.value)
          else this.#telemetry.notRead('decisions')
        }
      },
      onAlerts: ({ partition, records, nextOffset, highWatermark }) => {
        for (const { value } of records) {
          const decoded = codecs.alert.decode(value)
          if (!decoded.ok) {
            this.#telemetry.notRead('alerts')
            continue
          }
          this.#blocks.apply(decoded.value, clock.nowMs())
          scores.alerted(decoded.value)
        }
        scores.alertsRead(partition, nextOffset >= highWatermark)
      },
      onRetry: () => {
        this.#telemetry.appendRetried()
      },
      onFault: (error) => {
        this.#failed.abort(error)
      },
    }
  }

  #openServer(codecs: Codecs, scores: ScoreRequests): Promise<HttpServer> {
    const { config, clock, log } = this.#options
    const telemetry = this.#telemetry
    const routes = new GatewayRoutes({
      ...{ config, scores, clock, log, telemetry },
      encode: (transaction) => codecs.transaction.encode(transaction),
      blocks: this.#blocks,
      isReady: () => this.#isReady,
      openApi: () => OPEN_API,
    })
    this.#routes = routes
    return openHttpServer({ config, clock, log, telemetry, routes: routes.definitions })
  }

  #openTimer(): Closable {
    const { config, clock } = this.#options
    this.#stand()
    const timer = setInterval(() => {
      this.#recent.forgetBefore(clock.nowMs() - config.repeatMs)
      this.#blocks.sweep(clock.nowMs())
      this.#stand()
    }, STANDING_MS)
    return {
      close: () => {
        clearInterval(timer)
        return Promise.resolve()
      },
    }
  }

  #stand(): void {
    this.#telemetry.stood({
      inFlight: this.#routes?.inFlight ?? 0,
      unacknowledged: this.#log?.unacknowledgedCount ?? 0,
      remembered: this.#recent.count,
      rememberedBytes: this.#recent.bytes,
      activeBlocks: this.#blocks.countLive(this.#options.clock.nowMs()),
      isReady: this.#isReady && !this.#isDraining,
    })
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    signal.addEventListener(
      'abort',
      () => {
        resolve()
      },
      { once: true },
    )
  })
}
