// What a redrive would do with each letter, as a pure function of what the source topic holds.

import { type RejectReason, sampleOf } from '../../core/dead-letters.ts'
import { formatPosition, type MessagePosition } from '../../core/redrive.ts'
import type { DeadLetter } from '../../core/wire/records.ts'
import type { Verdict } from './message-verdict.ts'

/** What becomes of a letter. Closed list: also in `--json`. */
export const REDRIVE_STATES = [
  'send',
  'over_limit',
  'sent_before',
  'redriven_before',
  'refused_again',
  'gone',
  'unreadable',
  'unprovable',
] as const

export type RedriveState = (typeof REDRIVE_STATES)[number]

/** What each state means, for people. */
export const STATE_TEXTS: Readonly<Record<RedriveState, string>> = {
  send: 'to be sent',
  over_limit: 'to be sent by a later run (--limit)',
  sent_before: 'sent again before',
  redriven_before: 'is itself one that was sent again; not sent a third time',
  refused_again: 'would become a dead letter again',
  gone: 'no longer in its topic',
  unreadable: 'in a batch whose compression cannot be read',
  unprovable: 'retention may have taken the mark of an earlier redrive',
}

/** A message of a source topic, as far as it matters here. */
export interface SourceMessage {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: Readonly<Record<string, Buffer | string | (Buffer | string)[] | undefined>>
  readonly timestampMs: number
  readonly redrivenFrom: MessagePosition | null
  /** True when its batch could not be decompressed. */
  readonly isRefused: boolean
}

/** What the source topic says about one letter. */
export interface LetterSource {
  /** Null when nothing stands at its position. */
  readonly message: SourceMessage | null
  /** Position of the message that repeats it already, or null. */
  readonly sentTo: string | null
  readonly verdict: Verdict | null
  /** False when an earlier redrive into the verdict's partition may have been there and be gone. */
  readonly isCovered: boolean
}

export interface PlannedLetter {
  readonly letter: DeadLetter
  readonly state: RedriveState
  /** A reason why it would be refused, where it was sent before, or null. */
  readonly detail: string | null
  /** Where it goes; null when it is not sent. */
  readonly target: { readonly partition: number; readonly key: Buffer | null } | null
  readonly message: SourceMessage | null
}

/** Reasons that no `--force` overcomes: there is nothing to send, or sending it would spread a card number. */
const NEVER_SENT: readonly RejectReason[] = ['empty', 'too_large', 'card_number_suspected']
const CARD_NUMBER = /\d(?:[ -]?\d){12,18}/

/** Decides about one letter. `force` sends also what would be refused again. */
export function planLetter(
  letter: DeadLetter,
  source: LetterSource,
  force: boolean,
): PlannedLetter {
  const { message, verdict } = source
  const not = (state: RedriveState, detail: string | null = null): PlannedLetter => ({
    letter,
    state,
    detail,
    target: null,
    message: null,
  })
  if (message === null) return not('gone')
  if (message.isRefused) return not('unreadable')
  if (!isSameMessage(letter, message)) return not('gone', 'another message stands there')
  if (message.redrivenFrom !== null) {
    return not('redriven_before', `from ${formatPosition(message.redrivenFrom)}`)
  }
  if (source.sentTo !== null) return not('sent_before', `as ${source.sentTo}`)
  if (verdict === null) return not('gone')
  const { refusal, partition, key } = verdict
  if (refusal !== null && !(force && mayBeForced(refusal, message))) {
    return not('refused_again', refusal)
  }
  if (!source.isCovered) return not('unprovable')
  return { letter, state: 'send', detail: refusal, target: { partition, key }, message }
}

/** Leaves what is beyond the limit to a later run; the letters keep their order. */
export function withinLimit(
  planned: readonly PlannedLetter[],
  sendMax: number,
): readonly PlannedLetter[] {
  let left = sendMax
  return planned.map((each) => {
    if (each.state !== 'send') return each
    left -= 1
    return left >= 0 ? each : { ...each, state: 'over_limit', target: null, message: null }
  })
}

function mayBeForced(refusal: RejectReason, { value }: SourceMessage): boolean {
  if (value === null || NEVER_SENT.includes(refusal)) return false
  return !CARD_NUMBER.test(value.toString('latin1'))
}

/** A topic that was made anew holds other messages at the same offsets. */
export function isSameMessage(letter: DeadLetter, { value, timestampMs }: SourceMessage): boolean {
  const payload = value ?? Buffer.alloc(0)
  return (
    payload.length === letter.payloadBytes &&
    timestampMs === letter.timestampMs &&
    sampleOf(payload) === letter.sample
  )
}
