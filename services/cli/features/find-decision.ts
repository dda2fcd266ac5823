// Finds the decision about a transaction id, and the transaction itself in the log.

import type { Transaction } from '../../core/transaction.ts'
import type { DecisionBatch, DecisionRecord } from '../../core/wire/records.ts'
import { placeKey, readToEnd } from '../../platform/kafka/committed-reader.ts'
import { topicName } from '../../platform/kafka/topics.ts'
import type { DecidedStream } from './open-stream.ts'
import { readBatches } from './read-batches.ts'

/** Decisions of one id that are held; an id that is used again and again shows the newest of them. */
const FOUND_MAX = 10_000

/** A decision with its place and what it was made from. */
export interface FoundDecision {
  readonly partition: number
  readonly decision: DecisionRecord
  readonly block: DecisionBatch
  readonly index: number
}

/** All decisions about the id, as far as the topic holds them: first ones, repeats and revisions. */
export async function findDecisions(
  stream: DecidedStream,
  transactionId: string,
  onProgress: (line: string) => void,
  signal: AbortSignal,
): Promise<readonly FoundDecision[]> {
  const found: FoundDecision[] = []
  const bytes = Buffer.from(transactionId)
  await readBatches(
    stream,
    // Most blocks do not hold the id at all, and looking for its bytes is far cheaper than decoding.
    (value) => value.includes(bytes),
    (block) => {
      for (const [index, decision] of block.decisions.entries()) {
        if (decision.transactionId !== transactionId) continue
        found.push({ partition: block.partition, decision, block, index })
        if (found.length > FOUND_MAX) found.shift()
      }
    },
    onProgress,
    signal,
  )
  return found
}

/**
 * The decision that is asked for: of this revision, about the newest transaction with the id that was not a repeat.
 * Null when there is none.
 */
export function chooseDecision(
  found: readonly FoundDecision[],
  revision: number,
): FoundDecision | null {
  const of = found.filter(
    ({ decision }) => decision.revision === revision && decision.duplicateOfOffset === null,
  )
  return of.reduce<FoundDecision | null>(
    (newest, each) =>
      newest === null || each.block.decidedAtMs >= newest.block.decidedAtMs ? each : newest,
    null,
  )
}

/** The transaction at a place of the log; null when it is no longer there. */
export async function readTransaction(
  { brokers, security, topicPrefix, codecs }: DecidedStream,
  partition: number,
  offset: number,
  signal: AbortSignal,
): Promise<Transaction | null> {
  const topic = topicName(topicPrefix, 'transactions')
  const enough = new AbortController()
  let transaction: Transaction | null = null
  try {
    await readToEnd(
      {
        brokers,
        security,
        name: 'sluice-features',
        topics: [topic],
        startAt: new Map([[placeKey(topic, partition), offset]]),
      },
      ({ messages }) => {
        const [first] = messages
        if (first !== undefined && Number(first.offset) === offset) {
          const message = codecs.decodeTransactionMessage(first.value)
          if (message.kind === 'transaction') transaction = message.value
        }
        enough.abort()
      },
      AbortSignal.any([signal, enough.signal]),
    )
  } catch (error) {
    if (signal.aborted || !enough.signal.aborted) throw error
  }
  return transaction
}
