// Currencies of ISO 4217 and their minor units.

/**
 * Currencies of ISO 4217 by minor digits: list one as published by SIX on 2024-06-25 (amendment 176), with the
 * amendments since then up to 2026-01-01 (XCG, XAD), and the withdrawn codes that histories and the rates of the
 * European Central Bank still hold. Codes without a minor unit (metals, XDR, XTS, XXX) are not currencies of payments.
 */
const CODES_BY_DIGITS: readonly (readonly [digits: number, codes: string])[] = [
  [0, 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF'],
  [
    2,
    'AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY ' +
      'COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS ' +
      'INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR ' +
      'MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP ' +
      'STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG',
  ],
  [3, 'BHD IQD JOD KWD LYD OMR TND'],
  [4, 'CLF UYW'],
  // Withdrawn.
  [0, 'BYR TRL'],
  [2, 'ANG BGN CUC CYP EEK HRK LTL LVL MRO MTL ROL SIT SKK SLL STD VEF ZWL'],
]

const MINOR_DIGITS: ReadonlyMap<string, number> = new Map(
  CODES_BY_DIGITS.flatMap(([digits, codes]) =>
    codes.split(' ').map((code): [string, number] => [code, digits]),
  ),
)

/** Digits after the decimal point of this ISO 4217 code, such as 2 for EUR and 0 for JPY; undefined for any other text. */
export function minorDigitsOf(currency: string): number | undefined {
  return MINOR_DIGITS.get(currency)
}
