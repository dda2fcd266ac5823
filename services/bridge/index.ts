// Public entry of the bridge.

export { checkMapping, type CheckedMessage } from './check-mapping.ts'
export { loadBridgeConfig } from './config.ts'
export { openLabelMapping } from './open-mapping.ts'
export { runBridge } from './run-bridge.ts'
