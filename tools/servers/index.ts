// Public entry of provisioning.

export { provisionStack, stopStack, type ProvisionOptions, type Stack } from './stack.ts'
export { stackStatus, type ServerStatus } from './stack-status.ts'
export { examine } from '../doctor/doctor.ts'
export type { Finding } from '../doctor/finding.ts'
