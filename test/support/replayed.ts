// Replays a test's stream from Kafka to its end, and counts the results of the replay.

import { DEFAULT_RATES } from '../../services/core/rates/default-rates.ts'
import { FEATURE_NAMES } from '../../services/core/features/catalogue/feature-list.ts'
import { HashSample } from '../../services/core/features/provenance/replay-sample.ts'
import { reasonOf, VERDICT } from '../../services/core/features/provenance/row-comparison.ts'
import { feedReplay } from '../../services/skew/index.ts'
import type { TestStream } from './streams.ts'
import { RatesByDigest } from '../../services/platform/rate-store.ts'

const YEAR_MS = 31_536_000_000

export interface Replayed {
  readonly decisions: number
  readonly revisions: number
  readonly compared: number
  readonly waitingBatches: number
  /** Mismatches by feature, and values that were not compared by reason. */
  readonly mismatches: Readonly<Record<string, number>>
  readonly notCompared: Readonly<Record<string, number>>
}

export async function replayToEnd(stream: TestStream, share = 1): Promise<Replayed> {
  const counts = { decisions: 0, revisions: 0, compared: 0 }
  const mismatches: Record<string, number> = {}
  const notCompared: Record<string, number> = {}
  const { replay } = await feedReplay(
    {
      brokers: stream.brokers,
      name: 'sluice-test-replay',
      topicPrefix: stream.prefix,
      codecs: stream.codecs,
      rates: new RatesByDigest(DEFAULT_RATES),
      eventAheadMsMax: YEAR_MS,
      from: 'beginning',
      until: 'end',
      sample: new HashSample(share),
      onReplayed({ recorded, verdicts }) {
        counts.decisions += 1
        if (recorded.decision.revision > 0) counts.revisions += 1
        for (const [index, verdict] of verdicts.entries()) {
          const reason = reasonOf(verdict)
          const name = FEATURE_NAMES[index] ?? ''
          if (reason !== null) notCompared[reason] = (notCompared[reason] ?? 0) + 1
          else counts.compared += 1
          if (verdict === VERDICT.differs) mismatches[name] = (mismatches[name] ?? 0) + 1
        }
      },
    },
    new AbortController().signal,
  )
  return { ...counts, waitingBatches: replay.waitingBatches, mismatches, notCompared }
}
