// Load of the benchmarks: a fixed seed and a fixed world, so that two runs differ in timing only.

import type { FeatureDefinition } from '../../services/core/features/catalogue/feature-definition.ts'
import { FEATURES } from '../../services/core/features/catalogue/feature-list.ts'
import { DAY_MS } from '../../services/core/features/catalogue/time.ts'
import { partitionOfText } from '../../services/core/murmur2.ts'
import type { Label, Transaction } from '../../services/core/transaction.ts'
import type { Codecs } from '../../services/core/wire/codecs.ts'
import { simulate } from '../simulator/simulate.ts'

/** Years in the past on any clock, since the scorer refuses event times ahead of the record's time stamp. */
export const BENCH_START_MS = Date.UTC(2020, 0, 1)
export const BENCH_SEED = 42

export interface SimulatedLoad {
  readonly transactions: number
  readonly cards: number
  /** Share of the transactions that start a trace; none by default. */
  readonly traceRatio?: number
}

/** Arguments of `sluice produce simulate` for this load. */
export function producerArguments(load: SimulatedLoad): readonly string[] {
  const { transactions, cards, traceRatio = 0 } = load
  return [
    ...['--seed', String(BENCH_SEED), '--start', new Date(BENCH_START_MS).toISOString()],
    ...['--count', String(transactions), '--cards', String(cards)],
    ...(traceRatio === 0 ? [] : ['--trace-ratio', String(traceRatio)]),
  ]
}

// Load of the features benchmark: simulated transactions as messages, and labels, split into micro-batches. A batch is
// decoded just before it is processed, as in a scorer: objects created long before would no longer be in the caches.

/** Limit of the simulated time, so that rarely used cards do not lead to invalid event times. */
const ONE_CARD_SPAN_MS = 50 * 365 * DAY_MS

/** The features of the Fraud Detection Handbook come first in the list; one of these is not from the handbook. */
const PUBLISHED_END = 16
const NOT_PUBLISHED = 'hour_of_day'

export interface FeatureSet {
  readonly name: string
  readonly definitions: readonly FeatureDefinition[]
}

export const FEATURE_SETS: readonly FeatureSet[] = [
  {
    name: 'published',
    definitions: FEATURES.slice(0, PUBLISHED_END).filter(({ name }) => name !== NOT_PUBLISHED),
  },
  { name: 'all', definitions: FEATURES },
]

export type LoadItem =
  | { readonly kind: 'transaction'; readonly transaction: Transaction; readonly record: Uint8Array }
  | { readonly kind: 'label'; readonly label: Label }

/** Labels before the end of the batch, and the messages of its transactions; offsets without gaps. */
export interface LoadBatch {
  readonly records: Uint8Array[]
  readonly labels: Label[]
  readonly offset: number
  readonly labelOffset: number
}

/** A batch with its transactions. */
export interface DecodedBatch extends LoadBatch {
  readonly transactions: readonly Transaction[]
}

/** @throws Error if a message is not a transaction: the benchmark wrote all of them. */
export function decodeBatch(batch: LoadBatch, codecs: Codecs): DecodedBatch {
  const transactions = batch.records.map((record) => {
    const message = codecs.decodeTransactionMessage(record)
    if (message.kind === 'transaction') return message.value
    throw new Error(`A message of the benchmark is a ${message.kind}.`)
  })
  return { ...batch, transactions }
}

/** The simulator's stream. */
export function simulatedItems(count: number, cards: number, codecs: Codecs): readonly LoadItem[] {
  const items: LoadItem[] = []
  const options = { seed: BENCH_SEED, startMs: BENCH_START_MS, transactionsMax: count, cards }
  for (const event of simulate(options)) {
    if (event.kind === 'label') items.push(event)
    else items.push(itemOf(event.transaction, codecs))
  }
  return items
}

/** The same stream with one more card, whose transactions are this share of all. */
export function withHotCard(
  items: readonly LoadItem[],
  share: number,
  codecs: Codecs,
): readonly LoadItem[] {
  const all: LoadItem[] = []
  let ordinary = 0
  let hot = 0
  for (const item of items) {
    all.push(item)
    if (item.kind === 'label') continue
    ordinary += 1
    while (hot < share * (ordinary + hot)) {
      all.push(itemOf({ ...item.transaction, id: `hot-${hot}`, card: 'card-hot' }, codecs))
      hot += 1
    }
  }
  return all
}

/**
 * One card that pays `held` times in `windowMs`, evenly, and then continues: `held` transactions that build its
 * history, and `measured` transactions with a history of that length. Other fields are those of simulated transactions.
 */
export function oneCardItems(
  held: number,
  measured: number,
  windowMs: number,
  codecs: Codecs,
): readonly LoadItem[] {
  const items: LoadItem[] = []
  for (const event of simulate({ seed: BENCH_SEED, transactionsMax: held + measured })) {
    if (event.kind === 'label') continue
    const index = items.length
    const eventTimeMs = BENCH_START_MS + Math.floor((index * windowMs) / held)
    if (eventTimeMs > BENCH_START_MS + ONE_CARD_SPAN_MS) break
    const { transaction } = event
    items.push(
      itemOf({ ...transaction, id: `one-${index}`, card: 'card-one', eventTimeMs }, codecs),
    )
  }
  return items
}

function itemOf(transaction: Transaction, codecs: Codecs): LoadItem {
  return { kind: 'transaction', transaction, record: codecs.transaction.encode(transaction) }
}

/** Partitions a stream by card, as the producer's partitioner does, and splits each partition into batches. */
export function batchesOf(
  items: readonly LoadItem[],
  partitionCount: number,
  size: number,
): readonly (readonly LoadBatch[])[] {
  const partitions = Array.from({ length: partitionCount }, (): LoadBatch[] => [emptyBatch(0, 0)])
  for (const item of items) {
    const { card } = item.kind === 'label' ? item.label : item.transaction
    const batches = partitions[partitionOfText(card, partitionCount)]
    let batch = batches?.at(-1)
    if (batches === undefined || batch === undefined) throw new Error('There is no such partition.')
    if (batch.records.length === size) {
      batch = emptyBatch(batch.offset + size, batch.labelOffset + batch.labels.length)
      batches.push(batch)
    }
    if (item.kind === 'label') batch.labels.push(item.label)
    else batch.records.push(item.record)
  }
  return partitions
}

function emptyBatch(offset: number, labelOffset: number): LoadBatch {
  return { records: [], labels: [], offset, labelOffset }
}
