// The demo's enforcer: the reference enforcer in this process, which refuses blocked cards and answers with receipts.
// The event time of a demo differs from the wall clock and runs faster, so the enforcer's clock is the event time of
// the alerts.

import { randomBytes } from 'node:crypto'
import { loadEnforcerConfig, runEnforcer } from '../../services/alerts/index.ts'
import type { Enforced } from '../../services/core/active-blocks.ts'
import { RECEIPT_STATUSES } from '../../services/core/wire/records.ts'
import { systemClock } from '../../services/platform/clock.ts'
import type { KafkaConnection } from '../../services/platform/kafka/kafka-connection.ts'
import { openLogger } from '../../services/platform/log.ts'
import type { Screen } from './screen.ts'

/** The name in its receipts and of its group. */
export const DEMO_ENFORCER = 'demo'

export interface DemoEnforcer {
  /** Committed receipts, by status. */
  readonly counts: Readonly<Record<Enforced['status'], number>>
  /** Port of POST /authorise. */
  readonly port: number
  /** Rejects when the enforcer cannot continue; never resolves. */
  readonly failed: Promise<never>
  close(): Promise<void>
}

/** Starts it; resolves once it answers. `eventTimeMs` is the newest event time of an alert. */
export async function openDemoEnforcer(
  target: KafkaConnection & { readonly topicPrefix: string },
  leaseMs: number,
  eventTimeMs: () => number,
  screen: Screen,
): Promise<DemoEnforcer> {
  const counts = { applied: 0, refused: 0, too_late: 0 }
  const stop = new AbortController()
  let running: Promise<void> = Promise.resolve()
  const port = await new Promise<number>((resolve, reject) => {
    running = runEnforcer(
      {
        config: configOf(target, leaseMs),
        clock: { ...systemClock, nowMs: eventTimeMs },
        log: openLogger('enforcer', 'error', 'json'),
        onReady: ({ http }) => {
          resolve(http)
        },
        onReceipts: (receipts) => {
          for (const { alert, enforced } of receipts) {
            counts[enforced.status] += 1
            screen.receipt(alert, enforced)
          }
        },
      },
      stop.signal,
    )
    running.catch(reject)
  })
  const failed = new Promise<never>((_, reject) => {
    running.catch(reject)
  })
  failed.catch(() => undefined)
  return {
    counts,
    port,
    failed,
    close: async () => {
      stop.abort()
      // `failed` has reported its failure.
      await running.catch(() => undefined)
    },
  }
}

/** One line for the end of a run. */
export function enforcerLine({ counts }: Pick<DemoEnforcer, 'counts'>): string {
  const said = RECEIPT_STATUSES.filter((status) => status !== 'unknown').map(
    (status) => `${counts[status]} ${status.replace('_', ' ')}`,
  )
  return `receipts of the enforcer, for blocks and releases: ${said.join(', ')}`
}

function configOf(
  { brokers, security, topicPrefix }: KafkaConnection & { readonly topicPrefix: string },
  leaseMs: number,
): ReturnType<typeof loadEnforcerConfig> {
  const token = randomBytes(24).toString('hex')
  const loaded = loadEnforcerConfig({
    ...process.env,
    SLUICE_ENFORCER_TOKEN: token,
    SLUICE_ENFORCER_TOKEN_FILE: undefined,
    SLUICE_NEVER_BLOCK_FILE: undefined,
    SLUICE_SCHEMA_REGISTRY_URL: '',
    SLUICE_SUBSCRIBER: DEMO_ENFORCER,
  })
  const anyPort = { host: '127.0.0.1', port: 0 }
  return {
    ...loaded,
    brokers,
    ...(security !== undefined && { security }),
    topicPrefix,
    leaseMs,
    http: anyPort,
    metrics: anyPort,
  }
}
