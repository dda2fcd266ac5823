// When each decision of a live run reaches a committed reader of another client than the scorer's. What arrives is only kept
// while the run lasts; afterwards it is decoded, and joined with the times at which its transactions were meant to be sent.

import type { BenchServers, BenchStream } from './bench-servers.ts'
import { openTopicReader, type TopicReader } from './batch-ledger.ts'
import { abortable } from './replay-bench.ts'

interface Arrival {
  readonly partition: number
  readonly value: Buffer | null
  readonly arrivedMs: number
}

export interface SeenDecisions {
  /** All that came, revisions included. */
  readonly count: number
  /** From the intended send time to the arrival, of first decisions whose transactions count. */
  readonly latenciesMs: readonly number[]
}

export class DecisionWatch {
  readonly #servers: BenchServers
  readonly #stream: BenchStream
  readonly #reader: TopicReader
  readonly #arrivals: readonly Arrival[]

  private constructor(
    servers: BenchServers,
    stream: BenchStream,
    reader: TopicReader,
    arrivals: readonly Arrival[],
  ) {
    this.#servers = servers
    this.#stream = stream
    this.#reader = reader
    this.#arrivals = arrivals
  }

  /** Resolves once the reader has its partitions. */
  static async open(servers: BenchServers, stream: BenchStream): Promise<DecisionWatch> {
    const arrivals: Arrival[] = []
    const reader = await openTopicReader(
      servers.kafka,
      stream.topic('decisions'),
      (partition, messages, arrivedMs) => {
        for (const { value } of messages) arrivals.push({ partition, value, arrivedMs })
      },
    )
    return new DecisionWatch(servers, stream, reader, arrivals)
  }

  /**
   * What has come. Those transactions count that were meant to be sent from `fromMs` on. `ends` are the ends of the transactions
   * by partition, all of which are decided.
   */
  async seen(ends: readonly number[], fromMs: number, signal: AbortSignal): Promise<SeenDecisions> {
    const intendedMs = await this.#readIntended(ends, signal)
    const latenciesMs: number[] = []
    let count = 0
    for (const { partition, value, arrivedMs } of this.#arrivals) {
      const decoded = this.#servers.codecs.decisionBatch.decode(value)
      if (!decoded.ok) throw new Error(`A decision batch cannot be decoded: ${decoded.reason}.`)
      count += decoded.value.decisions.length
      for (const { offset, revision } of decoded.value.decisions) {
        const sentMs = intendedMs[partition]?.[offset] ?? NaN
        if (revision === 0 && sentMs >= fromMs) latenciesMs.push(arrivedMs - sentMs)
      }
    }
    return { count, latenciesMs }
  }

  close(): Promise<void> {
    return this.#reader.close()
  }

  /** By partition and offset; NaN where there is no transaction. */
  async #readIntended(
    ends: readonly number[],
    signal: AbortSignal,
  ): Promise<readonly Float64Array[]> {
    const intendedMs = ends.map((end) => new Float64Array(end).fill(NaN))
    const nextOffsets = ends.map(() => 0)
    let finish: () => void = () => undefined
    const finished = new Promise<void>((resolve) => {
      finish = resolve
    })
    const { kafka } = this.#servers
    const topic = this.#stream.topic('transactions')
    const reader = await openTopicReader(kafka, topic, (partition, messages) => {
      for (const { offset, timestamp } of messages) {
        const times = intendedMs[partition]
        if (times !== undefined) times[Number(offset)] = Number(timestamp)
        nextOffsets[partition] = Number(offset) + 1
      }
      if (ends.every((end, index) => (nextOffsets[index] ?? 0) >= end)) finish()
    })
    try {
      await abortable(Promise.race([finished, reader.failed]), signal)
    } finally {
      await reader.close()
    }
    return intendedMs
  }
}
