// Imports labels of files: maps every row, completes the labels with what a lake knows of their transactions, leaves out
// what the topic has, and writes the rest at a bounded rate. Everything is read and judged before the first label is
// written. A label that is in the topic is not written again, so an interrupted import is simply repeated.

import { setTimeout as sleepMs } from 'node:timers/promises'
import type { Clock } from '../../core/clock.ts'
import { SluiceError } from '../../core/errors.ts'
import type {
  FindLabelled,
  LabelledTransaction,
  MapMessage,
} from '../../core/mapping/compile-mapping.ts'
import type { Label } from '../../core/transaction.ts'
import type { Codecs } from '../../core/wire/codecs.ts'
import { readToEnd } from '../../platform/kafka/committed-reader.ts'
import { openKafka } from '../../platform/kafka/kafka-client.ts'
import type { KafkaConnection } from '../../platform/kafka/kafka-connection.ts'
import { explainKafka, kafkaAway } from '../../platform/kafka/kafka-failure.ts'
import { topicName } from '../../platform/kafka/topics.ts'
import { rememberingPartitioner, sendWhole } from '../../platform/kafka/whole-send.ts'
import { findTransactions } from '../../platform/lake/find-transactions.ts'
import { checkFiles, mapFiles } from './label-files.ts'

/** Labels of one import, about 500 MB of them. */
const LABELS_MAX = 1_000_000
const REQUEST_LABELS_MAX = 500
/** Longest time that one request's labels take at the rate asked for, so that slow rates are even. */
const REQUEST_MS = 250
const EXAMPLES_MAX = 10
const CONNECTION_TIMEOUT_MS = 3_000
const RETRY = { initialRetryTime: 50, maxRetryTime: 1_000, retries: 8 } as const
/** The name of the readers of the analyst's role. */
const READER_NAME = 'sluice-queue'
const PROGRESS_MS = 1_000

/** What becomes of a row that is not written. */
export const LEFT_OUT = [
  /** The topic, or an earlier row, has the same label. */
  'repeated',
  /** The filter or a rule of the mapping leaves it out, or it has no verdict. */
  'skipped',
  /** The lake has no such transaction. */
  'unknown',
  /** The lake has the transaction with another card. */
  'other_card',
  /** The topic, or an earlier row, has the other verdict. */
  'other_verdict',
  /** The mapping refuses it. */
  'refused',
] as const
export type LeftOut = (typeof LEFT_OUT)[number]

export interface LabelExample {
  readonly kind: LeftOut
  /** File and line. */
  readonly place: string
  /** What is wrong; holds nothing of the row but the id of its transaction. */
  readonly problem: string
}

export interface LabelImportReport {
  readonly rows: number
  /** Labels in the topic that this run wrote; with `--check`, those that it would write. */
  readonly written: number
  readonly leftOut: Readonly<Record<LeftOut, number>>
  /** Refused rows by reason. */
  readonly refused: Readonly<Record<string, number>>
  /** The first of each kind that needs a look. */
  readonly examples: readonly LabelExample[]
}

export interface LabelImportOptions extends KafkaConnection {
  readonly topicPrefix: string
  readonly codecs: Pick<Codecs, 'label' | 'decodeLabelMessage'>
  readonly files: readonly string[]
  readonly delimiter: string
  /** Compiles the mapping; transactions of labels are found by the function. */
  readonly compile: (find: FindLabelled | null) => MapMessage
  /** Null when nothing is looked up. */
  readonly lakeFolder: string | null
  /** Judges everything and writes nothing. */
  readonly isCheck: boolean
  /** Writes also what contradicts a known verdict, as its correction. */
  readonly corrects: boolean
  /** Writes also labels of transactions that the lake does not have. */
  readonly takesUnknown: boolean
  /** Writes the others although rows are refused. */
  readonly skipsBad: boolean
  readonly labelsPerSecondMax: number
  readonly clock: Clock
  readonly onProgress: (line: string) => void
}

/**
 * @throws SluiceError SLUICE_INPUT_INVALID for a file, for too many labels, or for refused rows unless they are skipped;
 * SLUICE_USAGE without a lake; SLUICE_TOPICS_INVALID, SLUICE_BROKER_UNAVAILABLE or SLUICE_ACCESS_DENIED; the signal's reason
 */
export async function importLabels(
  options: LabelImportOptions,
  signal: AbortSignal,
): Promise<LabelImportReport> {
  await checkFiles(options.files)
  const judged = await new LabelJudge(options).judge(signal)
  const { report, labels } = judged
  await leaveOutKnown(options, labels, report, signal)
  const { refused } = report.leftOut
  if (refused > 0 && !options.skipsBad && !options.isCheck) throw refusedRows(report)
  if (!options.isCheck) await write(options, labels, signal)
  report.written = labels.size
  return report
}

