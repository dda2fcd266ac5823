// The requests and answers of the gateway, as zod schemas: they check requests, and the OpenAPI document is made from
// them.

import { z } from 'zod'
import { AUTHORISATIONS, CHANNELS, ENTRY_MODES } from '../core/transaction.ts'
import { GRADES, MODES, NOT_SCORED, OUTCOMES } from '../core/wire/records.ts'
import {
  AMOUNT_MINOR_MAX,
  ATTRIBUTE_LIMITS,
  IDENTIFIER_CHARACTERS_MAX,
  TIME_MS_MAX,
  TIME_MS_MIN,
  UTC_OFFSET_MINUTES_MAX,
} from '../core/wire/validation.ts'
import { PROBLEM_CODES } from '../platform/http/json-body.ts'
import { FALLBACK_REASONS } from '../platform/metrics/gateway-telemetry.ts'
import { ACTIONS } from './answers.ts'

/** Most transactions of one batch request. */
export const BATCH_TRANSACTIONS_MAX = 256

const identifier = z.string().min(1).max(IDENTIFIER_CHARACTERS_MAX)
const optionalIdentifier = identifier.nullable().default(null)
const timeMs = z.int().min(TIME_MS_MIN).max(TIME_MS_MAX)

/** One transaction. Fields and limits are those of schemas/transaction. */
export const transactionSchema = z.strictObject({
  id: identifier.describe('Unique id; also the idempotency key.'),
  card: identifier.describe('Card token, never a card number.'),
  eventTimeMs: timeMs.describe('When the payment happened, milliseconds UTC.'),
  amountMinor: z
    .int()
    .min(0)
    .max(AMOUNT_MINOR_MAX)
    .describe('Amount in minor units of the currency.'),
  currency: z
    .string()
    .regex(/^[A-Z]{3}$/)
    .describe('ISO 4217 code.'),
  merchant: optionalIdentifier,
  merchantCategory: optionalIdentifier.describe("ISO 18245 code or the caller's own."),
  terminal: optionalIdentifier,
  country: z
    .string()
    .regex(/^[A-Z]{2}$/)
    .nullable()
    .default(null)
    .describe('ISO 3166-1 alpha-2 of the terminal.'),
  latitude: z.number().min(-90).max(90).nullable().default(null).describe('Degrees, WGS 84.'),
  longitude: z.number().min(-180).max(180).nullable().default(null).describe('Degrees, WGS 84.'),
  utcOffsetMinutes: z
    .int()
    .min(-UTC_OFFSET_MINUTES_MAX)
    .max(UTC_OFFSET_MINUTES_MAX)
    .nullable()
    .default(null)
    .describe('Local time minus UTC where the payment happened.'),
  device: optionalIdentifier,
  ipNetwork: optionalIdentifier.describe('Network, not address.'),
  channel: z.enum(CHANNELS).nullable().default(null),
  entryMode: z.enum(ENTRY_MODES).nullable().default(null),
  authorisation: z.enum(AUTHORISATIONS).nullable().default(null),
  intentId: optionalIdentifier.describe('Retries of one purchase share it.'),
  attributes: z
    .record(
      z.string().max(ATTRIBUTE_LIMITS.nameCharactersMax),
      z.union([z.string().max(ATTRIBUTE_LIMITS.textCharactersMax), z.number(), z.boolean()]),
    )
    .nullable()
    .default(null)
    .describe(`Further facts of the payment by name, at most ${ATTRIBUTE_LIMITS.countMax}.`),
})

export const batchSchema = z.strictObject({
  transactions: z.array(transactionSchema).min(1).max(BATCH_TRANSACTIONS_MAX),
})

const reasonSchema = z.strictObject({
  feature: z.string(),
  value: z.number().nullable().describe('Null when the feature was absent.'),
  baseline: z.number(),
  scoreAtBaseline: z.number(),
  text: z.string(),
})

const leaseSchema = z.strictObject({
  grade: z.enum(GRADES),
  startMs: z.int(),
  endMs: z.int().describe('The first millisecond at which the block is over.'),
})

const versionsSchema = z.strictObject({
  model: z.string(),
  modelDigest: z.string(),
  policy: z.int().describe('0 is the built-in policy.'),
  policyDigest: z.string(),
  featureList: z.string().describe('Hash of the feature list.'),
})

/** The decision that stands on the topic `decisions`. */
export const decisionSchema = z.strictObject({
  id: z.string(),
  fallback: z.literal(false),
  outcome: z.enum(OUTCOMES),
  action: z
    .enum(ACTIONS)
    .describe(
      'What the mode of the policy lets the outcome ask for; refuse the payment on "block".',
    ),
  score: z.number().min(0).max(1).nullable().describe('Null when not scored.'),
  notScored: z.enum(NOT_SCORED).nullable(),
  reasons: z.array(reasonSchema),
  annotations: z.array(z.string()),
  segment: z.string().nullable(),
  rules: z.array(z.string()).describe('Matching rules of the policy.'),
  mode: z.enum(MODES).describe('Mode of the policy.'),
  alertId: z.string().nullable(),
  lease: leaseSchema
    .nullable()
    .describe('The block of the card; null unless the action is "block".'),
  versions: versionsSchema,
  decidedAtMs: z.int(),
  partition: z.int(),
  offset: z.int().describe('Offset of the decided message in the topic `transactions`.'),
})
export type DecisionAnswer = z.infer<typeof decisionSchema>

/** The configured outcome, in place of a decision that did not come in time. */
export const fallbackSchema = z.strictObject({
  id: z.string(),
  fallback: z.literal(true),
  fallbackReason: z.enum(FALLBACK_REASONS),
  outcome: z.enum(OUTCOMES),
  action: z.enum(ACTIONS),
})
export type FallbackAnswer = z.infer<typeof fallbackSchema>

export const scoreAnswerSchema = z.discriminatedUnion('fallback', [decisionSchema, fallbackSchema])
export type ScoreAnswer = z.infer<typeof scoreAnswerSchema>

export const problemSchema = z.strictObject({
  type: z.enum(PROBLEM_CODES.map((code) => `urn:sluice:problem:${code}` as const)),
  title: z.string(),
  status: z.int(),
  detail: z.string().describe('What is wrong, and what to do.'),
  field: z.string().optional().describe('The field at fault.'),
})

export const batchAnswerSchema = z.strictObject({
  answers: z
    .array(z.union([scoreAnswerSchema, z.strictObject({ id: z.string(), problem: problemSchema })]))
    .describe('In the order of the request.'),
})
export type BatchAnswer = z.infer<typeof batchAnswerSchema>

export const blockAnswerSchema = z.strictObject({
  blocked: z.boolean(),
  block: z
    .strictObject({
      alertId: z.string(),
      revision: z.int(),
      startMs: z.int(),
      endMs: z.int().describe('The first millisecond at which the block is over.'),
    })
    .nullable(),
})
export type BlockAnswer = z.infer<typeof blockAnswerSchema>
