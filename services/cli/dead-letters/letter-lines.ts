// Dead letters as lines for people and as JSON for programs.

import { formatPosition } from '../../core/redrive.ts'
import { redact } from '../../platform/redact.ts'
import { tableLine, tableLines } from '../table.ts'
import type { FoundLetter, LettersRead } from './read-letters.ts'

/** Letters are printed as they are read. */
const FORM = { align: 'llllr', widths: [19, 24, 21, 12, 6] }
const SAMPLE_CHARACTERS = 24

/** Heads the lines of `letterLine`. */
export function letterHeading(): string {
  return tableLine(
    ['became one (UTC)', 'position', 'reason', 'field', 'bytes', 'begins with'],
    FORM,
  )
}

/** One letter on one line: when, which message, why, and the redacted start of it. */
export function letterLine({ letter, redrivenFrom }: FoundLetter, topicPrefix: string): string {
  const position = formatPosition(letter).slice(topicPrefix.length)
  const repeats = redrivenFrom === null ? '' : `  redriven before, from ${redrivenFrom.offset}`
  const cells = [
    timeText(letter.decidedAtMs),
    position,
    safeText(letter.reason),
    safeText(letter.field ?? '-'),
    String(letter.payloadBytes),
    safeText(letter.sample).slice(0, SAMPLE_CHARACTERS) + repeats,
  ]
  return tableLine(cells, FORM)
}

/** A letter for programs. Times in milliseconds UTC, the hash in hex. */
export function letterJson({ letter, redrivenFrom }: FoundLetter): Record<string, unknown> {
  return {
    position: formatPosition(letter),
    topic: letter.topic,
    partition: letter.partition,
    offset: letter.offset,
    reason: letter.reason,
    field: letter.field,
    payloadBytes: letter.payloadBytes,
    payloadHmac: Buffer.from(letter.payloadHmac).toString('hex'),
    sample: redact(letter.sample),
    timestampMs: letter.timestampMs,
    decidedAtMs: letter.decidedAtMs,
    redrivenFrom: redrivenFrom === null ? null : formatPosition(redrivenFrom),
  }
}

/** Letters by source topic and reason. At most GROUPS_MAX groups, so that a stranger's topic cannot fill memory. */
export class LetterCounts {
  readonly #counts = new Map<string, { topic: string; reason: string; count: number }>()
  #uncounted = 0

  add({ letter: { topic, reason } }: FoundLetter): void {
    const key = `${topic} ${reason}`
    const known = this.#counts.get(key)
    if (known !== undefined) known.count += 1
    else if (this.#counts.size < GROUPS_MAX) this.#counts.set(key, { topic, reason, count: 1 })
    else this.#uncounted += 1
  }

  /** Most frequent first. */
  get groups(): readonly {
    readonly topic: string
    readonly reason: string
    readonly count: number
  }[] {
    const groups = [...this.#counts.values()].sort((a, b) => b.count - a.count)
    if (this.#uncounted === 0) return groups
    return [...groups, { topic: 'other', reason: 'other', count: this.#uncounted }]
  }
}

const GROUPS_MAX = 1_000

/** The counts as lines. */
export function summaryLines(counts: LetterCounts, topicPrefix: string): readonly string[] {
  const rows = counts.groups.map(({ topic, reason, count }) => [
    String(count),
    topic.startsWith(topicPrefix) ? topic.slice(topicPrefix.length) : topic,
    safeText(reason),
  ])
  return tableLines(rows, { align: 'r' })
}

/** What was read besides what was shown; null when there is nothing to add. */
export function remainderLine(read: LettersRead, shown: number): string | null {
  const parts = [
    shown < read.matching
      ? `${shown} of ${read.matching} shown, the oldest first; --limit shows more`
      : null,
    read.unreadable > 0 ? `${read.unreadable} message(s) of the topic are no dead letter` : null,
  ].filter((part) => part !== null)
  return parts.length === 0 ? null : parts.join('; ')
}

/** A time as `2026-01-31 12:00:00`. */
export function timeText(timeMs: number): string {
  const date = new Date(timeMs)
  if (Number.isNaN(date.getTime())) return 'no valid time'
  return date.toISOString().slice(0, 19).replace('T', ' ')
}

/** Text that came from a topic: no card number, and nothing that steers the terminal. */
export function safeText(text: string): string {
  return String(redact(text)).replace(/\p{Cc}/gu, '?')
}
