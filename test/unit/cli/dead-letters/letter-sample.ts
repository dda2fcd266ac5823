// A dead letter, of which each test of this folder changes one field.

import { deadLetterOf, type RawMessage } from '../../../../services/core/dead-letters.ts'
import type { DeadLetter } from '../../../../services/core/wire/records.ts'

export const TOPIC = 'pilot.transactions'
export const DECIDED_AT_MS = 1_700_000_000_000

/** The message of `sampleLetter`. */
export const SAMPLE_MESSAGE: RawMessage = {
  topic: TOPIC,
  partition: 1,
  offset: 42,
  timestampMs: DECIDED_AT_MS - 1_000,
  value: Buffer.from('{"card":"card-1"}'),
}

export function sampleLetter(change: Partial<DeadLetter> = {}): DeadLetter {
  return { ...deadLetterOf(SAMPLE_MESSAGE, 'not_framed', null, 'key', DECIDED_AT_MS), ...change }
}
