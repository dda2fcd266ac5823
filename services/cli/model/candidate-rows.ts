// Scores rows with the candidate, a matrix at a time, and counts the alerts.

import assert from 'node:assert/strict'
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { CsvError, parse } from 'csv-parse'
import { SluiceError } from '../../core/errors.ts'
import {
  FEATURE_COUNT,
  FEATURE_LIST_HASH,
  FEATURE_NAMES,
} from '../../core/features/catalogue/feature-list.ts'
import { SEQUENCE_LENGTH, writeSequence } from '../../core/features/engine/card-sequence.ts'
import { FEATURE_PLAN } from '../../core/features/engine/partition-fold.ts'
import { type RecordedRow, recordedBatchOf } from '../../core/features/provenance/replay-records.ts'
import {
  type CardEvent,
  blankCardEvent,
  cardEventOf,
} from '../../core/features/state/card-event.ts'
import { CardHistory } from '../../core/features/state/card-history.ts'
import { hashOf } from '../../core/id-hash.ts'
import { scoreCascade } from '../../core/scoring/cascade.ts'
import type { FairnessCounts, FairnessRule } from '../../core/scoring/fairness.ts'
import type { ScoringModel } from '../../core/scoring/scoring-model.ts'
import type { Transaction } from '../../core/transaction.ts'
import type { DecisionRecord } from '../../core/wire/records.ts'
import { readToEnd } from '../../platform/kafka/committed-reader.ts'
import type { ControlAccess } from '../../platform/kafka/control-topic.ts'
import { topicName } from '../../platform/kafka/topics.ts'
import { SEQUENCE_COLUMNS } from '../../trainer/index.ts'
import { printProgress } from '../command.ts'
import { readBatches } from '../features/export-rows.ts'
import { configuredRates } from '../../platform/config/rates-setting.ts'

const ROWS_AT_ONCE = 2_048

/** Candidate, rule and counts of a gate. */
interface GateSource {
  readonly candidate: ScoringModel
  readonly rule: FairnessRule
  readonly counts: FairnessCounts
}

/** Input of the second stage besides the features. */
interface RowPast {
  /** Minor units of the reference currency. */
  readonly amountMinor: number
  /** SEQUENCE_LENGTH numbers: the card's earlier payments (see writeSequence). */
  readonly sequence: Float64Array
}

class CandidateRows {
  readonly #source: GateSource
  readonly #matrix = new Float64Array(ROWS_AT_ONCE * FEATURE_COUNT)
  readonly #sequences = new Float64Array(ROWS_AT_ONCE * SEQUENCE_LENGTH)
  readonly #amountsMinor = new Float64Array(ROWS_AT_ONCE)
  /** True when every row has earlier payments, so that a cascade scores as a whole. */
  readonly #hasPast: boolean
  #waiting: { readonly values: readonly string[]; readonly isFraud: boolean }[] = []
  /** Rows without a score, which are not counted. */
  notScored = 0

  constructor(source: GateSource, hasPast = false) {
    this.#source = source
    this.#hasPast = hasPast
  }