interface FoundLabel {
  readonly place: string
  readonly label: Label
}

/** Report under construction. */
class Report implements LabelImportReport {
  rows = 0
  written = 0
  readonly leftOut: Record<LeftOut, number> = {
    repeated: 0,
    skipped: 0,
    unknown: 0,
    other_card: 0,
    other_verdict: 0,
    refused: 0,
  }
  readonly refused: Record<string, number> = {}
  readonly examples: LabelExample[] = []

  count(kind: LeftOut): void {
    this.leftOut[kind] += 1
  }

  /** Counts what a person should look at. */
  show(kind: LeftOut, place: string, problem: string): void {
    this.count(kind)
    if (this.leftOut[kind] <= EXAMPLES_MAX) this.examples.push({ kind, place, problem })
  }
}

/** Labels by transaction, and what was left out. */
interface Judged {
  readonly labels: Map<string, FoundLabel>
  readonly report: Report
}

class LabelJudge {
  readonly #options: LabelImportOptions
  readonly #nowMs: number

  constructor(options: LabelImportOptions) {
    this.#options = options
    this.#nowMs = options.clock.nowMs()
  }

  async judge(signal: AbortSignal): Promise<Judged> {
    const { lakeFolder, onProgress } = this.#options
    if (lakeFolder === null) return this.#labels(null, signal)
    const ids = await this.#ids(signal)
    onProgress(`looking for ${ids.size} transaction(s) in the lake`)
    return this.#labels(await findTransactions(lakeFolder, ids), signal)
  }

  /** Ids of the transactions whose labels the files have, also of rows that need the lake to be complete. */
  async #ids(signal: AbortSignal): Promise<ReadonlySet<string>> {
    const ids = new Set<string>()
    const map = this.#options.compile((id) => {
      ids.add(id)
      return null
    })
    for await (const { mapped } of this.#rows(map, signal)) {
      if (mapped.kind === 'mapped' && mapped.label !== null) ids.add(mapped.label.transactionId)
      if (ids.size > LABELS_MAX) throw tooMany()
    }
    return ids
  }

  #rows(map: MapMessage, signal: AbortSignal): ReturnType<typeof mapFiles> {
    const { files, delimiter } = this.#options
    return mapFiles({ files, delimiter, map, nowMs: this.#nowMs }, signal)
  }

  async #labels(
    known: ReadonlyMap<string, LabelledTransaction> | null,
    signal: AbortSignal,
  ): Promise<Judged> {
    const report = new Report()
    const labels = new Map<string, FoundLabel>()
    /** Of the row at hand, the id that the lake lacks. */
    const row: { unknownId: string | null } = { unknownId: null }
    const find = (id: string): LabelledTransaction | null => {
      const found = known?.get(id) ?? null
      if (found === null) row.unknownId = id
      return found
    }
    const map = this.#options.compile(known === null ? null : find)
    for await (const { place, mapped } of this.#rows(map, signal)) {
      const { unknownId } = row
      row.unknownId = null
      report.rows += 1
      if (mapped.kind === 'refused') {
        const { reason, field, problem } = mapped
        if (reason === 'missing_field' && unknownId !== null) {
          report.show('unknown', place, unknownProblem(unknownId))
          continue
        }
        report.refused[reason] = (report.refused[reason] ?? 0) + 1
        report.show('refused', place, `${reason}: ${field ?? 'the row'} ${problem}`)
      } else if (mapped.kind === 'skipped' || mapped.label === null) {
        report.count('skipped')
      } else {
        const completed = this.#completed(place, mapped.label, known, report)
        if (completed !== null) take(labels, report, { place, label: completed })
        if (labels.size > LABELS_MAX) throw tooMany()
      }
    }
    return { labels, report }
  }

  /** What the lake knows of the transaction counts more than the file. Null for a label that is left out. */
  #completed(
    place: string,
    label: Label,
    known: ReadonlyMap<string, LabelledTransaction> | null,
    report: Report,
  ): Label | null {
    if (known === null) return label
    const { transactionId } = label
    const transaction = known.get(transactionId)
    if (transaction === undefined) {
      if (this.#options.takesUnknown) return label
      report.show('unknown', place, unknownProblem(transactionId))
      return null
    }
    if (transaction.card !== label.card) {
      report.show('other_card', place, `the lake has ${transactionId} with another card`)
      return null
    }
    const { eventTimeMs, merchant, terminal, device, ipNetwork } = transaction
    return { ...label, eventTimeMs, merchant, terminal, device, ipNetwork }
  }
}

