// Public entry of the scorer for commands that compute decisions again: what decides and explains, without the process.

export { explainRows } from './explain-batch.ts'
export type { Explained } from './explained.ts'
export { policyOf } from './policies/policy.ts'
export type { PolicySettings } from './policies/policy.ts'
export { revisedMarksOf } from './revise.ts'
export { readBreakers } from './config.ts'
