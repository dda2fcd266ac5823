// Public entry of the scorer for commands that recompute decisions: the code that decides and explains, without the
// process.

export { explainRows } from './decide/explain-batch.ts'
export type { Explained } from './decide/explained.ts'
export { policyOf } from './deployments/policy.ts'
export type { PolicySettings } from './deployments/policy.ts'
export { revisedAnnotationsOf } from './decide/revise.ts'
export { readBreakers } from './config.ts'
