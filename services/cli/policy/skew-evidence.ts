// Whether features are what the log says: as a running meter has counted, else recomputed here, within bounds.

import type { Evidence, PromotionEvidence } from '../../core/policy/promotion-gates.ts'
import type { ControlAccess } from '../../platform/kafka/control-topic.ts'
import { measureSkew } from '../../skew/index.ts'
import { printProgress } from '../command.ts'
import { fetchMetricsPage, metricsUrl, sumOfSeries } from '../metrics-page.ts'

/** Messages that are read at most: minutes, on one core. */
export const RECOMPUTED_MESSAGES_MAX = 5_000_000
const PROGRESS_MESSAGES = 500_000

export interface SkewSource {
  readonly access: ControlAccess
  /** Address of the metrics page of a running meter; null for none. */
  readonly meter: string | null
  /** As the scorer has it. */
  readonly eventAheadMsMax: number
  /** Only decisions from this moment of the scorer's clock on are counted, when they are recomputed here. */
  readonly decidedFromMs: number
  readonly messagesMax: number
}

type Skew = NonNullable<PromotionEvidence['skew']['found']>

/** @throws SluiceError SLUICE_INPUT_INVALID for a meter that does not answer, or of Kafka. */
export async function skewEvidence(
  source: SkewSource,
  signal: AbortSignal,
): Promise<Evidence<Skew>> {
  const { meter } = source
  if (meter !== null) {
    const url = metricsUrl(meter)
    const page = await fetchMetricsPage(url, 'a running "sluice skew", such as 127.0.0.1:9466')
    const compared = sumOfSeries(page, 'sluice_skew_values_compared_total') ?? 0
    const mismatches = sumOfSeries(page, 'sluice_skew_mismatches_total') ?? 0
    if (compared > 0) return { found: { compared, mismatches }, source: `meter at ${url}` }
    printProgress(`the meter at ${url} has compared nothing yet; a sample is recomputed here`)
  }
  return recomputed(source, signal)
}

async function recomputed(
  { access, eventAheadMsMax, decidedFromMs, messagesMax }: SkewSource,
  signal: AbortSignal,
): Promise<Evidence<Skew>> {
  let told = 0
  const { decisions, compared, mismatches, messages, sample, isComplete } = await measureSkew(
    {
      ...access,
      ...{ eventAheadMsMax, decidedFromMs, messagesMax },
      onProgress: (read) => {
        if (read < told + PROGRESS_MESSAGES) return
        told = read
        printProgress(`${read} messages read to recompute features`)
      },
    },
    signal,
  )
  const meter = 'run "sluice skew" beside the scorers and give its metrics page with --skew'
  if (!isComplete) {
    return { found: null, why: `the topics hold more than ${messagesMax} messages; ${meter}` }
  }
  if (compared === 0) {
    return {
      found: null,
      why: `the log lets none of ${decisions} decisions be recomputed; ${meter}`,
    }
  }
  const share = sample === 1 ? 'all' : `${Number((100 * sample).toPrecision(3))}%`
  return {
    found: { compared, mismatches },
    source: `${decisions} decisions recomputed here from ${messages} messages, ${share} of the cards`,
  }
}
