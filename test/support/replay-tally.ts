// A replay of the output of live partitions, fed in any interleaving, and its results.

import { DEFAULT_RATES } from '../../services/core/rates/default-rates.ts'
import {
  FEATURE_COUNT,
  FEATURE_NAMES,
} from '../../services/core/features/catalogue/feature-list.ts'
import { LogReplay } from '../../services/core/features/provenance/log-replay.ts'
import type { PartitionBegin } from '../../services/core/features/provenance/replay-partition.ts'
import type { RecordedBatch } from '../../services/core/features/provenance/replay-records.ts'
import {
  HashSample,
  type ReplaySample,
} from '../../services/core/features/provenance/replay-sample.ts'
import { reasonOf, VERDICT } from '../../services/core/features/provenance/row-comparison.ts'
import { entriesOf, labelsOf, readRecord, type RecordedLog } from './recorded-partitions.ts'

/** Output of a replay. */
export interface Tally {
  compared: number
  readonly mismatches: Map<string, number>
  readonly notCompared: Map<string, number>
  rows: number
  revisions: number
  waiting: number
}

/** Input of a replay. */
export interface Fed {
  readonly logs: readonly RecordedLog[]
  readonly batches: readonly RecordedBatch[]
  /** Number of messages of each kind per chunk, used in turn. */
  readonly chunks: readonly number[]
  readonly sample?: ReplaySample
  readonly valuesMax?: number
  readonly isWhole?: boolean
}

export function replayOf({
  logs,
  batches,
  chunks,
  sample = new HashSample(1),
  ...rest
}: Fed): Tally {
  const tally: Tally = {
    compared: 0,
    mismatches: new Map(),
    notCompared: new Map(),
    rows: 0,
    revisions: 0,
    waiting: 0,
  }
  const replay = new LogReplay({
    ratesOf: () => DEFAULT_RATES,
    sample,
    begins: logs.map((log) => beginOf(log, rest.isWhole)),
    readRecord,
    ...(rest.valuesMax !== undefined && { valuesMax: rest.valuesMax }),
    onReplayed({ verdicts, recorded }) {
      tally.rows += 1
      if (recorded.decision.revision > 0) tally.revisions += 1
      for (let index = 0; index < FEATURE_COUNT; index += 1) {
        const verdict = verdicts[index] ?? -1
        const name = FEATURE_NAMES[index] ?? ''
        const reason = reasonOf(verdict)
        if (reason !== null) count(tally.notCompared, reason)
        else tally.compared += 1
        if (verdict === VERDICT.differs) count(tally.mismatches, name)
      }
    },
  })
  const queues: { readonly size: number; add(from: number, to: number): void; at: number }[] = []
  for (const [partition, log] of logs.entries()) {
    const entries = entriesOf(log)
    const labels = labelsOf(log)
    const own = batches.filter((batch) => batch.partition === partition)
    queues.push(
      {
        size: entries.length,
        at: 0,
        add: (from, to) => {
          replay.addEntries(partition, entries.slice(from, to))
        },
      },
      {
        size: labels.length,
        at: 0,
        add: (from, to) => {
          replay.addLabels(partition, labels.slice(from, to))
        },
      },
      {
        size: own.length,
        at: 0,
        add: (from, to) => {
          for (const batch of own.slice(from, to)) replay.addBatch(batch)
        },
      },
    )
  }
  for (let turn = 0; queues.some(({ at, size }) => at < size); turn += 1) {
    const queue = queues[turn % queues.length]
    const chunk = chunks[turn % chunks.length] ?? 1
    if (queue === undefined) continue
    queue.add(queue.at, queue.at + chunk)
    queue.at += chunk
    replay.advance()
  }
  replay.finish()
  tally.waiting = replay.waitingBatches
  return tally
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

/** Reading begins at the first offset. */
export function beginOf({ entries }: RecordedLog, isWhole = true): PartitionBegin {
  const endOffset = (entries.at(-1)?.offset ?? -1) + 1
  return { nextOffset: 0, labelNextOffset: 0, isWhole, endOffset }
}
