// Public entry of the gateway.

export { loadGatewayConfig } from './config.ts'
export { runGateway } from './run-gateway.ts'
