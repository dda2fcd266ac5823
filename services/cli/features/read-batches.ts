// Reads every committed decision batch of a stream, one after the other, so that memory does not grow with it.

import { readToEnd } from '../../platform/kafka/committed-reader.ts'
import { topicName } from '../../platform/kafka/topics.ts'
import type { DecisionBatch } from '../../core/wire/records.ts'
import type { DecidedStream } from './open-stream.ts'

const PROGRESS_BLOCKS = 20_000

export interface BlocksRead {
  readonly blocks: number
  /** Messages of the topic that are no block this version can read. */
  readonly unreadable: number
}

/**
 * Hands over blocks in the order of their partition. `isWanted` may leave a message out before it is decoded, which is
 * what costs time.
 * @throws SluiceError SLUICE_BROKER_UNAVAILABLE or SLUICE_TOPICS_INVALID, what `onBlock` throws, or the signal's reason.
 */
export async function readBatches(
  { brokers, security, topicPrefix, codecs }: DecidedStream,
  isWanted: (value: Buffer) => boolean,
  onBlock: (block: DecisionBatch) => void | Promise<void>,
  onProgress: (line: string) => void,
  signal: AbortSignal,
): Promise<BlocksRead> {
  const seen = { blocks: 0, unreadable: 0 }
  const topics = [topicName(topicPrefix, 'decisions')]
  await readToEnd(
    { brokers, security, name: 'sluice-features', topics, startAt: 'beginning' },
    async ({ messages }) => {
      for (const { value } of messages) {
        seen.blocks += 1
        if (seen.blocks % PROGRESS_BLOCKS === 0) onProgress(`${seen.blocks} decision batches read`)
        if (value === null || !isWanted(value)) continue
        const decoded = codecs.decisionBatch.decode(value)
        if (decoded.ok) await onBlock(decoded.value)
        else seen.unreadable += 1
      }
    },
    signal,
  )
  return seen
}
