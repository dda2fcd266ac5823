// Messages to rows: what was read since the last flush, with which offsets it covers. All of it changes in one turn,
// so that at any moment rows and offsets agree.

import type { KafkaMessage } from 'kafkajs'
import type { OffsetCounts } from '../core/lake/lake-checks.ts'
import { placeOf } from '../core/lake/lake-log.ts'
import {
  deadLetterRow,
  decisionRows,
  labelRow,
  transactionRow,
  type TimedLakeRow,
} from '../core/lake/lake-rows.ts'
import { TOPIC_TABLES, type TopicTable } from '../core/lake/lake-tables.ts'
import type { Codecs } from '../core/wire/codecs.ts'
import type { DuckDbSession } from '../platform/lake/duckdb.ts'
import { RowBuffer } from '../platform/lake/row-buffer.ts'

/** A range of one partition of one topic. */
export interface TakenRange extends OffsetCounts {
  readonly table: TopicTable
  readonly partition: number
  /** When its first message was sent; null while there is none. */
  readonly oldestMs: number | null
}

type Growing = { -readonly [Name in keyof TakenRange]: TakenRange[Name] }

/** What one flush writes. */
export class Intake {
  readonly buffers: Readonly<Record<TopicTable, RowBuffer>>
  readonly #codecs: Codecs
  readonly #ranges = new Map<string, Growing>()

  private constructor(codecs: Codecs, buffers: Readonly<Record<TopicTable, RowBuffer>>) {
    this.#codecs = codecs
    this.buffers = buffers
  }

  /** `number` tells the buffers of one intake from those of another. */
  static async open(session: DuckDbSession, codecs: Codecs, number: number): Promise<Intake> {
    const open = (table: TopicTable): Promise<RowBuffer> =>
      RowBuffer.open(session, table, `${table}_${number}`)
    return new Intake(codecs, {
      transactions: await open('transactions'),
      decisions: await open('decisions'),
      labels: await open('labels'),
      dead_letters: await open('dead_letters'),
    })
  }

  get rows(): number {
    return TOPIC_TABLES.reduce((sum, table) => sum + this.buffers[table].rows, 0)
  }

  get bytes(): number {
    return TOPIC_TABLES.reduce((sum, table) => sum + this.buffers[table].bytes, 0)
  }

  get ranges(): readonly TakenRange[] {
    return [...this.#ranges.values()].filter(({ first, next }) => next > first)
  }

  /** Takes committed messages of one partition; `position` is the first offset not taken before. */
  take(
    table: TopicTable,
    partition: number,
    messages: readonly KafkaMessage[],
    position: number,
  ): number {
    const range = this.#rangeOf(table, partition, position)
    for (const message of messages) {
      const offset = Number(message.offset)
      // The reader hands out each offset once, in order; a row must never be there twice all the same.
      if (offset < range.next) throw new Error(`Offset ${offset} of ${table} came twice.`)
      this.#takeOne(table, range, offset, message)
      range.oldestMs ??= Number(message.timestamp)
      range.next = offset + 1
    }
    return range.next
  }

  /** Everything before `next` has been read, control records included. */
  advance(table: TopicTable, partition: number, next: number, position: number): void {
    const range = this.#rangeOf(table, partition, position)
    range.next = Math.max(range.next, next)
  }

  async close(): Promise<void> {
    for (const table of TOPIC_TABLES) await this.buffers[table].close()
  }

  #rangeOf(table: TopicTable, partition: number, position: number): Growing {
    const place = placeOf(table, partition)
    const known = this.#ranges.get(place)
    if (known !== undefined) return known
    const counts = { first: position, next: position, taken: 0, watermarks: 0, unreadable: 0 }
    const range = { table, partition, oldestMs: null, ...counts }
    this.#ranges.set(place, range)
    return range
  }

  #takeOne(table: TopicTable, range: Growing, offset: number, message: KafkaMessage): void {
    const place = { partition: range.partition, offset, sentAtMs: Number(message.timestamp) }
    const add = ({ timeMs, row }: TimedLakeRow): void => {
      this.buffers[table].add(range.partition, offset, timeMs, row)
    }
    switch (table) {
      case 'transactions': {
        const decoded = this.#codecs.decodeTransactionMessage(message.value)
        if (decoded.kind === 'transaction') add(transactionRow(place, decoded.value))
        count(range, decoded.kind)
        return
      }
      case 'labels': {
        const decoded = this.#codecs.decodeLabelMessage(message.value)
        if (decoded.kind === 'label') add(labelRow(place, decoded.value))
        count(range, decoded.kind)
        return
      }
      case 'decisions': {
        const decoded = this.#codecs.decisionBlock.decode(message.value)
        if (decoded.ok) for (const row of decisionRows(offset, decoded.value)) add(row)
        count(range, decoded.ok ? 'taken' : 'reject')
        return
      }
      case 'dead_letters': {
        const decoded = this.#codecs.deadLetter.decode(message.value)
        if (decoded.ok) add(deadLetterRow(place, decoded.value))
        count(range, decoded.ok ? 'taken' : 'reject')
      }
    }
  }
}

function count(
  range: Growing,
  kind: 'transaction' | 'label' | 'taken' | 'watermark' | 'reject',
): void {
  if (kind === 'watermark') range.watermarks += 1
  else if (kind === 'reject') range.unreadable += 1
  else range.taken += 1
}
