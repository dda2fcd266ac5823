// The codec of each subject, with its limits and its checks beyond the schema.

import type { Decoded } from '../reject-reasons.ts'
import type { Label, Transaction, Watermark } from '../transaction.ts'
import { createCodec } from './codec.ts'
import type { Codec } from './codec.ts'
import type {
  Alert,
  Control,
  DeadLetter,
  DecisionBatch,
  Disposition,
  Lease,
  Receipt,
} from './records.ts'
import type { RegistryContent, Subject } from './schema-registry.ts'
import {
  validateDisposition,
  validateLabel,
  validateReceipt,
  validateWatermark,
} from './validate-label.ts'
import { validateTransaction } from './validate-transaction.ts'

const KIB = 1024
const MIB = 1024 * KIB

/** Largest message on the topics that strangers write to, header included. */
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
    decisionBatch: create<DecisionBatch>(
      'decision-batch',
      DECISION_BATCH_BYTES_MAX,
      DECISION_BATCH_ITEMS_MAX,
      acceptAll,
    ),
    alert: output('alert'),
    lease: output('lease'),
    receipt: output('receipt', validateReceipt),
    control: output('control'),
    deadLetter: output('dead-letter'),
    disposition: output('disposition', validateDisposition),
  }
}

function acceptAll<Value>(value: Value): Decoded<Value> {
  return { ok: true, value }
}
