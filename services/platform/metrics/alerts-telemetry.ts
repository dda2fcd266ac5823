// One function per event of a subscriber; here it becomes metrics. Labels come from closed lists only.

import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'
import type { RejectReason } from '../../core/reject-reasons.ts'
import type { AlertAction } from '../../core/wire/records.ts'
import { LATENCY_BUCKETS_S } from './scorer-telemetry.ts'

export interface AlertsTelemetry {
  readonly registry: Registry
  /** `visibleAfterMs`: from the time stamp of the transaction's record to the alert's receipt here. */
  alertSeen(action: AlertAction, visibleAfterMs: number): void
  alertNotRead(reason: RejectReason): void
  following(isFollowing: boolean): void
}

/** Metrics of one subscriber. */
export function createAlertsTelemetry(): AlertsTelemetry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  const seen = new Counter({
    name: 'sluice_alerts_seen_total',
    help: 'Alerts received, by action.',
    labelNames: ['action'],
    registers,
  })
  const notRead = new Counter({
    name: 'sluice_alerts_not_read_total',
    help: 'Messages of the alerts topic that are no alert this version can read.',
    labelNames: ['reason'],
    registers,
  })
  const visible = new Histogram({
    name: 'sluice_event_to_alert_visible_seconds',
    help: 'From the input record to the alert in the hands of a committed reader.',
    buckets: LATENCY_BUCKETS_S,
    registers,
  })
  const connected = new Gauge({
    name: 'sluice_alerts_following',
    help: '1 while the subscriber follows the alerts topic.',
    registers,
  })
  return {
    registry,
    alertSeen(action, visibleAfterMs) {
      seen.inc({ action })
      // Clocks of two machines may differ by more than the latency; that is no negative wait.
      visible.observe(Math.max(0, visibleAfterMs) / 1_000)
    },
    alertNotRead(reason) {
      notRead.inc({ reason })
    },
    following(isFollowing) {
      connected.set(isFollowing ? 1 : 0)
    },
  }
}
