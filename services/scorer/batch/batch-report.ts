// Computes the metrics of one decided batch in one pass over its decisions. Returns numbers and short lists.

import type { NotScored } from '../../core/wire/records.ts'
import type { BatchReport, AppliedLabel } from '../../platform/metrics/batch-metrics.ts'
import type { Taken } from '../intake/record-queue.ts'
import type { DecidedBatch, LabelledOutcome } from './micro-batch.ts'

/** Times are wall-clock milliseconds. */
export function reportOf(
  taken: Pick<Taken, 'rejected' | 'oldestTimestampMs'>,
  decided: DecidedBatch,
  stagesMs: BatchReport['stagesMs'],
  scoredAtMs: number,
  committedAtMs: number,
): BatchReport {
  const { oldestTimestampMs, rejected } = taken
  return {
    ...countsOf(decided),
    transactions: decided.decisions.filter(({ revision }) => revision === 0).length,
    duplicates: decided.duplicates,
    cascadeSample: {
      same: decided.cascade?.sampledSame ?? 0,
      different: decided.cascade?.sampledDifferent ?? 0,
    },
    amountsWithoutRate: rejected.filter(({ reason }) => reason === 'unknown_currency').length,
    alerts: decided.alerts.map(({ action, reasons, country }, index) => ({
      action,
      firstReason: reasons[0]?.feature ?? null,
      segments: {
        country,
        channel: decided.alerted[index]?.channel ?? null,
        category: decided.alerted[index]?.merchantCategory ?? null,
      },
    })),
    labels: decided.labelled.map(appliedLabelOf),
    deadLetters: rejected,
    stagesMs,
    eventToAlertMs: decided.alerts.map(({ source }) => committedAtMs - source.timestampMs),
    eventToScoreMs: oldestTimestampMs === null ? null : scoredAtMs - oldestTimestampMs,
  }
}

/** Hot path: one plain loop. */
function countsOf({
  decisions,
  amountsMinor: amounts,
}: DecidedBatch): Pick<
  BatchReport,
  'outcomes' | 'amountsMinor' | 'scores' | 'notScored' | 'annotations'
> {
  const outcomes = { approve: 0, flag: 0, block: 0 }
  const amountsMinor = { approve: 0, flag: 0, block: 0 }
  const scores: number[] = []
  const notScored = new Map<NotScored, number>()
  const annotations = new Map<string, number>()
  for (let index = 0; index < decisions.length; index += 1) {
    const decision = decisions[index]
    if (decision === undefined) continue
    const { outcome } = decision
    outcomes[outcome] += 1
    const amountMinor = amounts[index] ?? NaN
    if (decision.duplicateOfOffset === null && !Number.isNaN(amountMinor))
      amountsMinor[outcome] += amountMinor
    if (decision.score !== null) scores.push(decision.score)
    if (decision.notScored !== null) add(notScored, decision.notScored)
    for (const mark of decision.annotations) add(annotations, mark)
  }
  return { outcomes, amountsMinor, scores, notScored, annotations }
}

function add<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

function appliedLabelOf({ label, outcome }: LabelledOutcome): AppliedLabel {
  return {
    outcome: outcome ?? 'unknown',
    verdict: label.verdict === 'fraud' ? 'fraud' : 'genuine',
    delayMs: label.knownAtMs - label.eventTimeMs,
  }
}
