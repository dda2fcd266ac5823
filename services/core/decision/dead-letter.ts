// Dead letters hold no payload: a keyed hash to find it again, and a sample with every digit masked (P8).

import { createHmac } from 'node:crypto'
import type { ReceiptFault } from '../receipt-join.ts'
import type { RejectReason } from '../reject-reasons.ts'
import type { DeadLetter } from '../wire/records.ts'

const SAMPLE_BYTES = 64

/** A message as Kafka gave it. */
export interface RawMessage {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestampMs: number
  readonly value: Buffer | null
}

export function deadLetterOf(
  message: RawMessage,
  reason: RejectReason | ReceiptFault,
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

/** The first bytes as ASCII: digits as #, what is not printable as a dot. */
export function sampleOf(payload: Buffer): string {
  return Array.from(payload.subarray(0, SAMPLE_BYTES), (byte) => {
    if (byte >= 0x30 && byte <= 0x39) return '#'
    return byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.'
  }).join('')
}
