// The trusted types. Nothing checks them again after decoding.

export const CHANNELS = ['unknown', 'pos', 'atm', 'ecommerce', 'moto'] as const
export const ENTRY_MODES = [
  'unknown',
  'chip',
  'contactless',
  'magstripe',
  'manual',
  'credential',
] as const
export const AUTHORISATIONS = ['unknown', 'approved', 'declined', 'pending'] as const
export const VERDICTS = ['unknown', 'fraud', 'genuine'] as const
export const LABEL_SOURCES = ['unknown', 'analyst', 'chargeback', 'customer', 'replay'] as const

/** Value of an attribute. */
export type AttributeValue = string | number | boolean

/** Further facts of a payment by name, such as the result of 3-D Secure. */
export type Attributes = Readonly<Record<string, AttributeValue>>

/** One card payment attempt, as in schemas/transaction: field names and shapes are those of the schema. */
export interface Transaction {
  readonly id: string
  /** Card token, never a card number. */
  readonly card: string
  /** Time of the payment, milliseconds UTC. */
  readonly eventTimeMs: number
  /** Minor units of `currency`. */
  readonly amountMinor: number
  /** ISO 4217. */
  readonly currency: string
  readonly merchant: string | null
  readonly merchantCategory: string | null
  readonly terminal: string | null
  /** ISO 3166-1 alpha-2. */
  readonly country: string | null
  /** Degrees, WGS 84. */
  readonly latitude: number | null
  readonly longitude: number | null
  readonly utcOffsetMinutes: number | null
  readonly device: string | null
  readonly ipNetwork: string | null
  readonly channel: (typeof CHANNELS)[number] | null
  readonly entryMode: (typeof ENTRY_MODES)[number] | null
  readonly authorisation: (typeof AUTHORISATIONS)[number] | null
  readonly intentId: string | null
  /** Null for none. */
  readonly attributes: Attributes | null
}

/** Fraud or genuine, counted only from `knownAtMs`. */
export interface Label {
  readonly transactionId: string
  readonly card: string
  readonly eventTimeMs: number
  readonly knownAtMs: number
  readonly verdict: (typeof VERDICTS)[number]
  readonly source: (typeof LABEL_SOURCES)[number]
  readonly merchant: string | null
  readonly terminal: string | null
  readonly device: string | null
  readonly ipNetwork: string | null
}

/** Nothing at or before `timeMs` follows in this partition (aligned replay). */
export interface Watermark {
  readonly timeMs: number
}
