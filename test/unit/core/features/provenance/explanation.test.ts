// Goal: the transactions that an explanation lists are those that the feature counted. Method: decisions of live partitions
// are explained one by one; the value of every feature that is a count, a sum, an extreme, a time or a share must follow
// from its list alone, for first decisions and for revisions.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DEFAULT_RATES } from '../../../../../services/core/rates/default-rates.ts'
import type { Contributors } from '../../../../../services/core/features/provenance/contributors.ts'
import {
  Explanation,
  type ExplainedFeature,
} from '../../../../../services/core/features/provenance/explanation.ts'
import { LogReplay } from '../../../../../services/core/features/provenance/log-replay.ts'
import type { RecordedBatch } from '../../../../../services/core/features/provenance/replay-records.ts'
import type { Transaction } from '../../../../../services/core/transaction.ts'
import {
  DAY_MS,
  HOUR_MS,
  STREAM_START_MS,
  itemsOf,
  labelOf,
  stepsOf,
  type StreamItem,
} from '../../../../support/feature-streams.ts'
import { minimalTransaction } from '../../wire/samples.ts'
import { holdsForLong } from '../../../../support/property.ts'
import {
  dealLive,
  entriesOf,
  inMemory,
  labelsOf,
  readRecord,
  runLive,
  type RecordedLog,
} from '../../../../support/recorded-partitions.ts'

const PARTITIONS = 3

function transactionAt(log: RecordedLog, offset: number): Transaction {
  const entry = log.entries.find((each) => each.offset === offset)
  assert.ok(entry?.kind === 'transaction')
  return entry.transaction
}

/** The value that follows from the list; undefined when the list alone does not determine it. */
function valueOf(
  { definition }: ExplainedFeature,
  { events, labels, includesCurrent }: Contributors,
  current: { readonly amountMinor: number; readonly timeMs: number },
): number | undefined {
  const own = includesCurrent ? 1 : 0
  const sumMinor = events.reduce(
    (sum, { event }) => sum + event.amountMinor,
    own * current.amountMinor,
  )
  const sinceS = (timeMs: number | undefined): number =>
    timeMs === undefined ? NaN : (current.timeMs - timeMs) / 1_000
  // The list alone does not determine the others.
  const aggregate: string = definition.aggregate
  switch (aggregate) {
    case 'count':
    case 'attempts':
    case 'declines':
    case 'declined_then_retried':
      return events.length + own
    case 'sum':
      return sumMinor / 100
    case 'mean':
      return events.length + own === 0 ? NaN : sumMinor / (events.length + own) / 100
    case 'minimum':
    case 'maximum':
      return (events[0]?.event.amountMinor ?? NaN) / 100
    case 'seconds_since_last':
    case 'pair_seconds_since_last':
      return sinceS(events[0]?.event.timeMs)
    case 'frauds':
      return labels.length
    case 'fraud_share':
      return events.length === 0 ? 0 : Math.min(1, labels.length / events.length)
    case 'distinct_cards':
      return new Set(events.map(({ event }) => event.cardHash)).size
    case 'fraud_run':
      return events.length
    case 'fraud_run_age':
      return sinceS(events[0]?.event.timeMs)
    default:
      return undefined
  }
}

const latesMs = fc.oneof(
  { weight: 8, arbitrary: fc.constant(0) },
  fc.constantFrom(1, HOUR_MS, 24 * HOUR_MS),
)

test('the value of a feature follows from the transactions and labels that it is said to have counted', () => {
  let checked = 0
  let revisions = 0
  holdsForLong(
    20,
    fc.property(
      stepsOf({ stepsMin: 10, stepsMax: 40, cards: 4, terminals: 2, latesMs }),
      (steps) => {
        const logs = dealLive(inMemory(itemsOf(steps)), PARTITIONS)
        const batches = runLive(logs, [])
        for (const { batch, index } of decisionsOf(batches)) {
          const decision = batch.decisions[index]
          const log = logs[batch.partition]
          if (decision === undefined || log === undefined) continue
          if (decision.duplicateOfOffset !== null) continue
          const transaction = transactionAt(log, decision.offset)
          const { partition } = batch
          const explanation = explain(logs, batches, { partition, decision, transaction })
          const features = explanation.features()
          assert.ok(features !== null)
          const amountMinor = (features[0]?.recorded ?? 0) * 100
          const current = { amountMinor: Math.round(amountMinor), timeMs: transaction.eventTimeMs }
          for (const feature of features) {
            assert.equal(feature.differs, false, feature.definition.name)
            if (feature.notCompared !== null) continue
            const value = valueOf(feature, feature.contributors, current)
            if (value === undefined || isUnnamed(feature, transaction)) continue
            assert.equal(value, feature.recorded, feature.definition.name)
            checked += 1
          }
          if (decision.revision > 0) revisions += 1
        }
      },
    ),
  )
  assert.ok(checked > 1_000)
  assert.ok(revisions > 0)
})

