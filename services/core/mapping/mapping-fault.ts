// Reasons for which a message cannot be mapped, beyond those of every message.

/** Closed list: also the metric label and the dead letter's reason. */
export const MAPPING_FAULTS = [
  'no_rule',
  'not_scalar',
  'bad_time',
  'bad_amount',
  'bad_number',
  'unknown_word',
  'expression_failed',
  'precision_lost',
] as const
export type MappingFault = (typeof MAPPING_FAULTS)[number]
