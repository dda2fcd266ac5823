// Public entry of forwarding: the service, its targets file, and the receiver's side of a delivery.

export { loadForwardConfig, loadTargets } from './config.ts'
export { runForwarder } from './run-forward.ts'
export type { Target } from './targets-file.ts'
export { parseSigningKey } from './signature.ts'
export { DELIVERY_REFUSALS, REFUSAL_STATUS, SeenDeliveries, verifyDelivery } from './signature.ts'
export type { DeliveryRefusal, DeliveryVerdict } from './signature.ts'
export { redeliver } from './redeliver.ts'
export type { PlannedRedelivery } from './redeliver.ts'
export { openSender } from './send-event.ts'
export { FORWARD_DEAD_REASONS } from '../../platform/metrics/alerts-telemetry.ts'
export type { ForwardDeadReason } from '../../platform/metrics/alerts-telemetry.ts'
