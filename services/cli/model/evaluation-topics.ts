// Rows for the fairness gate from what a stream has decided: the recorded feature row of each first decision, scored by
// the candidate (a cascade as a whole, with the payments of the card before), beside what labels say. A decision that is old enough and not labelled fraud counts as genuine.

import {
  FEATURE_COUNT,
  FEATURE_LIST_HASH,
  FEATURE_NAMES,
} from '../../core/features/feature-list.ts'
import { recordedBlockOf, type RecordedRow } from '../../core/features/replay-records.ts'
import type { FairnessRule } from '../../core/scoring/fairness.ts'
import { SluiceError } from '../../core/errors.ts'
import type { Transaction } from '../../core/transaction.ts'
import { readToEnd } from '../../platform/kafka/committed-reader.ts'
import type { ControlAccess } from '../../platform/kafka/control-topic.ts'
import { topicName } from '../../platform/kafka/topics.ts'
import { printProgress } from '../command.ts'
import { readBlocks } from '../features/read-blocks.ts'
import { CandidateRows, type GateSource } from './candidate-rows.ts'
import { CardPasts, pastPaymentOf, type PastPayment } from './card-pasts.ts'

/** Transactions whose groups are held in memory. */
const TRANSACTIONS_MAX = 2_000_000

const FIELDS = [
  'country',
  'currency',
  'channel',
  'entryMode',
  'merchantCategory',
  'amountMinor',
] as const
/** A field of a transaction that groups are made by. */
export type Field = (typeof FIELDS)[number]

/** Counts every mature decision. @throws SluiceError SLUICE_INPUT_INVALID for a column that is neither field nor feature. */
export async function countTopics(
  source: GateSource,
  access: ControlAccess,
  matureMs: number,
  signal: AbortSignal,
): Promise<void> {
  const columns = source.rule.groups.map(({ column }) => columnOf(column))
  const frauds = await readFrauds(access, signal)
  const fields = columns.flatMap((column) => (column.kind === 'field' ? [column.field] : []))
  const payments = source.candidate.verifier === null ? null : new Map<string, PastPayment>()
  const held = await readGroups(access, fields, signal, (place, transaction) => {
    payments?.set(place, pastPaymentOf(transaction))
    if ((payments?.size ?? 0) > TRANSACTIONS_MAX) throw tooMany()
  })
  const endMs = held.newestMs - matureMs
  const rows = new CandidateRows(source, payments !== null)
  const pasts = new CardPasts()
  let counted = 0
  await readBlocks(
    access,
    () => true,
    async (block) => {
      const { partition } = block
      const recorded = block.featureListHash === FEATURE_LIST_HASH ? recordedBlockOf(block) : null
      for (const [index, decision] of block.decisions.entries()) {
        const { revision, duplicateOfOffset, offset, eventTimeMs, transactionId } = decision
        if (revision !== 0) continue
        const place = `${partition}/${offset}`
        const payment = payments?.get(place)
        // Those that are not counted were payments of the card all the same.
        const past = payment === undefined ? null : pasts.take(decision, payment)
        if (recorded === null || duplicateOfOffset !== null || eventTimeMs > endMs) continue
        const groups = held.groups.get(place)
        if (fields.length > 0 && groups === undefined) continue
        if (payments !== null && past === null) continue
        const row = recorded.rowAt(index)
        const values = valuesOf(columns, groups ?? [], row)
        counted += 1
        await rows.add(row.values, values, frauds.has(transactionId), past)
      }
    },
    printProgress,
    signal,
  )
  await rows.flush()
  printProgress(
    `${counted} mature decisions, ${rows.notScored} of them not scored by the candidate`,
  )
}

