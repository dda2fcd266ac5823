// What a transaction must hold beyond its Avro schema. Past this point nobody checks it again.

import type { Decoded, RejectReason } from '../reject-reasons.ts'
import type { Transaction } from '../transaction.ts'
import {
  identifierFault,
  isTimeMs,
  isUpperLetters,
  isWithin,
  optionalIdentifierFault,
} from './field-checks.ts'

/** Largest amount, minor units: 10^12. */
export const AMOUNT_MINOR_MAX = 1_000_000_000_000

/** Largest distance of local time from UTC, minutes. */
export const UTC_OFFSET_MINUTES_MAX = 840

/** The transaction itself when every field is in range, else the first field that is not. Hot path. */
export function validateTransaction(transaction: Transaction): Decoded<Transaction> {
  const fault = identifiersFault(transaction) ?? numbersFault(transaction)
  return fault ?? { ok: true, value: transaction }
}

type Fault = Extract<Decoded<never>, { ok: false }>

function identifiersFault(transaction: Transaction): Fault | null {
  let reason = identifierFault(transaction.id)
  if (reason !== null) return reject(reason, 'id')
  reason = identifierFault(transaction.card)
  if (reason !== null) return reject(reason, 'card')
  reason = optionalIdentifierFault(transaction.merchant)
  if (reason !== null) return reject(reason, 'merchant')
  reason = optionalIdentifierFault(transaction.merchantCategory)
  if (reason !== null) return reject(reason, 'merchantCategory')
  reason = optionalIdentifierFault(transaction.terminal)
  if (reason !== null) return reject(reason, 'terminal')
  reason = optionalIdentifierFault(transaction.device)
  if (reason !== null) return reject(reason, 'device')
  reason = optionalIdentifierFault(transaction.ipNetwork)
  if (reason !== null) return reject(reason, 'ipNetwork')
  reason = optionalIdentifierFault(transaction.intentId)
  if (reason !== null) return reject(reason, 'intentId')
  return null
}

function numbersFault(transaction: Transaction): Fault | null {
  const { currency, country, latitude, longitude, utcOffsetMinutes } = transaction
  if (!isTimeMs(transaction.eventTimeMs)) return reject('out_of_range', 'eventTimeMs')
  if (!isWithin(transaction.amountMinor, 0, AMOUNT_MINOR_MAX))
    return reject('out_of_range', 'amountMinor')
  if (currency === '') return reject('missing_field', 'currency')
  if (!isUpperLetters(currency, 3)) return reject('out_of_range', 'currency')
  if (country !== null && !isUpperLetters(country, 2)) return reject('out_of_range', 'country')
  if (latitude !== null && !isWithin(latitude, -90, 90)) return reject('out_of_range', 'latitude')
  if (longitude !== null && !isWithin(longitude, -180, 180))
    return reject('out_of_range', 'longitude')
  if ((latitude === null) !== (longitude === null))
    return reject('missing_field', latitude === null ? 'latitude' : 'longitude')
  if (
    utcOffsetMinutes !== null &&
    !isWithin(utcOffsetMinutes, -UTC_OFFSET_MINUTES_MAX, UTC_OFFSET_MINUTES_MAX)
  )
    return reject('out_of_range', 'utcOffsetMinutes')
  return null
}

function reject(reason: RejectReason, field: string): Fault {
  return { ok: false, reason, field }
}
