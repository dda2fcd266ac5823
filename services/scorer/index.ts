// Public entry of the scorer for commands that compute decisions again: what decides and explains, without the process.

export { explainRows } from './explain-batch.ts'
export type { Explained } from './explained.ts'
export { policyOf } from './policies/policy.ts'
export { marksOf, rulingOf } from './revise.ts'
