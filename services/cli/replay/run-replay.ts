// Computes the decisions of a stream again, or a part of them: reads the whole log that is kept, since features look far
// back, and compares what lies in the range.

import { DEFAULT_RATES } from '../../core/currency.ts'
import { SluiceError } from '../../core/errors.ts'
import { entityRefsOf } from '../../core/features/provenance/replay-parts.ts'
import type { RecordedBatch } from '../../core/features/provenance/replay-records.ts'
import {
  HashSample,
  PickedSample,
  type ReplaySample,
} from '../../core/features/provenance/replay-sample.ts'
import type { DecisionRecord } from '../../core/wire/records.ts'
import { feedReplay } from '../../skew/index.ts'
import { readTransaction } from '../features/find-decision.ts'
import type { DecidedStream } from '../features/open-stream.ts'
import type { ReplaySummary } from './compared.ts'
import type { ReplayConfig } from './config.ts'
import { DecisionReplay } from './decision-replay.ts'
import { PoliciesByDigest } from './replay-policies.ts'
import { findAlert } from './find-alert.ts'
import type { ModelsByDigest } from './models-by-digest.ts'

/** Cards and parts of entities in memory; beyond them a part is left out, which the summary says. */
const VALUES_MAX = 200_000
const PROGRESS_MESSAGES = 100_000

/** What is replayed. */
export type ReplayRange =
  | { readonly kind: 'all' }
  | { readonly kind: 'alert'; readonly alertId: string }
  /** Offsets of transactions, both included. */
  | {
      readonly kind: 'offsets'
      readonly partition: number
      readonly from: number
      readonly to: number
    }
  /** Event times, the end left out. */
  | { readonly kind: 'times'; readonly fromMs: number; readonly endMs: number }

export interface RanReplay extends ReplaySummary {
  readonly messages: number
  readonly unreadableBatches: number
  /** Blocks that could not be replayed, since what they saw is not in the log. */
  readonly waitingBatches: number
}

/** @throws SluiceError SLUICE_USAGE for a range that holds nothing, and what readers of topics and models throw. */
export async function runReplay(
  stream: DecidedStream,
  range: ReplayRange,
  { settings, places, eventAheadMsMax }: ReplayConfig,
  models: Pick<ModelsByDigest, 'find'>,
  onProgress: (line: string) => void,
  signal: AbortSignal,
): Promise<RanReplay> {
  const { isInRange, sample } = await openRange(stream, range, signal)
  const policies = new PoliciesByDigest(settings, places.store)
  const decisions = new DecisionReplay({ models, policies, isInRange })
  let saidAt = 0
  const { replay, messages, unreadableBatches } = await feedReplay(
    {
      ...stream,
      name: 'sluice-replay',
      rates: DEFAULT_RATES,
      eventAheadMsMax,
      from: 'beginning',
      until: 'end',
      sample,
      valuesMax: VALUES_MAX,
      onReplayed: (row) => {
        decisions.take(row)
      },
      onCause: (cause) => {
        decisions.takeCause(cause)
      },
      settle: () => decisions.settle(),
      onStep: (_, read) => {
        if (read >= saidAt + PROGRESS_MESSAGES) {
          saidAt = read
          onProgress(`${read} messages read, ${decisions.tally.decisions} decisions replayed`)
        }
        return false
      },
    },
    signal,
  )
  signal.throwIfAborted()
  await decisions.settle()
  const { waitingBatches } = replay
  return { ...decisions.tally.summary(), messages, unreadableBatches, waitingBatches }
}

interface OpenRange {
  readonly isInRange: (block: RecordedBatch, decision: DecisionRecord) => boolean
  readonly sample: ReplaySample
}

async function openRange(
  stream: DecidedStream,
  range: ReplayRange,
  signal: AbortSignal,
): Promise<OpenRange> {
  const sample = new HashSample(1)
  switch (range.kind) {
    case 'all':
      return { sample, isInRange: () => true }
    case 'times':
      return {
        sample,
        isInRange: (_, { eventTimeMs }) => eventTimeMs >= range.fromMs && eventTimeMs < range.endMs,
      }
    case 'offsets':
      return {
        sample,
        isInRange: ({ partition }, { offset }) =>
          partition === range.partition && offset >= range.from && offset <= range.to,
      }
    case 'alert': {
      const [{ source }] = await findAlert(stream, range.alertId, signal)
      const { partition, offset } = source
      const transaction = await readTransaction(stream, partition, offset, signal)
      if (transaction === null) throw gone(range.alertId, partition, offset)
      return {
        sample: new PickedSample(transaction.card, entityRefsOf(transaction)),
        isInRange: (block, decision) => block.partition === partition && decision.offset === offset,
      }
    }
  }
}

function gone(alertId: string, partition: number, offset: number): SluiceError {
  return new SluiceError(
    'SLUICE_USAGE',
    `The transaction of alert ${alertId}, at transactions/${partition}/${offset}, is no longer in the log; what was ` +
      `recorded of it is shown by "sluice explain ${alertId}".`,
  )
}
