// All codecs with their limits and checks, created once from the content of a schema registry, and the decoders of the
// two input topics, which hold two schemas each, distinguished by schema id.

import { SluiceError } from '../errors.ts'
import type { Decoded, RejectReason } from '../dead-letters.ts'
import type { Label, Transaction, Watermark } from '../transaction.ts'
import { type Codec, createCodec, frameSchemaId, NOT_FRAMED } from './codec.ts'
import { withColumns, withRows } from './feature-columns.ts'
import type {
  Alert,
  Control,
  DeadLetter,
  DecisionBatch,
  Disposition,
  Lease,
  Receipt,
} from './records.ts'
import {
  RECORD_NAMES,
  type RegistryContent,
  type Subject,
  subjectOfSchema,
} from './schema-registry.ts'
import {
  validateDisposition,
  validateLabel,
  validateReceipt,
  validateTransaction,
  validateWatermark,
} from './validation.ts'

const KIB = 1024
const MIB = 1024 * KIB

/** Largest message on the input topics, which others write to, header included. */
export const INPUT_MESSAGE_BYTES_MAX = 64 * KIB

/** Largest decision batch, header included. */
export const DECISION_BATCH_BYTES_MAX = 16 * MIB

/** Largest message of any other subject, header included. */
export const OUTPUT_MESSAGE_BYTES_MAX = MIB

/** Array and map items in one decision batch: 512 decisions with annotations and reasons, many times over. */
export const DECISION_BATCH_ITEMS_MAX = 262_144

/** Array and map items in one message of any other subject. */
export const ITEMS_MAX = 4_096

/** One codec per subject. */
export interface SubjectCodecs {
  readonly transaction: Codec<Transaction>
  readonly label: Codec<Label>
  readonly watermark: Codec<Watermark>
  readonly decisionBatch: Codec<DecisionBatch>
  readonly alert: Codec<Alert>
  readonly lease: Codec<Lease>
  readonly receipt: Codec<Receipt>
  readonly control: Codec<Control>
  readonly deadLetter: Codec<DeadLetter>
  readonly disposition: Codec<Disposition>
}

/**
 * Makes the codecs. `knownIds` holds the schema ids of all subjects, and may grow later.
 * @throws SluiceError SLUICE_SCHEMA_UNKNOWN or SLUICE_SCHEMA_INCOMPATIBLE, as `createCodecs` says.
 */
export function createSubjectCodecs(
  content: RegistryContent,
  knownIds: ReadonlySet<number>,
): SubjectCodecs {
  const create = <Value>(
    subject: Subject,
    messageBytesMax: number,
    itemsMax: number,
    validate: (value: Value) => Decoded<Value>,
  ): Codec<Value> => {
    const versions = content.schemas.filter((schema) => schema.subject === subject)
    return createCodec(versions, knownIds, { subject, messageBytesMax, itemsMax, validate })
  }
  const input = <Value>(
    subject: Subject,
    validate: (value: Value) => Decoded<Value>,
  ): Codec<Value> => create(subject, INPUT_MESSAGE_BYTES_MAX, ITEMS_MAX, validate)
  const output = <Value>(
    subject: Subject,
    validate: (value: Value) => Decoded<Value> = acceptAll,
  ): Codec<Value> => create(subject, OUTPUT_MESSAGE_BYTES_MAX, ITEMS_MAX, validate)

  return {
    transaction: input('transaction', validateTransaction),
    label: input('label', validateLabel),
    watermark: input('watermark', validateWatermark),
    decisionBatch: inColumns(
      create<DecisionBatch>(
        'decision-batch',
        DECISION_BATCH_BYTES_MAX,
        DECISION_BATCH_ITEMS_MAX,
        rowsOfBatch,
      ),
    ),
    alert: output('alert'),
    lease: output('lease'),
    receipt: output('receipt', validateReceipt),
    control: output('control'),
    deadLetter: output('dead-letter'),
    disposition: output('disposition', validateDisposition),
  }
}

function inColumns(codec: Codec<DecisionBatch>): Codec<DecisionBatch> {
  return {
    ...codec,
    encode(batch) {
      const columns = withColumns(batch)
      if (columns !== null) return codec.encode(columns)
      throw new SluiceError(
        'SLUICE_INPUT_INVALID',
        `A decision batch has ${batch.features.length} bytes of features for ${batch.decisions.length} ` +
          `decisions of ${batch.featureCount}; give it one row each.`,
      )
    },
  }
}

function rowsOfBatch(batch: DecisionBatch): Decoded<DecisionBatch> {
  const value = withRows(batch)
  if (value !== null) return { ok: true, value }
  return { ok: false, reason: 'malformed', field: 'features' }
}

function acceptAll<Value>(value: Value): Decoded<Value> {
  return { ok: true, value }
}

/** Most foreign schemas that one process reads; each has a compiled reader. */
export const SCHEMAS_LEARNED_MAX = 256

/** A message that does not belong to its topic; it becomes a dead letter with this reason. */
export interface RejectedMessage {
  readonly kind: 'reject'
  readonly reason: RejectReason
  /** The field at fault, or null when the whole message is. */
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

/** One codec per subject, and the decoders of the input topics. */
export interface Codecs extends SubjectCodecs {
  /** Decodes a value of the transactions topic, validation included. Never throws. Hot path. */
  decodeTransactionMessage(bytes: Uint8Array | null): TransactionMessage
  /** Decodes a value of the labels topic, validation included. Never throws. */
  decodeLabelMessage(bytes: Uint8Array | null): LabelMessage
  /** True when messages with this schema id can be read. */
  knows(schemaId: number): boolean
  /**
   * Also reads messages written with this schema of a registry, such as a producer's own variant. Returns its subject.
   * At most SCHEMAS_LEARNED_MAX are learned. @throws SluiceError SLUICE_SCHEMA_INCOMPATIBLE when it is not one of our
   * records, or cannot be read as the newest version; messages with this id stay rejected.
   */
  learn(schemaId: number, schema: unknown): Subject
}

type Learner = Pick<Codec<unknown>, 'subject' | 'learn'>

/**
 * Creates all codecs. @throws SluiceError SLUICE_SCHEMA_UNKNOWN when a subject has no schema,
 * SLUICE_SCHEMA_INCOMPATIBLE when a schema is not valid or an older version cannot be read as the newest.
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
