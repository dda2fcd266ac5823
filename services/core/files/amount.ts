// Decimal amounts of files to minor units, by text alone: no float ever sees an amount.

/** ISO 4217 codes whose minor unit is not a hundredth. */
const DECIMALS: Readonly<Record<string, number>> = {
  BIF: 0,
  CLP: 0,
  DJF: 0,
  GNF: 0,
  ISK: 0,
  JPY: 0,
  KMF: 0,
  KRW: 0,
  PYG: 0,
  RWF: 0,
  UGX: 0,
  VND: 0,
  VUV: 0,
  XAF: 0,
  XOF: 0,
  XPF: 0,
  BHD: 3,
  IQD: 3,
  JOD: 3,
  KWD: 3,
  LYD: 3,
  OMR: 3,
  TND: 3,
}

/** More digits than the largest amount accepted in a message has. */
const WHOLE_DIGITS_MAX = 12
const DECIMAL_AMOUNT = /^(\d+)(?:\.(\d+))?$/

/** An amount in minor units, or what is wrong with the text. */
export type AmountParse =
  | { readonly ok: true; readonly amountMinor: number }
  | { readonly ok: false; readonly problem: string }

/** Reads `1230`, or `1230.0` as tables of floats have it, as that many minor units. */
export function parseMinorAmount(text: string): AmountParse {
  const whole = /^(\d{1,15})(?:\.0+)?$/.exec(text)?.[1]
  if (whole === undefined) {
    return { ok: false, problem: 'is not a number of minor units such as 1234' }
  }
  return { ok: true, amountMinor: Number(whole) }
}

/** How many decimals an amount in this currency may have. */
function decimalsOf(currency: string): number {
  return DECIMALS[currency] ?? 2
}

/** Reads `12.3` as 1230 minor units of a currency with two decimals. Exact. */
export function parseAmount(text: string, currency: string): AmountParse {
  const match = DECIMAL_AMOUNT.exec(text)
  if (match === null) {
    return { ok: false, problem: 'is not an amount such as 12.34 (no sign, no separators)' }
  }
  const whole = match[1] ?? ''
  const fraction = match[2] ?? ''
  const decimals = decimalsOf(currency)
  if (fraction.length > decimals) {
    return { ok: false, problem: `has more than the ${decimals} decimals of ${currency}` }
  }
  if (whole.length > WHOLE_DIGITS_MAX) {
    return { ok: false, problem: `has more than ${WHOLE_DIGITS_MAX} digits` }
  }
  // At most 12 + 3 digits, below 2^53, so the conversion of the digits is exact.
  return { ok: true, amountMinor: Number(whole + fraction.padEnd(decimals, '0')) }
}
