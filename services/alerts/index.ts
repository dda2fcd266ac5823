// Public entry of the alerts subscriber.

export { loadAlertsConfig } from './config.ts'
export type { AlertsConfig } from './config.ts'
export { createAlertsTelemetry } from '../platform/metrics/alerts-telemetry.ts'
export type { AlertsTelemetry } from '../platform/metrics/alerts-telemetry.ts'
export { tailAlerts } from './tail-alerts.ts'
export {
  loadForwardConfig,
  loadTargets,
  runForwarder,
  type ForwardConfig,
  type Target,
} from './forward/index.ts'
