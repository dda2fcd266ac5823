// All codecs, made once from the content of a schema registry, and the decoders of the two input topics,
// which hold two schemas each, told apart by schema id.

import { SluiceError } from '../errors.ts'
import type { Decoded, RejectReason } from '../reject-reasons.ts'
import type { Label, Transaction, Watermark } from '../transaction.ts'
import type { Codec } from './codec.ts'
import { NOT_FRAMED, frameSchemaId } from './framing.ts'
import { RECORD_NAMES, subjectOfSchema } from './schema-registry.ts'
import type { RegistryContent, Subject } from './schema-registry.ts'
import { createSubjectCodecs } from './subject-codecs.ts'
import type { SubjectCodecs } from './subject-codecs.ts'

export type { Codec } from './codec.ts'

/** Foreign schemas that one process reads at most; each keeps a compiled reader. */
export const SCHEMAS_LEARNED_MAX = 256

/** A message that is none of its topic: goes to the dead letters with this reason. */
export interface RejectedMessage {
  readonly kind: 'reject'
  readonly reason: RejectReason
  /** The field at fault, or null when it is the message as a whole. */
  readonly field: string | null
}

/** Nothing at or before `timeMs` follows in this partition. */
export interface WatermarkMessage {
  readonly kind: 'watermark'
  readonly timeMs: number
}

/** A message of the transactions topic. */
export type TransactionMessage =
  { readonly kind: 'transaction'; readonly value: Transaction } | WatermarkMessage | RejectedMessage

/** A message of the labels topic. */
export type LabelMessage =
  { readonly kind: 'label'; readonly value: Label } | WatermarkMessage | RejectedMessage

/** One codec per subject, and what is read from the input topics. */
export interface Codecs extends SubjectCodecs {
  /** Decodes a value of the transactions topic, validation included. Never throws. Hot path. */
  decodeTransactionMessage(bytes: Uint8Array | null): TransactionMessage
  /** Decodes a value of the labels topic, validation included. Never throws. */
  decodeLabelMessage(bytes: Uint8Array | null): LabelMessage
  /** True when messages with this schema id can be read. */
  knows(schemaId: number): boolean
  /**
   * Also reads messages written with this schema of a registry, such as a producer's own variant, and
   * tells which subject it is of. At most SCHEMAS_LEARNED_MAX are learned.
   * @throws SluiceError SLUICE_SCHEMA_INCOMPATIBLE when it is no record of ours, or cannot be read as the
   * newest version; messages with this id stay rejected.
   */
  learn(schemaId: number, schema: unknown): Subject
}

type Learner = Pick<Codec<unknown>, 'subject' | 'learn'>

/**
 * Makes all codecs.
 * @throws SluiceError SLUICE_SCHEMA_UNKNOWN when a subject has no schema, SLUICE_SCHEMA_INCOMPATIBLE when
 * a schema is not valid or an older version cannot be read as the newest.
 */
export function createCodecs(content: RegistryContent): Codecs {
  const knownIds = new Set(content.schemas.map((schema) => schema.id))
  const codecs = createSubjectCodecs(content, knownIds)
  const learners: readonly Learner[] = Object.values<Learner>({ ...codecs })
  const learnedMax = knownIds.size + SCHEMAS_LEARNED_MAX
  return {
    ...codecs,
    decodeTransactionMessage(bytes) {
      if (isWatermark(codecs.watermark, bytes)) return decodeWatermark(codecs.watermark, bytes)
      const decoded = codecs.transaction.decode(bytes)
      return decoded.ok ? { kind: 'transaction', value: decoded.value } : rejected(decoded)
    },
    decodeLabelMessage(bytes) {
      if (isWatermark(codecs.watermark, bytes)) return decodeWatermark(codecs.watermark, bytes)
      const decoded = codecs.label.decode(bytes)
      return decoded.ok ? { kind: 'label', value: decoded.value } : rejected(decoded)
    },
    knows: (schemaId) => knownIds.has(schemaId),
    learn(schemaId, schema) {
      const subject = subjectOfSchema(schema)
      const codec = learners.find((learner) => learner.subject === subject)
      if (codec === undefined) throw foreign(schemaId)
      if (knownIds.has(schemaId)) return codec.subject
      if (knownIds.size >= learnedMax) throw tooMany(schemaId)
      codec.learn(schemaId, schema)
      knownIds.add(schemaId)
      return codec.subject
    },
  }
}

function isWatermark(watermark: Codec<Watermark>, bytes: Uint8Array | null): boolean {
  if (bytes === null) return false
  const schemaId = frameSchemaId(bytes)
  return schemaId !== NOT_FRAMED && watermark.reads(schemaId)
}

function decodeWatermark(
  watermark: Codec<Watermark>,
  bytes: Uint8Array | null,
): WatermarkMessage | RejectedMessage {
  const decoded = watermark.decode(bytes)
  return decoded.ok ? { kind: 'watermark', timeMs: decoded.value.timeMs } : rejected(decoded)
}

function rejected(decoded: Extract<Decoded<never>, { ok: false }>): RejectedMessage {
  return { kind: 'reject', reason: decoded.reason, field: decoded.field }
}

function foreign(schemaId: number): SluiceError {
  return new SluiceError(
    'SLUICE_SCHEMA_INCOMPATIBLE',
    `Schema ${schemaId} is none of ${Object.values(RECORD_NAMES).join(', ')}; ` +
      'name the record as in schemas/, or keep its messages out of these topics.',
  )
}

function tooMany(schemaId: number): SluiceError {
  return new SluiceError(
    'SLUICE_SCHEMA_INCOMPATIBLE',
    `Schema ${schemaId} is one more than the ${SCHEMAS_LEARNED_MAX} foreign schemas that are read; ` +
      'have producers share schemas.',
  )
}
