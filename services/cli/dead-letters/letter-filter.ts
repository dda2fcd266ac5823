// Which dead letters a command is about. Times are those of the letters: when the message became one.

import type { RejectReason } from '../../core/dead-letters.ts'
import type { DeadLetter } from '../../core/wire/records.ts'

/** Every condition must hold; null holds always. */
export interface LetterFilter {
  /** Any of these. Later versions may write reasons that this one does not know, so letters have texts. */
  readonly reasons: readonly RejectReason[] | null
  /** From this time on, by `decidedAtMs`. */
  readonly sinceMs: number | null
  /** Before this time. */
  readonly untilMs: number | null
  /** Full name of the source topic. */
  readonly topic: string | null
  readonly partition: number | null
  /** Offsets of the source topic. */
  readonly offsetMin: number | null
  readonly offsetMax: number | null
}

/** Lets every letter pass. */
export const EVERY_LETTER: LetterFilter = {
  reasons: null,
  sinceMs: null,
  untilMs: null,
  topic: null,
  partition: null,
  offsetMin: null,
  offsetMax: null,
}

/** True when the letter is one that was asked for. */
export function isWanted(letter: DeadLetter, filter: LetterFilter): boolean {
  const { reasons, sinceMs, untilMs, topic, partition, offsetMin, offsetMax } = filter
  return (
    (reasons === null || reasons.some((reason) => reason === letter.reason)) &&
    (sinceMs === null || letter.decidedAtMs >= sinceMs) &&
    (untilMs === null || letter.decidedAtMs < untilMs) &&
    (topic === null || letter.topic === topic) &&
    (partition === null || letter.partition === partition) &&
    (offsetMin === null || letter.offset >= offsetMin) &&
    (offsetMax === null || letter.offset <= offsetMax)
  )
}
