// Records when each decision of a live run reaches a read_committed consumer of another client than the scorer's.
// During the run batches are only stored; afterwards they are checked, and joined with the times at which transactions
// were due.

import { setTimeout as sleepMs } from 'node:timers/promises'
import type { KafkaMessage } from 'kafkajs'
import type { Closable } from '../../services/platform/lifecycle.ts'
import type { BenchServers, BenchStream } from './bench-servers.ts'
import { BatchLedger, type LedgerSummary, openTopicReader } from './batch-ledger.ts'
import { abortable, readTopicUntil } from './replay-bench.ts'

const POLL_MS = 20

interface Arrival {
  readonly partition: number
  readonly value: Buffer | null
  readonly timestampMs: number
  readonly arrivedMs: number
}

export interface WatchedDecisions {
  readonly batches: LedgerSummary
  /** From the intended send time to the arrival, of first decisions. */
  readonly latenciesMs: readonly number[]
}

export interface DecisionWatch extends Closable {
  /**
   * Waits until the transactions below `ends`, by partition, are answered. Latencies cover those that were due from
   * `fromMs` on.
   */
  finish(ends: readonly number[], fromMs: number, signal: AbortSignal): Promise<WatchedDecisions>
}

/** Resolves once the reader has its partitions. */
export async function watchDecisions(
  servers: BenchServers,
  stream: BenchStream,
): Promise<DecisionWatch> {
  const arrivals: Arrival[] = []
  const reader = await openTopicReader(
    servers.kafka,
    stream.topic('decisions'),
    (partition, messages, arrivedMs) => {
      for (const { value, timestamp } of messages) {
        arrivals.push({ partition, value, timestampMs: Number(timestamp), arrivedMs })
      }
    },
  )
  return {
    finish: async (ends, fromMs, signal) => {
      const intendedMs = await readIntendedMs(servers, stream, ends, signal)
      const ledger = new BatchLedger(servers.codecs)
      const latenciesMs: number[] = []
      for (let taken = 0; ;) {
        for (const { partition, value, timestampMs, arrivedMs } of arrivals.slice(taken)) {
          taken += 1
          const batch = ledger.add(partition, value, timestampMs)
          for (const { offset, revision } of batch?.decisions ?? []) {
            const sentMs = intendedMs[partition]?.[offset] ?? NaN
            if (revision === 0 && sentMs >= fromMs) latenciesMs.push(arrivedMs - sentMs)
          }
        }
        if (ends.every((end, partition) => ledger.nextOffset(partition) >= end)) break
        await abortable(Promise.race([sleepMs(POLL_MS), reader.failed]), signal)
      }
      return { batches: ledger.summary(), latenciesMs }
    },
    close: () => reader.close(),
  }
}

/** By partition and offset; NaN where there is no transaction. */
async function readIntendedMs(
  { kafka }: BenchServers,
  stream: BenchStream,
  ends: readonly number[],
  signal: AbortSignal,
): Promise<readonly Float64Array[]> {
  const intendedMs = ends.map((end) => new Float64Array(end).fill(NaN))
  const nextOffsets = ends.map(() => 0)
  const take = (partition: number, messages: readonly KafkaMessage[]): boolean => {
    for (const { offset, timestamp } of messages) {
      const times = intendedMs[partition]
      if (times !== undefined) times[Number(offset)] = Number(timestamp)
      nextOffsets[partition] = Number(offset) + 1
    }
    return ends.every((end, index) => (nextOffsets[index] ?? 0) >= end)
  }
  await readTopicUntil(kafka, stream.topic('transactions'), take, signal)
  return intendedMs
}
