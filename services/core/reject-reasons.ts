/** Why a message became a dead letter. Closed list: also the metric label and the dead letter's reason. */
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

/** A decoded value, or the reason and the field why there is none. Decoders never throw on bad input. */
export type Decoded<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly reason: RejectReason; readonly field: string | null }
