// Rows for the fairness gate from what a stream has decided: the recorded feature row of each first decision, scored by
// the candidate (a cascade as a whole, with the payments of the card before), beside what labels say. A decision that is
// old enough and not labelled fraud counts as genuine.

import {
  FEATURE_COUNT,
  FEATURE_LIST_HASH,
  FEATURE_NAMES,
} from '../../core/features/catalogue/feature-list.ts'
import { recordedBatchOf, type RecordedRow } from '../../core/features/provenance/replay-records.ts'
import type { FairnessRule } from '../../core/scoring/fairness.ts'
import { SluiceError } from '../../core/errors.ts'
import type { Transaction } from '../../core/transaction.ts'
import { readToEnd } from '../../platform/kafka/committed-reader.ts'
import type { ControlAccess } from '../../platform/kafka/control-topic.ts'
import { topicName } from '../../platform/kafka/topics.ts'
import { printProgress } from '../command.ts'
import { readBatches } from '../features/read-batches.ts'
import { CandidateRows, type GateSource } from './candidate-rows.ts'
import { CardPasts, pastPaymentOf } from './card-pasts.ts'
import { HELD_MAX, HeldTransactions } from './held-transactions.ts'

/** Frauds that are held in memory. */
const FRAUDS_MAX = 2_000_000

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

export interface TopicsOptions {
  /** Decisions younger than this are not counted. */
  readonly matureMs: number
  /** As the scorer has it. */
  readonly eventAheadMsMax: number
}

/** Counts every mature decision. @throws SluiceError SLUICE_INPUT_INVALID for a column that is neither field nor feature. */
export async function countTopics(
  source: GateSource,
  access: ControlAccess,
  { matureMs, eventAheadMsMax }: TopicsOptions,
  signal: AbortSignal,
): Promise<void> {
  const columns = source.rule.groups.map(({ column }) => columnOf(column))
  const frauds = await readFrauds(access, signal)
  const fields = columns.flatMap((column) => (column.kind === 'field' ? [column.field] : []))
  const isCascade = source.candidate.verifier !== null
  /** Whether anything of the transactions is asked for, beside their times. */
  const isAsked = fields.length > 0 || isCascade
  const { held, newestMs } = await readGroups(
    access,
    { fields, eventAheadMsMax, keepsPayments: isCascade },
    signal,
  )
  const endMs = newestMs - matureMs
  const rows = new CandidateRows(source, isCascade)
  const pasts = new CardPasts()
  let counted = 0
  await readBatches(
    access,
    () => true,
    async (block) => {
      const { partition } = block
      const recorded = block.featureListHash === FEATURE_LIST_HASH ? recordedBatchOf(block) : null
      for (const [index, decision] of block.decisions.entries()) {
        const { revision, duplicateOfOffset, offset, eventTimeMs, transactionId } = decision
        if (revision !== 0) continue
        const place = `${partition}/${offset}`
        const known = held.at(place)
        // Retention may have taken the transaction, or its card is not sampled.
        if (known === undefined && isAsked) continue
        // Those that are not counted were payments of the card all the same.
        const payment = known?.payment ?? null
        const past = payment === null ? null : pasts.take(decision, payment)
        if (recorded === null || duplicateOfOffset !== null || eventTimeMs > endMs) continue
        const row = recorded.rowAt(index)
        const values = valuesOf(columns, known?.values ?? [], row)
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
        if (frauds.size > FRAUDS_MAX) throw tooMany()
      }
    },
    signal,
  )
  return frauds
}

export interface GroupsOptions extends Pick<TopicsOptions, 'eventAheadMsMax'> {
  readonly fields: readonly Field[]
  readonly keepsPayments?: boolean
}

/**
 * What is held of each transaction, by its place in the log, and the newest event time among those that a scorer
 * decides: an event time from the future must not make all others old.
 */
export async function readGroups(
  { brokers, security, topicPrefix, codecs }: ControlAccess,
  { fields, eventAheadMsMax, keepsPayments = false }: GroupsOptions,
  signal: AbortSignal,
): Promise<{ readonly held: HeldTransactions; readonly newestMs: number }> {
  const held = new HeldTransactions()
  let newestMs = -Infinity
  const topics = [topicName(topicPrefix, 'transactions')]
  await readToEnd(
    { brokers, security, name: 'sluice-model', topics, startAt: 'beginning' },
    ({ partition, messages }) => {
      for (const { value, offset, timestamp } of messages) {
        const message = codecs.decodeTransactionMessage(value)
        if (message.kind !== 'transaction') continue
        const transaction = message.value
        if (transaction.eventTimeMs > Number(timestamp) + eventAheadMsMax) continue
        newestMs = Math.max(newestMs, transaction.eventTimeMs)
        if (fields.length === 0 && !keepsPayments) continue
        held.add(`${partition}/${offset}`, transaction.card, () => ({
          values: fields.map((field) => textOf(transaction, field)),
          payment: keepsPayments ? pastPaymentOf(transaction) : null,
        }))
      }
    },
    signal,
  )
  if (held.share < 1) {
    printProgress(
      `the topics hold more than ${HELD_MAX} transactions: one card in ${1 / held.share} is judged`,
    )
  }
  return { held, newestMs }
}

/** The field as rules name its values; empty where it is absent. */
export function textOf(transaction: Transaction, field: Field): string {
  return String(transaction[field] ?? '')
}

function tooMany(): SluiceError {
  return new SluiceError(
    'SLUICE_INPUT_INVALID',
    `The topics hold more than ${FRAUDS_MAX} frauds, which is more than a gate holds in memory; write an evaluation file ` +
      'from the lake instead.',
  )
}
