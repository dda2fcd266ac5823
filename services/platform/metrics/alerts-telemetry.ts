// One function per event of a subscriber; here it becomes metrics. Labels come from closed lists only.

import type { Registry } from 'prom-client'
import { REJECT_REASONS, type RejectReason } from '../../core/reject-reasons.ts'
import { ALERT_ACTIONS, type AlertAction } from '../../core/wire/records.ts'
import { LATENCY_BUCKETS_S } from './buckets.ts'
import { createProcessMetrics, type MetricDefinition } from './process-metrics.ts'

export interface AlertsTelemetry {
  readonly registry: Registry
  readonly definitions: readonly MetricDefinition[]
  /** Whether the subscriber follows the topic now, for readiness. */
  readonly isFollowing: boolean
  /** `visibleAfterMs`: from the time stamp of the transaction's record to the alert's receipt here. */
  alertSeen(action: AlertAction, visibleAfterMs: number): void
  alertNotRead(reason: RejectReason): void
  following(isFollowing: boolean): void
}

/** Metrics of one subscriber. */
export function createAlertsTelemetry(): AlertsTelemetry {
  const make = createProcessMetrics()
  const seen = make.counter('sluice_alerts_seen_total', 'Alerts received, by action.', {
    action: ALERT_ACTIONS,
  })
  const notRead = make.counter(
    'sluice_alerts_not_read_total',
    'Messages of the alerts topic that are no alert this version can read.',
    { reason: REJECT_REASONS },
  )
  const visible = make.histogram(
    'sluice_event_to_alert_visible_seconds',
    'From the input record to the alert in the hands of a committed reader.',
    LATENCY_BUCKETS_S,
  )
  const connected = make.gauge(
    'sluice_alerts_following',
    '1 while the subscriber follows the alerts topic.',
  )
  let isFollowing = false
  return {
    registry: make.registry,
    definitions: make.definitions,
    get isFollowing() {
      return isFollowing
    },
    alertSeen(action, visibleAfterMs) {
      seen.inc({ action })
      // Clocks of two machines may differ by more than the latency; that is no negative wait.
      visible.observe(Math.max(0, visibleAfterMs) / 1_000)
    },
    alertNotRead(reason) {
      notRead.inc({ reason })
    },
    following(isFollowingNow) {
      isFollowing = isFollowingNow
      connected.set(isFollowing ? 1 : 0)
    },
  }
}
