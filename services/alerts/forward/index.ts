// Public entry of forwarding: the service, its targets file, and the receiver's side of a delivery.

export { loadForwardConfig, loadTargets } from './config.ts'
export type { ForwardConfig } from './config.ts'
export { runForwarder } from './run-forward.ts'
export type { Target } from './targets-file.ts'
export { parseSigningKey } from './signature.ts'
export {
  DELIVERY_REFUSALS,
  REFUSAL_STATUS,
  SeenDeliveries,
  verifyDelivery,
} from './verify-delivery.ts'
export type { DeliveryRefusal, DeliveryVerdict } from './verify-delivery.ts'