test('a label on an earlier use of an id is not said to have counted for a later one', () => {
  const againMs = STREAM_START_MS + 38 * DAY_MS
  const lookMs = againMs + 8 * DAY_MS
  const pay = (id: string, eventTimeMs: number): Transaction => {
    return { ...minimalTransaction, id, card: 'card-0', terminal: 'terminal-1', eventTimeMs }
  }
  const first = pay('used again', STREAM_START_MS)
  const again = pay('used again', againMs)
  const items: readonly StreamItem[] = [
    { kind: 'transaction', transaction: first },
    // Otherwise the next one would be a duplicate.
    { kind: 'transaction', transaction: pay('between', againMs - DAY_MS) },
    { kind: 'transaction', transaction: again },
    { kind: 'label', label: labelOf(again, againMs + DAY_MS, 'fraud') },
    { kind: 'label', label: labelOf(first, againMs + 2 * DAY_MS, 'genuine') },
    { kind: 'label', label: labelOf(first, againMs + 2 * DAY_MS, 'fraud') },
    { kind: 'transaction', transaction: pay('look', lookMs) },
  ]
  const logs = dealLive(inMemory(items), 1)
  const batches = runLive(logs, [])
  const told = decisionsOf(batches).map(({ batch, index }) => {
    const [decision, log] = [batch.decisions[index], logs[batch.partition]]
    assert.ok(decision !== undefined && log !== undefined)
    const transaction = transactionAt(log, decision.offset)
    const { partition } = batch
    return explain(logs, batches, { partition, decision, transaction }).features()
  })
  const feature = told.at(-1)?.find(({ definition }) => definition.name === 'terminal_fraud_run')
  assert.equal(feature?.recorded, 1)
  assert.deepEqual(
    feature.contributors.labels.map(({ timeMs }) => timeMs),
    [againMs],
  )
})

/** A transaction that names no such entity has no list, and an absent value. */
function isUnnamed({ definition, recorded }: ExplainedFeature, transaction: Transaction): boolean {
  const { entity } = definition
  if (entity === 'transaction' || entity === 'card') return false
  const name = entity === 'network' ? transaction.ipNetwork : transaction[entity]
  return name === null && Number.isNaN(recorded)
}

function decisionsOf(
  batches: readonly RecordedBatch[],
): readonly { readonly batch: RecordedBatch; readonly index: number }[] {
  return batches.flatMap((batch) => batch.decisions.map((_, index) => ({ batch, index })))
}

function explain(
  logs: readonly RecordedLog[],
  batches: readonly RecordedBatch[],
  of: ConstructorParameters<typeof Explanation>[0],
): Explanation {
  const explanation = new Explanation(of, DEFAULT_RATES)
  const replay = new LogReplay({
    ratesOf: () => DEFAULT_RATES,
    sample: explanation.sample,
    begins: logs.map(({ entries }) => ({
      nextOffset: 0,
      labelNextOffset: 0,
      isWhole: true,
      endOffset: (entries.at(-1)?.offset ?? -1) + 1,
    })),
    readRecord,
    onReplayed: (row) => {
      explanation.replayed(row)
    },
  })
  for (const [partition, log] of logs.entries()) {
    explanation.takeEntries(partition, entriesOf(log))
    explanation.takeLabels(partition, labelsOf(log))
    replay.addEntries(partition, entriesOf(log))
    replay.addLabels(partition, labelsOf(log))
  }
  for (const batch of batches) {
    explanation.takeBatches(batch.partition, [batch])
    replay.addBatch(batch)
  }
  replay.finish()
  return explanation
}
