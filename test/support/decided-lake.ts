// A lake with decisions, without Kafka: simulated transactions with features by the real fold, scores by a simple rule of
// the test, and outcomes by thresholds.

import type { TestContext } from 'node:test'
import { DEFAULT_RATES } from '../../services/core/rates/default-rates.ts'
import { outcomeOf, type Thresholds } from '../../services/core/decision/decide.ts'
import {
  FEATURE_COUNT,
  FEATURE_LIST_HASH,
  FEATURE_NAMES,
} from '../../services/core/features/catalogue/feature-list.ts'
import { HistoryFold } from '../../services/core/features/engine/history-fold.ts'
import { partitionKey } from '../../services/core/lake/lake-log.ts'
import { decisionRows } from '../../services/core/lake/lake-tables.ts'
import type { Transaction } from '../../services/core/transaction.ts'
import type { DecisionBatch, DecisionRecord, Outcome } from '../../services/core/wire/records.ts'
import { openDuckDb } from '../../services/platform/lake/duckdb.ts'
import type { LakeWriter } from '../../services/platform/lake/lake-writer.ts'
import { RowBuffer, stageBuffer } from '../../services/platform/lake/stage-files.ts'
import { type StreamEvent } from '../../services/producer/index.ts'
import { simulate } from '../../tools/simulator/simulate.ts'
import { addEvents, openFolder, openWriter } from './lake.ts'

export const MODEL_DIGEST = 'ab'.repeat(32)
export const BLOCK_ROWS = 500
const BUILT_IN = { digest: 'cd'.repeat(32), version: 0 }

/** One decision with all of its inputs. */
export interface DecidedSample {
  readonly transaction: Transaction
  readonly offset: number
  readonly row: Float64Array
  /** NaN means not scored. */
  readonly score: number
  readonly outcome: Outcome
  readonly annotations: readonly string[]
  readonly duplicateOfOffset: number | null
}

/** Policy that decided a batch, by the offset of its first transaction. */
export type DecidingPolicy = (firstOffset: number) => {
  readonly digest: string
  readonly version: number
}

export interface DecidedLakeOptions {
  readonly transactions?: number
  readonly cards?: number
  readonly thresholds?: Thresholds
  readonly featureListHash?: string
  readonly policy?: DecidingPolicy
  /** Changes the events before they are decided. */
  readonly change?: (events: readonly StreamEvent[]) => readonly StreamEvent[]
}

export interface DecidedLake {
  readonly folder: string
  readonly events: readonly StreamEvent[]
  readonly samples: readonly DecidedSample[]
}

/** Larger amounts and busier cards score higher. For tests only. */
export function testScore(row: Float64Array, referenceMinor: number): number {
  const often = row[FEATURE_NAMES.indexOf('card_count_1h')] ?? NaN
  return Math.min(1, referenceMinor / 40_000 + (Number.isNaN(often) ? 0 : often / 20))
}

/** Decides the events as one partition; every hundredth transaction has no score. */
export function decide(
  events: readonly StreamEvent[],
  thresholds: Thresholds,
): readonly DecidedSample[] {
  const fold = new HistoryFold({ rates: DEFAULT_RATES })
  const samples: DecidedSample[] = []
  for (const event of events) {
    if (event.kind === 'label') {
      fold.label(event.label)
      continue
    }
    const { transaction } = event
    const row = new Float64Array(FEATURE_COUNT)
    const { amountMinor, annotations, duplicateOfOffset } = fold.transaction(transaction, row, 0)
    const offset = samples.length
    const score = offset % 100 === 99 ? NaN : testScore(row, amountMinor)
    const outcome = Number.isNaN(score) ? 'flag' : outcomeOf(score, thresholds)
    samples.push({ transaction, offset, row, score, outcome, annotations, duplicateOfOffset })
  }
  return samples
}

/** Creates the lake, which is deleted after the test. */
export async function decidedLake(
  t: TestContext,
  {
    transactions = 3_000,
    cards = 150,
    thresholds = { flag: 0.5, block: 0.8 },
    featureListHash = FEATURE_LIST_HASH,
    policy = () => BUILT_IN,
    change = (events) => events,
  }: DecidedLakeOptions = {},
): Promise<DecidedLake> {
  const folder = await openFolder(t)
  const crowd = { cards, terminals: 40, merchants: 30, fraudShare: 0.05 }
  const events = change([...simulate({ seed: 11, ...crowd, transactionsMax: transactions })])
  const samples = decide(events, thresholds)
  const writer = await openWriter(folder)
  await addEvents(writer, events, 0)
  await addDecisions(writer, samples, featureListHash, policy)
  await writer.close()
  return { folder, events, samples }
}

async function addDecisions(
  writer: LakeWriter,
  samples: readonly DecidedSample[],
  featureListHash: string,
  policy: DecidingPolicy,
): Promise<void> {
  const session = await openDuckDb(null)
  try {
    const buffer = await RowBuffer.open(session, 'decisions', 'decisions')
    for (let first = 0; first < samples.length; first += BLOCK_ROWS) {
      const decidedBy = policy(first)
      const block = blockOf(samples.slice(first, first + BLOCK_ROWS), featureListHash, decidedBy)
      for (const { timeMs, row } of decisionRows(first, block)) buffer.add(0, first, timeMs, row)
    }
    const commit = writer.state.sequence + 1
    const { staged } = await stageBuffer(session, writer.staging, buffer, commit)
    const next = { [partitionKey('decisions', 0)]: samples.length }
    await writer.commit({ kind: 'ingest', staged, next })
  } finally {
    await session.close()
  }
}

function blockOf(
  samples: readonly DecidedSample[],
  featureListHash: string,
  policy: ReturnType<DecidingPolicy>,
): DecisionBatch {
  const rows = new Float64Array(samples.length * FEATURE_COUNT)
  for (const [index, { row }] of samples.entries()) rows.set(row, index * FEATURE_COUNT)
  return {
    streamId: 'a-test',
    partition: 0,
    firstOffset: samples[0]?.offset ?? 0,
    nextOffset: (samples.at(-1)?.offset ?? 0) + 1,
    labelNextOffset: 0,
    watermarks: 0,
    alignment: 'aligned',
    mode: 'enforce',
    modelVersion: 'of a test',
    modelDigest: MODEL_DIGEST,
    backend: 'cpu',
    policyDigest: policy.digest,
    policyVersion: policy.version,
    featureListHash,
    ratesDigest: DEFAULT_RATES.digest,
    controlPosition: null,
    frontier: [],
    previousHash: new Uint8Array(0),
    decidedAtMs: 1_800_000_000_000,
    featureCount: FEATURE_COUNT,
    features: new Uint8Array(rows.buffer),
    featureStates: null,
    decisions: samples.map(recordOf),
    deadLetterOffsets: [],
    digestSalts: Buffer.alloc(0),
    erased: [],
  }
}

function recordOf({ transaction, ...sample }: DecidedSample): DecisionRecord {
  const { id, card, eventTimeMs, amountMinor, currency } = transaction
  const { offset, outcome, score, annotations, duplicateOfOffset } = sample
  return {
    ...{
      offset,
      card,
      eventTimeMs,
      amountMinor,
      currency,
      outcome,
      annotations,
      duplicateOfOffset,
    },
    revision: 0,
    transactionId: id,
    score: Number.isNaN(score) ? null : score,
    notScored: Number.isNaN(score) ? 'model_unavailable' : null,
    reasons: [],
    entityAgeMs: null,
    causeOffset: null,
    segment: null,
    rules: [],
  }
}
