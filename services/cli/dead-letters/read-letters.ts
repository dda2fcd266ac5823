// Reads the dead-letters topic, one letter after the other, so that memory does not grow with it.

import { redrivenFromOf, type MessagePosition } from '../../core/redrive.ts'
import type { Codecs } from '../../core/wire/codecs.ts'
import type { DeadLetter } from '../../core/wire/records.ts'
import { readToEnd } from '../../platform/kafka/committed-reader.ts'
import type { KafkaConnection } from '../../platform/kafka/kafka-connection.ts'
import { topicName } from '../../platform/kafka/topics.ts'
import { isWanted, type LetterFilter } from './letter-filter.ts'

/** Where the stream is, and how to read it. */
export interface StreamAccess extends KafkaConnection {
  readonly topicPrefix: string
  readonly codecs: Codecs
}

/** A letter with what its own message says. */
export interface FoundLetter {
  readonly letter: DeadLetter
  /** What the message repeats when it had been sent again before; null for a first failure. */
  readonly redrivenFrom: MessagePosition | null
}

/** What a reading has seen besides the letters that it handed over. */
export interface LettersRead {
  readonly matching: number
  readonly others: number
  /** Messages of the topic that are no letter this version can read. */
  readonly unreadable: number
}

/**
 * Hands over every committed letter that the filter lets pass, those of one source topic in the order in which
 * they were written.
 * @throws SluiceError SLUICE_BROKER_UNAVAILABLE or SLUICE_TOPICS_INVALID, what `onLetter` throws, or the signal's
 * reason.
 */
export async function readLetters(
  { brokers, security, topicPrefix, codecs }: StreamAccess,
  filter: LetterFilter,
  onLetter: (found: FoundLetter) => void,
  signal?: AbortSignal,
): Promise<LettersRead> {
  const seen = { matching: 0, others: 0, unreadable: 0 }
  const topics = [topicName(topicPrefix, 'dead-letters')]
  await readToEnd(
    { brokers, security, name: 'sluice-dead-letters', topics, startAt: 'beginning' },
    ({ messages }) => {
      for (const { value, headers } of messages) {
        const decoded = codecs.deadLetter.decode(value)
        if (!decoded.ok) seen.unreadable += 1
        else if (!isWanted(decoded.value, filter)) seen.others += 1
        else {
          seen.matching += 1
          const letter = decoded.value
          onLetter({ letter, redrivenFrom: redrivenFromOf(headers, letter.topic) })
        }
      }
    },
    signal,
  )
  return seen
}
