// Checks beyond the Avro schemas of messages about transactions: labels, watermarks, receipts and dispositions.

import { mentionsCardNumber } from '../card-numbers.ts'
import type { Decoded, RejectReason } from '../reject-reasons.ts'
import type { Label, Watermark } from '../transaction.ts'
import type { Disposition, Receipt } from './records.ts'
import { identifierFault, isTimeMs, optionalIdentifierFault } from './field-checks.ts'

/**
 * The label itself when every field is in range, else the first field that is not. A label may be known
 * before the event time (clocks differ between systems); both must be sane times.
 */
export function validateLabel(label: Label): Decoded<Label> {
  let reason = identifierFault(label.transactionId)
  if (reason !== null) return reject(reason, 'transactionId')
  reason = identifierFault(label.card)
  if (reason !== null) return reject(reason, 'card')
  if (!isTimeMs(label.eventTimeMs)) return reject('out_of_range', 'eventTimeMs')
  if (!isTimeMs(label.knownAtMs)) return reject('out_of_range', 'knownAtMs')
  // A verdict that this version does not know must not count as either one.
  if (label.verdict === 'unknown') return reject('out_of_range', 'verdict')
  reason = optionalIdentifierFault(label.merchant)
  if (reason !== null) return reject(reason, 'merchant')
  reason = optionalIdentifierFault(label.terminal)
  if (reason !== null) return reject(reason, 'terminal')
  reason = optionalIdentifierFault(label.device)
  if (reason !== null) return reject(reason, 'device')
  reason = optionalIdentifierFault(label.ipNetwork)
  if (reason !== null) return reject(reason, 'ipNetwork')
  return { ok: true, value: label }
}

/** The watermark itself when its time is from 2000 to 2100. */
export function validateWatermark(watermark: Watermark): Decoded<Watermark> {
  return isTimeMs(watermark.timeMs)
    ? { ok: true, value: watermark }
    : reject('out_of_range', 'timeMs')
}

/** The receipt itself unless its texts, which subscribers write, hold a card number. */
export function validateReceipt(receipt: Receipt): Decoded<Receipt> {
  for (const field of ['subscriber', 'reason'] as const) {
    if (mentionsCardNumber(receipt[field] ?? '')) return reject('card_number_suspected', field)
  }
  return { ok: true, value: receipt }
}

/** The disposition itself unless its ids, or the texts of a person, hold a card number. */
export function validateDisposition(disposition: Disposition): Decoded<Disposition> {
  for (const field of ['transactionId', 'card'] as const) {
    const reason = identifierFault(disposition[field])
    if (reason === 'card_number_suspected') return reject(reason, field)
  }
  for (const field of ['author', 'reason'] as const) {
    if (mentionsCardNumber(disposition[field])) return reject('card_number_suspected', field)
  }
  return { ok: true, value: disposition }
}

function reject(reason: RejectReason, field: string): Decoded<never> {
  return { ok: false, reason, field }
}
