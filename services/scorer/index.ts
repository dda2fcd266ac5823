// Public entry of the scorer for commands that compute decisions again: what decides and explains, without the process.

export { explainRows } from './explain-batch.ts'
export type { Explained, Why } from './explain-batch.ts'
export { decideBatch } from './micro-batch.ts'
export type { DecidedBatch } from './micro-batch.ts'
export type { DecideOptions } from './decide-options.ts'
export type { LaneEntry, LaneLabel } from './fold-batch.ts'
export { policyOf } from './policies/policy.ts'
export { marksOf, rulingOf } from './revise.ts'
export { loadScorerConfig } from './config.ts'
