// What would become of a message if it were sent again now: the same checks as in a partition, by this build, with
// the schemas that are registered now.

import type { RateTable } from '../../core/currency.ts'
import { partitionOf, partitionOfAscii } from '../../core/murmur2.ts'
import type { RejectReason } from '../../core/dead-letters.ts'
import type { Codecs } from '../../core/wire/codecs.ts'

/** What the checks need besides the message. */
export interface VerdictOptions {
  readonly codecs: Codecs
  readonly rates: RateTable
  readonly partitionCount: number
  readonly eventAheadMsMax: number
  /** Time stamp that the message would get. */
  readonly sendAtMs: number
}

/** Where it belongs, under which key, and why it would be refused once more (null: it would be decided). */
export interface Verdict {
  readonly refusal: RejectReason | null
  readonly partition: number
  readonly key: Buffer | null
}

/**
 * Judges a message of the transactions or labels topic. A card decides the partition; without one the key does, and
 * a message without either stays where it was.
 */
export function judgeMessage(
  kind: 'transactions' | 'labels',
  message: { readonly key: Buffer | null; readonly value: Buffer | null },
  partition: number,
  options: VerdictOptions,
): Verdict {
  const { codecs, partitionCount } = options
  const decoded =
    kind === 'transactions'
      ? codecs.decodeTransactionMessage(message.value)
      : codecs.decodeLabelMessage(message.value)
  if (decoded.kind === 'transaction' || decoded.kind === 'label') {
    const { card } = decoded.value
    const refusal = decoded.kind === 'transaction' ? refusalOf(decoded.value, options) : null
    return { refusal, partition: partitionOfAscii(card, partitionCount), key: Buffer.from(card) }
  }
  return {
    // A watermark says something about a moment of its replay; said again later it would be wrong.
    refusal: decoded.kind === 'watermark' ? 'unexpected_schema' : decoded.reason,
    partition: message.key === null ? partition : partitionOf(message.key, partitionCount),
    key: message.key,
  }
}

function refusalOf(
  {
    amountMinor,
    currency,
    eventTimeMs,
  }: { readonly amountMinor: number; readonly currency: string; readonly eventTimeMs: number },
  { rates, sendAtMs, eventAheadMsMax }: VerdictOptions,
): RejectReason | null {
  if (rates.toReferenceMinor(amountMinor, currency, eventTimeMs) === null) return 'unknown_currency'
  return eventTimeMs > sendAtMs + eventAheadMsMax ? 'event_time_ahead' : null
}
