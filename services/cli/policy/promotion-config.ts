// What must be known before a policy may do more: environment variables to one checked object.

import type { PromotionLimits } from '../../core/policy/promotion-gates.ts'
import { EnvReader } from '../../platform/config/env-reader.ts'

export interface PromotionConfig {
  readonly limits: PromotionLimits
  /** Age at which a decision without a fraud label counts as genuine. */
  readonly matureMs: number
  /** Folder of the model that scorers are configured with; null for the released one. */
  readonly modelFolder: string | null
  /** As the scorer has it. */
  readonly eventAheadMsMax: number
}

/** @throws SluiceError SLUICE_CONFIG_INVALID naming every bad variable. */
export function loadPromotionConfig(env: NodeJS.ProcessEnv): PromotionConfig {
  const read = new EnvReader(env)
  const config: PromotionConfig = {
    limits: {
      daysMin: read.value('SLUICE_PROMOTE_DAYS_MIN'),
      precisionMin: read.value('SLUICE_PROMOTE_PRECISION_MIN'),
      alertsMin: read.value('SLUICE_PROMOTE_ALERTS_MIN'),
      agreementMin: read.value('SLUICE_PROMOTE_AGREEMENT_MIN'),
      skewShareMax: read.value('SLUICE_PROMOTE_SKEW_SHARE_MAX'),
    },
    matureMs: read.value('SLUICE_PROMOTE_MATURE_MS'),
    modelFolder: read.value('SLUICE_MODEL'),
    eventAheadMsMax: read.value('SLUICE_EVENT_AHEAD_MS_MAX'),
  }
  read.throwIfInvalid()
  return config
}
