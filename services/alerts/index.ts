// Public entry of the alerts subscriber.

export { loadAlertsConfig } from './config.ts'
export type { AlertsConfig } from './config.ts'
export { createAlertsTelemetry } from '../platform/metrics/alerts-telemetry.ts'
export type { AlertsTelemetry } from '../platform/metrics/alerts-telemetry.ts'
export { loadEnforcerConfig, type EnforcerConfig } from './enforcer/config.ts'
export { runEnforcer } from './enforcer/run-enforcer.ts'
export { loadReceiptsConfig, type ReceiptsConfig } from './receipts/config.ts'
export { runReceipts } from './receipts/run-receipts.ts'
export { tailAlerts } from './tail-alerts.ts'
