// Records to rows of the lake, cell by cell in the order of LAKE_COLUMNS; and rows back to transactions and labels.

import {
  FEATURE_COUNT,
  FEATURE_LIST_HASH,
  FEATURE_NAMES,
} from '../features/catalogue/feature-list.ts'
import { STATE } from '../features/engine/feature-states.ts'
import { recordedBlockOf } from '../features/provenance/replay-records.ts'
import {
  AUTHORISATIONS,
  CHANNELS,
  ENTRY_MODES,
  LABEL_SOURCES,
  VERDICTS,
  type Label,
  type Transaction,
} from '../transaction.ts'
import type { DeadLetter, DecisionBlock } from '../wire/records.ts'
import type { LakeRow, LakeValue } from './lake-tables.ts'

/** Where a row stands in its log. */
export interface RowPlace {
  readonly partition: number
  readonly offset: number
  /** Time stamp of the record; null for what did not come from a topic. */
  readonly sentAtMs: number | null
}

/** A row and the time that says on which day it is. */
export interface TimedLakeRow {
  readonly timeMs: number
  readonly row: LakeRow
}

export function transactionRow(place: RowPlace, of: Transaction): TimedLakeRow {
  const row = [
    place.partition,
    place.offset,
    place.sentAtMs,
    of.id,
    of.card,
    of.eventTimeMs,
    of.amountMinor,
    of.currency,
    of.merchant,
    of.merchantCategory,
    of.terminal,
    of.country,
    of.latitude,
    of.longitude,
    of.utcOffsetMinutes,
    of.device,
    of.ipNetwork,
    of.channel,
    of.entryMode,
    of.authorisation,
    of.intentId,
  ]
  return { timeMs: of.eventTimeMs, row }
}

export function labelRow(place: RowPlace, of: Label): TimedLakeRow {
  const row = [
    place.partition,
    place.offset,
    place.sentAtMs,
    of.transactionId,
    of.card,
    of.eventTimeMs,
    of.knownAtMs,
    of.verdict,
    of.source,
    of.merchant,
    of.terminal,
    of.device,
    of.ipNetwork,
  ]
  return { timeMs: of.eventTimeMs, row }
}

export function deadLetterRow(place: RowPlace, of: DeadLetter): TimedLakeRow {
  const row = [
    place.partition,
    place.offset,
    of.topic,
    of.partition,
    of.offset,
    of.timestampMs,
    of.reason,
    of.field,
    of.payloadBytes,
    hexOf(of.payloadHmac),
    of.sample,
    of.decidedAtMs,
  ]
  return { timeMs: of.timestampMs, row }
}

/** One row for each decision of the block, which stands at `blockOffset` of the decisions topic. */
export function decisionRows(blockOffset: number, block: DecisionBlock): readonly TimedLakeRow[] {
  const isOurList =
    block.featureListHash === FEATURE_LIST_HASH && block.featureCount === FEATURE_COUNT
  const recorded = recordedBlockOf(block)
  return block.decisions.map((decision, index) => {
    const { values, states } = recorded.rowAt(index)
    const row: LakeValue[] = [
      block.partition,
      decision.offset,
      decision.revision,
      blockOffset,
      block.decidedAtMs,
      decision.transactionId,
      decision.card,
      decision.eventTimeMs,
      decision.amountMinor,
      decision.currency,
      decision.outcome,
      decision.score,
      decision.notScored,
      decision.duplicateOfOffset,
      decision.marks,
      JSON.stringify(decision.reasons),
      decision.entityAgeMs,
      decision.causeOffset,
      block.streamId,
      block.mode,
      block.alignment,
      block.modelVersion,
      block.modelDigest,
      block.policyDigest,
      block.policyVersion,
      decision.segment,
      decision.rules,
      block.backend,
      block.featureListHash,
    ]
    if (isOurList) {
      for (const value of values) row.push(Number.isNaN(value) ? null : value)
      row.push(namesInState(states, STATE.expired), namesInState(states, STATE.degraded), null)
    } else {
      for (let at = 0; at < FEATURE_COUNT; at += 1) row.push(null)
      const others = Array.from(values, (value) => (Number.isNaN(value) ? null : value))
      row.push(null, null, others)
    }
    return { timeMs: decision.eventTimeMs, row }
  })
}

/** The transaction that `transactionRow` made the row of. @throws TypeError when the row is none. */
export function transactionOfRow(row: LakeRow): Transaction {
  const cell = (index: number): LakeValue => row[index] ?? null
  return {
    id: textOf(cell(3)),
    card: textOf(cell(4)),
    eventTimeMs: numberOf(cell(5)),
    amountMinor: numberOf(cell(6)),
    currency: textOf(cell(7)),
    merchant: textOrNull(cell(8)),
    merchantCategory: textOrNull(cell(9)),
    terminal: textOrNull(cell(10)),
    country: textOrNull(cell(11)),
    latitude: numberOrNull(cell(12)),
    longitude: numberOrNull(cell(13)),
    utcOffsetMinutes: numberOrNull(cell(14)),
    device: textOrNull(cell(15)),
    ipNetwork: textOrNull(cell(16)),
    channel: wordOrNull(cell(17), CHANNELS),
    entryMode: wordOrNull(cell(18), ENTRY_MODES),
    authorisation: wordOrNull(cell(19), AUTHORISATIONS),
    intentId: textOrNull(cell(20)),
  }
}

/** The label that `labelRow` made the row of. @throws TypeError when the row is none. */
export function labelOfRow(row: LakeRow): Label {
  const cell = (index: number): LakeValue => row[index] ?? null
  return {
    transactionId: textOf(cell(3)),
    card: textOf(cell(4)),
    eventTimeMs: numberOf(cell(5)),
    knownAtMs: numberOf(cell(6)),
    verdict: wordOf(cell(7), VERDICTS),
    source: wordOf(cell(8), LABEL_SOURCES),
    merchant: textOrNull(cell(9)),
    terminal: textOrNull(cell(10)),
    device: textOrNull(cell(11)),
    ipNetwork: textOrNull(cell(12)),
  }
}

/** Null when no feature is in the state, which is nearly always. */
function namesInState(states: Uint8Array, state: number): readonly string[] | null {
  if (!states.includes(state)) return null
  return FEATURE_NAMES.filter((_, index) => states[index] === state)
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

function textOf(value: LakeValue): string {
  if (typeof value === 'string') return value
  throw new TypeError('The row lacks a text that it must have.')
}

function textOrNull(value: LakeValue): string | null {
  return value === null ? null : textOf(value)
}

function numberOf(value: LakeValue): number {
  if (typeof value === 'number') return value
  throw new TypeError('The row lacks a number that it must have.')
}

function numberOrNull(value: LakeValue): number | null {
  return value === null ? null : numberOf(value)
}

function wordOf<Word extends string>(value: LakeValue, words: readonly Word[]): Word {
  const found = words.find((word) => word === value)
  if (found === undefined) throw new TypeError(`The row has none of ${words.join(', ')}.`)
  return found
}

function wordOrNull<Word extends string>(value: LakeValue, words: readonly Word[]): Word | null {
  return value === null ? null : wordOf(value, words)
}