/** The fields of a transaction that a rule groups by. @throws SluiceError SLUICE_INPUT_INVALID for a feature, or an unknown name. */
export function fieldsOf({ groups }: FairnessRule): readonly Field[] {
  return groups.map(({ column }) => {
    const found = columnOf(column)
    if (found.kind === 'field') return found.field
    throw new SluiceError(
      'SLUICE_INPUT_INVALID',
      `The fairness rule groups by the feature "${column}"; a policy is judged by ${FIELDS.join(', ')}.`,
    )
  })
}

type Column =
  | { readonly kind: 'field'; readonly field: Field }
  | { readonly kind: 'feature'; readonly index: number }

function columnOf(name: string): Column {
  const field = FIELDS.find((known) => known === name)
  if (field !== undefined) return { kind: 'field', field }
  const index = FEATURE_NAMES.indexOf(name)
  if (index >= 0) return { kind: 'feature', index }
  throw new SluiceError(
    'SLUICE_INPUT_INVALID',
    `The fairness rule names the column "${name}", which is neither a feature nor one of ${FIELDS.join(', ')}.`,
  )
}

function valuesOf(
  columns: readonly Column[],
  fields: readonly string[],
  { values }: RecordedRow,
): readonly string[] {
  let next = 0
  return columns.map((column) => {
    if (column.kind === 'field') return fields[next++] ?? ''
    const value = column.index < FEATURE_COUNT ? (values[column.index] ?? NaN) : NaN
    return Number.isNaN(value) ? '' : String(value)
  })
}

/** Transactions that the newest label calls fraud. @throws SluiceError SLUICE_INPUT_INVALID when they are too many. */
export async function readFrauds(
  { brokers, security, topicPrefix, codecs }: ControlAccess,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const frauds = new Set<string>()
  const topics = [topicName(topicPrefix, 'labels')]
  await readToEnd(
    { brokers, security, name: 'sluice-model', topics, startAt: 'beginning' },
    ({ messages }) => {
      for (const { value } of messages) {
        const message = codecs.decodeLabelMessage(value)
        if (message.kind !== 'label') continue
        // A later label corrects an earlier one.
        const { transactionId, verdict } = message.value
        if (verdict === 'fraud') frauds.add(transactionId)
        else frauds.delete(transactionId)
        if (frauds.size > TRANSACTIONS_MAX) throw tooMany()
      }
    },
    signal,
  )
  return frauds
}

/** Per transaction the values of the fields, by its place in the log, and each transaction handed over. */
export async function readGroups(
  { brokers, security, topicPrefix, codecs }: ControlAccess,
  fields: readonly Field[],
  signal: AbortSignal,
  onTransaction: (place: string, transaction: Transaction) => void = () => undefined,
): Promise<{ readonly groups: ReadonlyMap<string, readonly string[]>; readonly newestMs: number }> {
  const groups = new Map<string, readonly string[]>()
  let newestMs = -Infinity
  const topics = [topicName(topicPrefix, 'transactions')]
  await readToEnd(
    { brokers, security, name: 'sluice-model', topics, startAt: 'beginning' },
    ({ partition, messages }) => {
      for (const { value, offset } of messages) {
        const message = codecs.decodeTransactionMessage(value)
        if (message.kind !== 'transaction') continue
        newestMs = Math.max(newestMs, message.value.eventTimeMs)
        const place = `${partition}/${offset}`
        onTransaction(place, message.value)
        if (fields.length === 0) continue
        groups.set(
          place,
          fields.map((field) => textOf(message.value, field)),
        )
        if (groups.size > TRANSACTIONS_MAX) throw tooMany()
      }
    },
    signal,
  )
  return { groups, newestMs }
}

/** The field as rules name its values; empty where it is absent. */
export function textOf(transaction: Transaction, field: Field): string {
  return String(transaction[field] ?? '')
}

function tooMany(): SluiceError {
  return new SluiceError(
    'SLUICE_INPUT_INVALID',
    `The topics hold more than ${TRANSACTIONS_MAX} transactions or frauds, which is more than a gate holds in memory; ` +
      'write an evaluation file from the lake instead.',
  )
}
