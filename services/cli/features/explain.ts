// Recomputes one decision from the log, and tells what each of its features counted.

import { DEFAULT_RATES } from '../../core/currency.ts'
import { SluiceError } from '../../core/errors.ts'
import { Explanation, type ExplainedFeature } from '../../core/features/provenance/explanation.ts'
import type { Taken } from '../../skew/index.ts'
import { feedReplay } from '../../skew/index.ts'
import {
  chooseDecision,
  findDecisions,
  readTransaction,
  type FoundDecision,
} from './find-decision.ts'
import type { DecidedStream } from './open-stream.ts'

const PROGRESS_MESSAGES = 500_000

export interface ExplainOptions {
  readonly transactionId: string
  readonly revision: number
  /** The transaction that is meant, where its id was used more than once; the newest without. */
  readonly place?: { readonly partition: number; readonly offset: number }
  readonly eventAheadMsMax: number
  readonly onProgress: (line: string) => void
}

/** What is known about one decision. */
export interface ExplainedDecision extends FoundDecision {
  /** Other decisions about the same id: repeats, revisions, and earlier transactions that had it. */
  readonly others: readonly FoundDecision[]
  /** Null when the log does not let the decision be recomputed; then only what was recorded is known. */
  readonly features: readonly ExplainedFeature[] | null
  /** Event time from which on the log is there; null for all of it. */
  readonly knownFromMs: number | null
  /** False when there were more transactions than are held: lists of the features are cut off then. */
  readonly isComplete: boolean
}

/** @throws SluiceError SLUICE_USAGE when there is no such decision, and what readers of topics throw. */
export async function explainDecision(
  stream: DecidedStream,
  options: ExplainOptions,
  signal: AbortSignal,
): Promise<ExplainedDecision> {
  const { transactionId, revision, eventAheadMsMax, onProgress } = options
  const all = await findDecisions(stream, transactionId, onProgress, signal)
  const { place } = options
  const meant =
    place === undefined
      ? all
      : all.filter(
          ({ partition, decision }) =>
            partition === place.partition && decision.offset === place.offset,
        )
  const found = chooseDecision(meant, revision)
  if (found === null) throw notFound(stream, options, all)
  const others = all.filter((each) => each !== found)
  const { partition, decision } = found
  const transaction = await readTransaction(stream, partition, decision.offset, signal)
  const nothing = { ...found, others, features: null, knownFromMs: null, isComplete: true }
  if (transaction === null) return nothing
  const explanation = new Explanation({ partition, decision, transaction }, DEFAULT_RATES)
  let saidAt = 0
  const { replay } = await feedReplay(
    {
      brokers: stream.brokers,
      security: stream.security,
      name: 'sluice-features',
      topicPrefix: stream.topicPrefix,
      codecs: stream.codecs,
      rates: DEFAULT_RATES,
      eventAheadMsMax,
      from: 'beginning',
      until: 'end',
      sample: explanation.sample,
      onReplayed: (row) => {
        explanation.replayed(row)
      },
      onTaken: (taken) => {
        gather(explanation, taken)
      },
      onStep: (_, messages) => {
        if (messages >= saidAt + PROGRESS_MESSAGES) {
          saidAt = messages
          onProgress(`${messages} messages read`)
        }
        return explanation.isDone
      },
    },
    signal,
  )
  signal.throwIfAborted()
  const { knownFromMs } = replay
  return {
    ...nothing,
    features: explanation.features(),
    knownFromMs: Number.isFinite(knownFromMs) ? knownFromMs : null,
    isComplete: explanation.isComplete,
  }
}

function gather(explanation: Explanation, taken: Taken): void {
  const { partition } = taken
  if (taken.kind === 'transactions') explanation.takeEntries(partition, taken.entries)
  else if (taken.kind === 'labels') explanation.takeLabels(partition, taken.labels)
  else explanation.takeBatches(partition, taken.blocks)
}

function notFound(
  { topicPrefix }: DecidedStream,
  { transactionId, revision }: ExplainOptions,
  all: readonly FoundDecision[],
): SluiceError {
  const topic = `${topicPrefix}decisions`
  const [first] = all
  if (first === undefined) {
    return new SluiceError(
      'SLUICE_USAGE',
      `${topic} holds no decision about ${transactionId}; check the id and the topic prefix. It may also not be ` +
        'decided yet, be a dead letter ("sluice dead-letters list"), or be older than the topic.',
    )
  }
  if (revision > 0) {
    const known = all.map(({ decision }) => decision.revision)
    return new SluiceError(
      'SLUICE_USAGE',
      `The decision about ${transactionId} has no revision ${revision}; there are ${[...new Set(known)].join(', ')}.`,
    )
  }
  return new SluiceError(
    'SLUICE_USAGE',
    `${topic} holds only a repeat of ${transactionId}, which has no features of its own; the first decision, at offset ` +
      `${first.decision.duplicateOfOffset ?? first.decision.offset}, is no longer there.`,
  )
}