function unknownProblem(transactionId: string): string {
  return `the lake has no transaction ${transactionId}`
}

/** The first label of a transaction stands. */
function take(labels: Map<string, FoundLabel>, report: Report, found: FoundLabel): void {
  const { transactionId, verdict } = found.label
  const earlier = labels.get(transactionId)
  if (earlier === undefined) labels.set(transactionId, found)
  else if (earlier.label.verdict === verdict) report.count('repeated')
  else {
    const problem = `${earlier.place} says that ${transactionId} is ${earlier.label.verdict}`
    report.show('other_verdict', found.place, problem)
  }
}

/** Removes the labels that the topic has. Of several there, the newest says what is known. */
async function leaveOutKnown(
  options: LabelImportOptions,
  labels: Map<string, FoundLabel>,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  const { brokers, security, topicPrefix, codecs, onProgress, corrects } = options
  onProgress('reading the known labels')
  const topics = [topicName(topicPrefix, 'labels')]
  const verdicts = new Map<string, Pick<Label, 'verdict' | 'knownAtMs'>>()
  await readToEnd(
    { brokers, security, name: READER_NAME, topics, startAt: 'beginning' },
    ({ messages }) => {
      for (const { value } of messages) {
        const read = codecs.decodeLabelMessage(value)
        if (read.kind !== 'label') continue
        const { transactionId, verdict, knownAtMs } = read.value
        if (!labels.has(transactionId)) continue
        const earlier = verdicts.get(transactionId)
        if (earlier === undefined || knownAtMs >= earlier.knownAtMs)
          verdicts.set(transactionId, { verdict, knownAtMs })
      }
    },
    signal,
  )
  for (const [transactionId, { verdict }] of verdicts) {
    const found = labels.get(transactionId)
    if (found === undefined) continue
    if (found.label.verdict === verdict) report.count('repeated')
    else if (corrects) continue
    else {
      const problem = `the topic says that ${transactionId} is ${verdict}`
      report.show('other_verdict', found.place, problem)
    }
    labels.delete(transactionId)
  }
}

/** Writes the labels in the order of the files. Resolves when the brokers have all of them. */
async function write(
  options: LabelImportOptions,
  labels: ReadonlyMap<string, FoundLabel>,
  signal: AbortSignal,
): Promise<void> {
  if (labels.size === 0) return
  const { topicPrefix, codecs, labelsPerSecondMax, clock, onProgress } = options
  const producer = openKafka(options, {
    clientId: 'sluice-label-import',
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    retry: RETRY,
  }).producer({
    idempotent: true,
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
    createPartitioner: rememberingPartitioner,
  })
  const topic = topicName(topicPrefix, 'labels')
  const all = [...labels.values()]
  const step = Math.min(
    REQUEST_LABELS_MAX,
    Math.max(1, Math.floor((labelsPerSecondMax * REQUEST_MS) / 1_000)),
  )
  try {
    await producer.connect()
    const startedMs = clock.monotonicMs()
    let toldMs = startedMs
    for (let index = 0; index < all.length; index += step) {
      const dueMs = startedMs + (index / labelsPerSecondMax) * 1_000
      const waitMs = dueMs - clock.monotonicMs()
      if (waitMs > 0) await sleepMs(waitMs, undefined, { signal }).catch(() => undefined)
      signal.throwIfAborted()
      const messages = all
        .slice(index, index + step)
        .map(({ label }) => ({ key: label.card, value: codecs.label.encode(label) }))
      await sendWhole(producer, [{ topic, messages }])
      if (clock.monotonicMs() - toldMs < PROGRESS_MS) continue
      toldMs = clock.monotonicMs()
      onProgress(`${Math.min(index + step, all.length)} of ${all.length} labels written`)
    }
  } catch (error) {
    throw (await explainKafka(options, error)) ?? kafkaAway(options, error) ?? error
  } finally {
    await producer.disconnect().catch(() => undefined)
  }
}

function tooMany(): SluiceError {
  return new SluiceError(
    'SLUICE_INPUT_INVALID',
    `The files have more than ${LABELS_MAX} labels; import them in several parts.`,
  )
}

function refusedRows({ leftOut, examples, refused }: Report): SluiceError {
  const [first] = examples.filter(({ kind }) => kind === 'refused')
  const shown = first === undefined ? '' : `, such as ${first.place} (${first.problem})`
  return new SluiceError(
    'SLUICE_INPUT_INVALID',
    `${leftOut.refused} row(s) are refused${shown}. Nothing was written: correct the mapping or the rows ("--check" ` +
      'lists them), or leave them out with --skip-bad.',
    { details: { refused } },
  )
}