  /** Copies `row` and `past`. */
  async add(
    row: Float64Array,
    values: readonly string[],
    isFraud: boolean,
    past: RowPast | null = null,
  ): Promise<void> {
    const at = this.#waiting.length
    this.#matrix.set(row, at * FEATURE_COUNT)
    if (past !== null) {
      this.#sequences.set(past.sequence, at * SEQUENCE_LENGTH)
      this.#amountsMinor[at] = past.amountMinor
    }
    this.#waiting.push({ values, isFraud })
    if (this.#waiting.length === ROWS_AT_ONCE) await this.flush()
  }

  /** Must be called at the end. */
  async flush(): Promise<void> {
    const waiting = this.#waiting
    this.#waiting = []
    if (waiting.length === 0) return
    const { candidate } = this.#source
    const rows = {
      rows: this.#matrix,
      sequences: this.#sequences,
      amountsMinor: this.#amountsMinor,
    }
    const scores = this.#hasPast
      ? (await scoreCascade(candidate, rows, waiting.length)).scores
      : await candidate.score(this.#matrix, waiting.length)
    for (const [index, { values, isFraud }] of waiting.entries()) {
      const score = scores[index]
      assert(score !== undefined, 'A model answers for every row, be it NaN.')
      if (Number.isNaN(score)) this.notScored += 1
      else countScore(this.#source, score, values, isFraud)
    }
  }
}

/** Counts one row by its score. */
function countScore(
  { candidate: { info }, rule, counts }: GateSource,
  score: number,
  values: readonly string[],
  isFraud: boolean,
): void {
  const threshold = rule.threshold === 'block' ? info.blockThreshold : info.flagThreshold
  counts.add(values, isFraud, score >= threshold)
}

// Rows for the fairness gate from the decisions of a stream: the recorded feature row of each first decision, scored by
// the candidate (a cascade as a whole, with the card's earlier payments), together with its label. A decision that is
// old enough and not labelled fraud counts as genuine.

/** Most frauds in memory. */
const FRAUDS_MAX = 2_000_000

const FIELDS = [
  'country',
  'currency',
  'channel',
  'entryMode',
  'merchantCategory',
  'amountMinor',
] as const
/** A field of a transaction by which rows are grouped. */
type Field = (typeof FIELDS)[number]

interface TopicsOptions {
  /** Decisions younger than this are not counted. */
  readonly matureMs: number
  /** Equals the scorer's setting. */
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
  /** True when the transactions are needed for more than their times. */
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
        // Retention may have removed the transaction, or its card is not sampled.
        if (known === undefined && isAsked) continue
        // A decision that is not counted was still a payment of the card.
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

/**
 * The fields of a transaction by which a rule groups. @throws SluiceError SLUICE_INPUT_INVALID for a feature, or an
 * unknown name.
 */
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
    const value = column.index < FEATURE_COUNT ? values[column.index] : undefined
    return value === undefined || Number.isNaN(value) ? '' : String(value)
  })
}

/** Transactions whose newest label is fraud. @throws SluiceError SLUICE_INPUT_INVALID when there are too many. */
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

interface GroupsOptions extends Pick<TopicsOptions, 'eventAheadMsMax'> {
  readonly fields: readonly Field[]
  readonly keepsPayments?: boolean
}

/**
 * The transactions by position in the log, and the newest event time among those that a scorer decides: an event time
 * from the future must not make all others old.
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

/** The field as rules name its values; empty when it is absent. */
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

// Rows for the fairness gate from a CSV file: `fraud` (0 or 1), the columns of the rule, and either `score`, or every
// feature by its name, which the candidate then scores. With columns for the earlier payments, named as in the
// evaluation rows of a model folder, a cascade scores as a whole; without them only its first stage does.

const ROW_BYTES_MAX = 65_536
const [AMOUNT_COLUMN = ''] = SEQUENCE_COLUMNS

interface Columns {
  readonly fraud: number
  readonly groups: readonly number[]
  /** Null when the candidate scores the features. */
  readonly score: number | null
  readonly features: readonly number[]
  /** The amount, then the earlier payments; null without them. */
  readonly past: readonly number[] | null
}

/** Origin of the scores: the file, the whole candidate, or the first stage of a cascade. */
type ScoredBy = 'file' | 'whole' | 'draft'

/** Counts every row. @throws SluiceError SLUICE_INPUT_INVALID naming file, line and column. */
export async function countFile(source: GateSource, file: string): Promise<ScoredBy> {
  let rows = new CandidateRows(source)
  let columns: Columns | null = null
  let line = 0
  for await (const cells of readRows(file)) {
    line += 1
    if (columns === null) {
      columns = columnsOf(cells, source, file)
      rows = new CandidateRows(source, columns.past !== null)
      continue
    }
    const where = `${file}, row ${line}`
    const values = columns.groups.map((at) => cells[at] ?? '')
    const isFraud = fraudOf(cells[columns.fraud], where)
    if (columns.score !== null) {
      countScore(source, numberOf(cells[columns.score], 'score', where), values, isFraud)
      continue
    }
    const row = new Float64Array(FEATURE_COUNT)
    for (const [feature, at] of columns.features.entries()) {
      const cell = cells[at] ?? ''
      row[feature] = cell === '' ? NaN : numberOf(cell, FEATURE_NAMES[feature] ?? '', where)
    }
    await rows.add(row, values, isFraud, pastOf(columns, cells, where))
  }
  await rows.flush()
  if (columns === null || columns.score !== null) return 'file'
  return source.candidate.verifier === null || columns.past !== null ? 'whole' : 'draft'
}

function pastOf({ past }: Columns, cells: readonly string[], where: string): RowPast | null {
  if (past === null) return null
  const [amountAt = 0, ...places] = past
  return {
    amountMinor: numberOf(cells[amountAt], AMOUNT_COLUMN, where),
    sequence: Float64Array.from(places, (at, index) => {
      const cell = cells[at] ?? ''
      return cell === '' ? NaN : numberOf(cell, SEQUENCE_COLUMNS[index + 1] ?? '', where)
    }),
  }
}

async function* readRows(file: string): AsyncGenerator<readonly string[]> {
  const parser = parse({ bom: true, skip_empty_lines: true, max_record_size: ROW_BYTES_MAX })
  const bytes = createReadStream(file)
  const done = (): void => undefined
  if (file.endsWith('.gz')) pipeline(bytes, createGunzip(), parser, done)
  else pipeline(bytes, parser, done)
  try {
    for await (const cells of parser) yield cells as readonly string[]
  } catch (error) {
    if (error instanceof SluiceError) throw error
    const problem = error instanceof Error ? error.message : String(error)
    const what = error instanceof CsvError ? 'is no CSV' : 'cannot be read'
    throw invalid(`${file} ${what}: ${problem}`, error)
  }
}

function columnsOf(header: readonly string[], { rule }: GateSource, file: string): Columns {
  const place = (name: string): number => {
    const at = header.indexOf(name)
    if (at < 0) throw invalid(`${file} has no column "${name}"; it has ${header.join(', ')}`)
    return at
  }
  const score = header.indexOf('score')
  return {
    fraud: place('fraud'),
    groups: rule.groups.map(({ column }) => place(column)),
    score: score < 0 ? null : score,
    features: score < 0 ? FEATURE_NAMES.map(place) : [],
    past: score < 0 && header.includes(AMOUNT_COLUMN) ? SEQUENCE_COLUMNS.map(place) : null,
  }
}

function fraudOf(cell: string | undefined, where: string): boolean {
  if (cell === '1' || cell === 'true') return true
  if (cell === '0' || cell === 'false') return false
  throw invalid(`${where}: fraud is "${cell ?? ''}", but must be 0 or 1`)
}

function numberOf(cell: string | undefined, column: string, where: string): number {
  const value = cell === undefined || cell.trim() === '' ? NaN : Number(cell)
  if (Number.isNaN(value))
    throw invalid(`${where}: ${column} is "${cell ?? ''}", but must be a number`)
  return value
}

function invalid(problem: string, cause?: unknown): SluiceError {
  return new SluiceError('SLUICE_INPUT_INVALID', `${problem}.`, { cause })
}

// The transactions of a stream that a gate needs, in bounded memory. Above the limit, those of a random sample of cards
// are kept, independent of the order of arrival. A card is kept whole or not at all, since its decisions depend on its
// earlier payments.

/** Most transactions in memory. */
const HELD_MAX = 2_000_000

const REFERENCES = 2 ** 48
const DRAW_SALT = 'held/'

interface HeldTransaction {
  /** Values of the grouping fields, in order. */
  readonly values: readonly string[]
  /** Null when earlier payments are not needed. */
  readonly payment: PastPayment | null
}

export class HeldTransactions {
  readonly #max: number
  readonly #byPlace = new Map<string, HeldTransaction & { readonly draw: number }>()
  /** Share of the cards whose transactions are kept: 1, halved each time the limit is exceeded. */
  share = 1

