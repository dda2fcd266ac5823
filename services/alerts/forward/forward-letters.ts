// Dead letters of forwarding: alerts that a target did not take. One line of JSON each in the topic
// forward-dead-letters, with the target as key. A letter holds no alert but its place in the alerts topic, so nothing
// about a card lies in two places, and a redelivery sends what the log says.

import type { Producer } from 'kafkajs'
import { z } from 'zod'
import { parseJson } from '../../core/parse-json.ts'
import { FORWARD_DEAD_REASONS } from '../../platform/metrics/forward-telemetry.ts'

const LETTER = z.object({
  kind: z.enum(['dead', 'redelivered']),
  target: z.string(),
  /** Place in the alerts topic. */
  partition: z.int(),
  offset: z.int(),
  /** Null when the message is no alert that this version can read. */
  eventId: z.string().nullable(),
  /** Null of one that was redelivered. */
  reason: z.enum(FORWARD_DEAD_REASONS).nullable(),
  /** Last answer; null when there was none. */
  status: z.int().nullable(),
  attempts: z.int(),
  atMs: z.int(),
})

/** What is kept of an alert that was not delivered, or of one that was delivered after all. */
export type ForwardLetter = Readonly<z.infer<typeof LETTER>>

const LETTER_BYTES_MAX = 4_096

export type WriteLetter = (letter: ForwardLetter) => Promise<void>

/** Resolves once all replicas have the letter: only then may the alert's offset be committed. */
export function openLetterWriter(producer: Producer, topic: string): WriteLetter {
  return async (letter) => {
    const message = { key: letter.target, value: JSON.stringify(letter) }
    await producer.send({ topic, acks: -1, messages: [message] })
  }
}

/** The letter of a message of the topic; null when it is none. */
export function parseLetter(value: Buffer | null): ForwardLetter | null {
  if (value === null || value.length > LETTER_BYTES_MAX) return null
  return parseJson(LETTER, value.toString())
}
