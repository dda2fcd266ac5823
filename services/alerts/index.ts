// Public entry of the alerts subscriber.

export { loadAlertsConfig } from './config.ts'
export type { AlertsConfig } from './config.ts'
export { createAlertsTelemetry } from '../platform/metrics/alerts-telemetry.ts'
export type { AlertsTelemetry } from '../platform/metrics/alerts-telemetry.ts'
export { tailAlerts } from './tail-alerts.ts'
export {
  FORWARD_DEAD_REASONS,
  loadForwardConfig,
  loadTargets,
  openSender,
  redeliver,
  runForwarder,
  type ForwardDeadReason,
  type PlannedRedelivery,
  type Target,
} from './forward/index.ts'
