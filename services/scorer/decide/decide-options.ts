// What deciding depends on besides what is decided.

import type { Thresholds } from '../../core/decision/decide.ts'
import type { BreakerLimits, ControlGroup } from '../../core/policy/policy-document.ts'
import type { CompiledPolicy } from '../../core/policy/ruling.ts'
import type { Mode, Outcome } from '../../core/wire/records.ts'
import type { VerifyOptions } from '../batch/verify-rows.ts'

/** What deciding needs besides the batch; fixed while a batch is decided. */
export interface DecideOptions {
  readonly streamId: string
  readonly topic: string
  readonly partition: number
  readonly partitionCount: number
  /** Of what is in no segment with a mode of its own. */
  readonly mode: Mode
  readonly alignment: 'live' | 'aligned'
  /** The model's. One object for as long as the model serves. */
  readonly thresholds: Thresholds
  readonly unscoredOutcome: Outcome
  readonly modelVersion: string
  readonly modelDigest: string
  readonly policy: CompiledPolicy
  /** Of the ruleset: policy, lists and modes; of the built-in policy its settings. */
  readonly policyDigest: string
  /** 0 is the built-in policy. */
  readonly policyVersion: number
  /** One object for as long as the policy is the same. */
  readonly breakers: readonly BreakerLimits[]
  readonly controlGroup: ControlGroup | null
  /** How often people have reset the breakers. */
  readonly breakerResets: number
  /** Flags in a day that analysts can look at, of all partitions; null is no limit. */
  readonly alertsPerDayMax: number | null
  readonly baseline: readonly number[]
  /** The large net of a cascade; null when the model is one net. */
  readonly verify: VerifyOptions | null
  /** Whether the payments before each are kept, for a cascade in the shadow. */
  readonly keepsSequences: boolean
  readonly score: (rows: Float64Array, rowCount: number) => Promise<Float64Array> | Float64Array
}
