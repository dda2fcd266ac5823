// Skew measured once and within bounds, for who has no meter at hand: reads the topics from their beginning to where they
// end now, recomputes what fits into memory, and counts what differs among the decisions of a time.

import { DEFAULT_RATES } from '../core/currency.ts'
import { HashSample } from '../core/features/provenance/replay-sample.ts'
import type { Codecs } from '../core/wire/codecs.ts'
import type { KafkaConnection } from '../platform/kafka/kafka-connection.ts'
import { feedReplay } from './replay-feed.ts'
import { SkewCounts } from './skew-counts.ts'

export interface MeasureOptions extends KafkaConnection {
  readonly topicPrefix: string
  readonly codecs: Codecs
  /** As the scorer has it. */
  readonly eventAheadMsMax: number
  /** Decisions made before, by the scorer's clock, are not counted. */
  readonly decidedFromMs: number
  /** Messages of all topics after which it ends without having come to the end. */
  readonly messagesMax: number
  readonly onProgress: (messages: number) => void
}

export interface MeasuredSkew {
  readonly decisions: number
  /** Values of features. */
  readonly compared: number
  readonly mismatches: number
  readonly messages: number
  /** Share of cards and entities that fitted into memory. */
  readonly sample: number
  /** False when `messagesMax` was reached before the end: then what was counted is of the oldest decisions. */
  readonly isComplete: boolean
}

/** @throws SluiceError SLUICE_BROKER_UNAVAILABLE or SLUICE_TOPICS_INVALID, or the signal's reason. */
export async function measureSkew(
  options: MeasureOptions,
  signal: AbortSignal,
): Promise<MeasuredSkew> {
  const { decidedFromMs, messagesMax, onProgress, ...feed } = options
  const counts = new SkewCounts()
  const sample = new HashSample(1)
  let isCut = false
  const { messages } = await feedReplay(
    {
      ...feed,
      name: 'sluice-skew',
      rates: DEFAULT_RATES,
      from: 'beginning',
      until: 'end',
      sample,
      onReplayed: (row) => {
        if (row.block.decidedAtMs >= decidedFromMs) counts.add(row)
      },
      onStep: (_, read) => {
        onProgress(read)
        isCut ||= read >= messagesMax
        return isCut
      },
    },
    signal,
  )
  signal.throwIfAborted()
  const { decisions, compared, mismatches } = counts.take().counts
  return {
    decisions,
    compared: sumOf(compared),
    mismatches: sumOf(mismatches),
    messages,
    sample: sample.share,
    isComplete: !isCut,
  }
}

function sumOf(counts: Uint32Array): number {
  return counts.reduce((sum, count) => sum + count, 0)
}
