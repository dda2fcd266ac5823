// Dead letters of forwarding: alerts that a target did not take. One line of JSON each in the topic
// forward-dead-letters, with the target as key. A letter holds no alert but its place in the alerts topic, so nothing
// about a card lies in two places, and a redelivery sends what the log says.

import type { Producer } from 'kafkajs'
import {
  FORWARD_DEAD_REASONS,
  type ForwardDeadReason,
} from '../../platform/metrics/forward-telemetry.ts'

/** What is kept of an alert that was not delivered, or of one that was delivered after all. */
export interface ForwardLetter {
  readonly kind: 'dead' | 'redelivered'
  readonly target: string
  /** Place in the alerts topic. */
  readonly partition: number
  readonly offset: number
  /** Null when the message is no alert that this version can read. */
  readonly eventId: string | null
  /** Null of one that was redelivered. */
  readonly reason: ForwardDeadReason | null
  /** Last answer; null when there was none. */
  readonly status: number | null
  readonly attempts: number
  readonly atMs: number
}

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
  let letter: Partial<ForwardLetter> | null
  try {
    letter = JSON.parse(value.toString()) as Partial<ForwardLetter> | null
  } catch {
    return null
  }
  if (typeof letter !== 'object' || letter === null) return null
  const { kind, target, partition, offset, eventId, reason, status, attempts, atMs } = letter
  const isWhole =
    (kind === 'dead' || kind === 'redelivered') &&
    typeof target === 'string' &&
    [partition, offset, attempts, atMs].every((number) => Number.isSafeInteger(number)) &&
    (eventId === null || typeof eventId === 'string') &&
    (reason === null || FORWARD_DEAD_REASONS.some((known) => known === reason)) &&
    (status === null || Number.isSafeInteger(status))
  return isWhole ? (letter as ForwardLetter) : null
}
