// Inputs of a decision besides the transaction.

import type { Thresholds } from '../../core/decision/decide.ts'
import type { BreakerLimits, ControlGroup } from '../../core/policy/policy-document.ts'
import type { CompiledPolicy } from '../../core/policy/ruling.ts'
import type { Mode, Outcome } from '../../core/wire/records.ts'
import type { VerifyOptions } from '../batch/verify-rows.ts'

/** Everything that a decision needs besides the batch; fixed while a batch is decided. */
export interface DecideOptions {
  readonly streamId: string
  readonly topic: string
  readonly partition: number
  readonly partitionCount: number
  /** Mode of transactions in no segment with a mode of its own. */
  readonly mode: Mode
  readonly alignment: 'live' | 'aligned'
  /** Thresholds of the model. The object stays the same while the model serves. */
  readonly thresholds: Thresholds
  readonly unscoredOutcome: Outcome
  readonly modelVersion: string
  readonly modelDigest: string
  readonly policy: CompiledPolicy
  /** Digest of the ruleset (policy, lists and modes), or of the settings of the built-in policy. */
  readonly policyDigest: string
  /** 0 is the built-in policy. */
  readonly policyVersion: number
  /** The object stays the same while the policy does. */
  readonly breakers: readonly BreakerLimits[]
  readonly controlGroup: ControlGroup | null
  /** Number of times that operators have reset the breakers. */
  readonly breakerResets: number
  /** Alerts per day that analysts can review, over all partitions; null means no limit. */
  readonly alertsPerDayMax: number | null
  readonly baseline: readonly number[]
  /** Options of the large net of a cascade; null when the model is one net. */
  readonly verify: VerifyOptions | null
  /** True when earlier payments of each row are kept for a shadow cascade. */
  readonly keepsSequences: boolean
  readonly score: (rows: Float64Array, rowCount: number) => Promise<Float64Array> | Float64Array
}
