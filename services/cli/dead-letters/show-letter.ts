// One dead letter with everything that is known of it, and what its message holds while it is still in the log.

import { formatPosition, type MessagePosition } from '../../core/redrive.ts'
import type { DeadLetter } from '../../core/wire/records.ts'
import type { RegistryContent } from '../../core/wire/schema-registry.ts'
import { tableLines } from '../table.ts'
import { EVERY_LETTER } from './letter-filter.ts'
import { safeText } from './letter-lines.ts'
import { asking, openLettersKafka } from './open-kafka.ts'
import { viewPayload, type PayloadView } from './payload-view.ts'
import { readLetters, type FoundLetter, type StreamAccess } from './read-letters.ts'
import { isSameMessage } from './redrive-plan.ts'
import { findScanStart, SourceLog } from './source-log.ts'

/** What stands where the letter's message was; `gone` when retention has taken it. */
export type FoundPayload = PayloadView | { readonly kind: 'gone' | 'empty' | 'unreadable' }

/** The letter about the message at a position, or null. Throws as `readLetters` does. */
export async function findLetter(
  access: StreamAccess,
  position: MessagePosition,
  signal: AbortSignal,
): Promise<FoundLetter | null> {
  const found: FoundLetter[] = []
  const { topic, partition, offset } = position
  const filter = { ...EVERY_LETTER, topic, partition, offsetMin: offset, offsetMax: offset }
  await readLetters(access, filter, (letter) => found.push(letter), signal)
  return found[0] ?? null
}

/** Fetches the letter's message and makes it fit to be shown. Throws as `SourceLog.scan` does. */
export async function findPayload(
  access: StreamAccess,
  content: RegistryContent,
  letter: DeadLetter,
  signal: AbortSignal,
): Promise<FoundPayload> {
  const admin = openLettersKafka(access).admin()
  const log = new SourceLog(access, letter.topic, [letter])
  try {
    await asking(access, () => admin.connect())
    const start = await asking(access, () => findScanStart(admin, letter.topic, [letter]))
    await log.readOne(letter, start, signal)
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
  const message = log.messageOf(letter)
  if (message?.isRefused === true) return { kind: 'unreadable' }
  if (message === null || !isSameMessage(letter, message)) return { kind: 'gone' }
  if (message.value === null || message.value.length === 0) return { kind: 'empty' }
  return viewPayload(message.value, content)
}

/** The letter as lines, one for each thing that is known. */
export function showLines(found: FoundLetter): readonly string[] {
  const { letter } = found
  const repeats =
    found.redrivenFrom === null ? 'nothing: it was sent once' : formatPosition(found.redrivenFrom)
  return tableLines([
    ['position', formatPosition(letter)],
    ['reason', safeText(letter.reason)],
    ['field', safeText(letter.field ?? 'the message as a whole')],
    ['sent at', isoText(letter.timestampMs)],
    ['became one', isoText(letter.decidedAtMs)],
    ['bytes', String(letter.payloadBytes)],
    ['begins with', safeText(letter.sample)],
    ['hash', Buffer.from(letter.payloadHmac).toString('hex')],
    ['repeats', repeats],
  ])
}

/** The message as lines. */
export function payloadLines(payload: FoundPayload): readonly string[] {
  switch (payload.kind) {
    case 'gone':
      return ['The message is no longer in its topic.']
    case 'empty':
      return ['The message has no bytes.']
    case 'unreadable':
      return ['The message came in a batch whose compression cannot be read.']
    case 'decoded':
      return [`As ${payload.subject}:`, JSON.stringify(payload.value, null, 2)]
    case 'hex': {
      const rest = payload.bytesLeftOut > 0 ? [`and ${payload.bytesLeftOut} bytes more`] : []
      return ['No schema reads it; bytes with digits masked:', ...payload.lines, ...rest]
    }
  }
}

function isoText(timeMs: number): string {
  const date = new Date(timeMs)
  return Number.isNaN(date.getTime()) ? 'no valid time' : date.toISOString()
}
