// One micro-batch folded into feature rows, and what the features benchmark takes of it: processor time, and a checksum
// over all rows, so that nothing gets faster by being wrong.

import { crc32 } from 'node:zlib'
import { DEFAULT_RATES } from '../../services/core/currency.ts'
import type { Cut } from '../../services/core/features/state/entity-part.ts'
import type { PartitionState } from '../../services/core/features/engine/fold-state.ts'
import {
  PARTITION_START,
  PartitionFold,
} from '../../services/core/features/engine/partition-fold.ts'
import type { FeaturePlan } from '../../services/core/features/engine/feature-plan.ts'
import type { DecodedBatch, LoadBatch } from './feature-load.ts'

/** Rows are looked at this many at a time, while the meter stands. */
const ROWS_AT_ONCE = 4_096
const HEX_DIGITS = 8

export interface Meter {
  readonly wallMs: number
  readonly cpuMs: number
}

/** Wall time and this process' processor time, all its threads included, while it runs. */
export class StopWatch {
  #wallMs = 0
  #cpuMs = 0
  #startMs = 0
  #startCpu = process.cpuUsage()

  start(): void {
    this.#startMs = performance.now()
    this.#startCpu = process.cpuUsage()
  }

  stop(): void {
    const { user, system } = process.cpuUsage(this.#startCpu)
    this.#cpuMs += (user + system) / 1_000
    this.#wallMs += performance.now() - this.#startMs
  }

  get total(): Meter {
    return { wallMs: this.#wallMs, cpuMs: this.#cpuMs }
  }
}

/** Folds the batches of one partition. */
export class PartitionRows {
  readonly fold: PartitionFold
  readonly #width: number
  readonly #values: Float64Array
  readonly #states: Uint8Array
  #rows = 0
  #valuesCrc = 0
  #statesCrc = 0

  constructor(plan: FeaturePlan) {
    this.fold = new PartitionFold({ rates: DEFAULT_RATES, plan }, PARTITION_START)
    this.#width = plan.definitions.length
    this.#values = new Float64Array(ROWS_AT_ONCE * this.#width)
    this.#states = new Uint8Array(ROWS_AT_ONCE * this.#width)
  }

  /** Whether the rows have to be taken before a batch of this size. */
  isFullFor(size: number): boolean {
    return this.#rows + size > ROWS_AT_ONCE
  }

  /** Labels first, then transactions in order of their offsets, as the scorer does. At most ROWS_AT_ONCE. */
  add(batch: DecodedBatch, state: PartitionState): void {
    const { fold } = this
    const { transactions, records, labels, offset, labelOffset } = batch
    for (let index = 0; index < labels.length; index += 1) {
      const label = labels[index]
      if (label !== undefined) fold.applyLabel(label, labelOffset + index, state)
    }
    const labelEnd = labelOffset + labels.length
    fold.expect(transactions, state)
    for (let index = 0; index < transactions.length; index += 1) {
      const transaction = transactions[index]
      if (transaction === undefined) continue
      fold.applyTransaction(
        transaction,
        offset + index,
        labelEnd,
        state,
        this.#values,
        this.#rows * this.#width,
        this.#states,
        records[index] ?? null,
      )
      this.#rows += 1
    }
  }

  /** Takes the rows since the last time into the checksum. */
  take(): void {
    const values = this.#values.subarray(0, this.#rows * this.#width)
    const states = this.#states.subarray(0, values.length)
    // There are many bit patterns of NaN; the states say which values are absent.
    for (let at = 0; at < values.length; at += 1) if (Number.isNaN(values[at])) values[at] = 0
    this.#valuesCrc = crc32(new Uint8Array(values.buffer, 0, values.byteLength), this.#valuesCrc)
    this.#statesCrc = crc32(states, this.#statesCrc)
    this.#rows = 0
  }

  /** Of the values and of the states of all rows taken; the same however they were cut into batches. */
  get checksum(): string {
    const hex = (crc: number): string => crc.toString(16).padStart(HEX_DIGITS, '0')
    return `${hex(this.#valuesCrc)}-${hex(this.#statesCrc)}`
  }
}

/** Where the logs stand after a batch. */
export function endOf(batch: LoadBatch): Cut {
  return {
    nextOffset: batch.offset + batch.records.length,
    labelNextOffset: batch.labelOffset + batch.labels.length,
  }
}
