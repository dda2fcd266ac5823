// Public entry of the alerts subscriber.

export { loadAlertsConfig } from './service-config.ts'
export type { AlertsConfig } from './service-config.ts'
export { createAlertsTelemetry } from '../platform/metrics/alerts-telemetry.ts'
export type { AlertsTelemetry } from '../platform/metrics/alerts-telemetry.ts'
export { caseView } from './cases/routes.ts'
export { loadCasesConfig, loadQueueConfig, type QueueConfig } from './cases/config.ts'
export { label, LABEL_SOURCES_SAID, type LabelOutcome } from './cases/label-request.ts'
export { openLabelWriter } from './cases/label-request.ts'
export { QueueState, type Queue } from './cases/queue-state.ts'
export { followQueue, readQueue } from './cases/queue-state.ts'
export { runCases } from './cases/run-cases.ts'
export { loadEnforcerConfig } from './enforcer/config.ts'
export { runEnforcer } from './enforcer/run-enforcer.ts'
export { loadReceiptsConfig } from './receipts/config.ts'
export { runReceipts } from './receipts/run-receipts.ts'
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
