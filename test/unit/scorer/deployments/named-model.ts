// Models that have only a name, for code that never uses their content.

import type { ScoringModel } from '../../../../services/core/scoring/scoring-model.ts'
import { policyOf, type Policy } from '../../../../services/scorer/deployments/policy.ts'

export interface NamedModel extends ScoringModel {
  /** Number of calls of `close`. */
  readonly closed: number
}

export function digestOf(name: string): string {
  return Buffer.from(name).toString('hex').padEnd(64, '0')
}

export function namedModel(name: string): NamedModel {
  let closed = 0
  return {
    get closed() {
      return closed
    },
    info: {
      name,
      version: name,
      digest: digestOf(name),
      backend: 'cpu',
      backendDetail: '',
      isOnGpu: false,
      hasSameBits: true,
      featureListHash: '',
      referenceCurrency: 'EUR',
      ratesDigest: '',
      flagThreshold: 0.1,
      blockThreshold: 0.5,
      baseline: [],
      trainingDistribution: { rows: 1, features: [], score: { edges: [], shares: [1, 0] } },
      isCalibrated: true,
      agreementAtLeast: null,
      workingBatchRows: 256,
      thread: 'main',
      trials: [],
    },
    score: (_, rowCount) => new Float64Array(rowCount),
    verifier: null,
    close: () => {
      closed += 1
    },
  }
}

export function policyOfTest(model: ScoringModel): Policy {
  const configured = { mode: 'flag', leaseMs: 1, unscoredOutcome: 'flag', breakers: [] } as const
  return { ...policyOf(configured, null, model), digest: `policy of ${model.info.version}` }
}
