// What deciding depends on besides what is decided.

import type { Thresholds } from '../core/decision/decide.ts'
import type { Mode, Outcome } from '../core/wire/records.ts'
import type { VerifyOptions } from './verify-rows.ts'

/** What deciding needs besides the batch; fixed while a lane runs. */
export interface DecideOptions {
  readonly streamId: string
  readonly topic: string
  readonly partition: number
  readonly mode: Mode
  readonly alignment: 'live' | 'aligned'
  readonly thresholds: Thresholds
  readonly unscoredOutcome: Outcome
  readonly leaseMs: number
  readonly modelVersion: string
  readonly modelDigest: string
  readonly policyDigest: string
  /** 0 is the built-in policy. */
  readonly policyVersion: number
  readonly usual: readonly number[]
  /** The large net of a cascade; null when the model is one net. */
  readonly verify: VerifyOptions | null
  readonly score: (rows: Float64Array, rowCount: number) => Promise<Float64Array> | Float64Array
}