  constructor(max = HELD_MAX) {
    this.#max = max
  }

  /** `made` is called only for a card that is kept. */
  add(place: string, card: string, made: () => HeldTransaction): void {
    const draw = hashOf(DRAW_SALT + card) / REFERENCES
    if (draw >= this.share) return
    this.#byPlace.set(place, { ...made(), draw })
    while (this.#byPlace.size > this.#max) this.#halve()
  }

  at(place: string): HeldTransaction | undefined {
    return this.#byPlace.get(place)
  }

  get size(): number {
    return this.#byPlace.size
  }

  #halve(): void {
    this.share /= 2
    for (const [place, { draw }] of this.#byPlace) {
      if (draw >= this.share) this.#byPlace.delete(place)
    }
  }
}

// Earlier payments of cards before each decision, from the transactions topic. A cascade scores a decision as a whole,
// with the payments that its large net would have read then.

/** Fields that a sequence does not read are blank. */
const BLANK: CardEvent = {
  ...blankCardEvent(),
  ...{ intentHash: 0, merchantHash: 0, terminalHash: 0, deviceHash: 0, networkHash: 0 },
}

/** Events of a card between two compactions. */
const COMPACT_EVENTS = 128

/** The fields of a transaction that a sequence reads; few, because many are held. */
type PastPayment = Pick<
  CardEvent,
  'timeMs' | 'amountMinor' | 'idHash' | 'categoryHash' | 'utcOffsetMinutes'
>

export function pastPaymentOf(transaction: Transaction): PastPayment {
  const { timeMs, amountMinor, idHash, categoryHash, utcOffsetMinutes } = cardEventOf(
    transaction,
    0,
    configuredRates(),
  )
  return { timeMs, amountMinor, idHash, categoryHash, utcOffsetMinutes }
}

/** Accepts first decisions in offset order, as the partition did. */
export class CardPasts {
  readonly #cards = new Map<string, { readonly history: CardHistory; compactAt: number }>()

  /** The card's payments before this decision, which is then added to them. A repeated transaction is not added. */
  take(
    { card, offset, duplicateOfOffset, annotations }: DecidedPayment,
    payment: PastPayment,
  ): RowPast {
    let known = this.#cards.get(card)
    if (known === undefined) {
      known = { history: new CardHistory(), compactAt: COMPACT_EVENTS }
      this.#cards.set(card, known)
    }
    const { history } = known
    const sequence = new Float64Array(SEQUENCE_LENGTH)
    writeSequence(history, payment.timeMs, payment.idHash, offset, {
      values: sequence,
      position: 0,
    })
    // Leaves out what the partition does not remember either. Without its state it cannot detect repeats.
    const isRepeated = duplicateOfOffset !== null || history.indexOfId(payment.idHash) >= 0
    if (!isRepeated && !annotations.includes('behind_reach')) {
      history.insert({ ...BLANK, ...payment, offset }, false, FEATURE_PLAN.card.kept)
    }
    if (history.count >= known.compactAt) {
      history.compact(offset + 1)
      known.compactAt = history.count + COMPACT_EVENTS
    }
    return { amountMinor: payment.amountMinor, sequence }
  }
}

type DecidedPayment = Pick<DecisionRecord, 'card' | 'offset' | 'duplicateOfOffset' | 'annotations'>
