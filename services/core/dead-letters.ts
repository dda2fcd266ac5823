// Dead letters and the closed list of reasons to reject a message. A dead letter holds no payload: a keyed hash identifies
// it, and in the sample every digit is masked (P8).

import { createHmac } from 'node:crypto'
import type { MappingFault } from './mapping/mapping-fault.ts'
import type { ReceiptFault } from './receipt-join.ts'
import type { DeadLetter } from './wire/records.ts'

/**
 * Reasons for which a message becomes a dead letter. Closed list: also the metric label and the dead letter's reason.
 */
export const REJECT_REASONS = [
  'empty',
  'too_large',
  'not_framed',
  'unknown_schema',
  'unexpected_schema',
  'malformed',
  'missing_field',
  'out_of_range',
  'unknown_currency',
  'card_number_suspected',
  'wrong_partition',
  'event_time_ahead',
  'codec_refused',
] as const

export type RejectReason = (typeof REJECT_REASONS)[number]

/** A decoded value, or the reason and the field of the rejection. Decoders never throw on bad input. */
export type Decoded<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly reason: RejectReason; readonly field: string | null }

const SAMPLE_BYTES = 64

/** A message as received from Kafka. */
export interface RawMessage {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestampMs: number
  readonly value: Buffer | null
}

export function deadLetterOf(
  message: RawMessage,
  reason: RejectReason | ReceiptFault | MappingFault,
  field: string | null,
  hmacKey: string,
  nowMs: number,
): DeadLetter {
  const payload = message.value ?? Buffer.alloc(0)
  return {
    topic: message.topic,
    partition: message.partition,
    offset: message.offset,
    timestampMs: message.timestampMs,
    reason,
    field,
    payloadBytes: payload.length,
    payloadHmac: createHmac('sha256', hmacKey).update(payload).digest(),
    sample: sampleOf(payload),
    decidedAtMs: nowMs,
  }
}

/** The first bytes as ASCII: digits as #, unprintable bytes as a dot. */
export function sampleOf(payload: Buffer): string {
  return Array.from(payload.subarray(0, SAMPLE_BYTES), (byte) => {
    if (byte >= 0x30 && byte <= 0x39) return '#'
    return byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.'
  }).join('')
}
