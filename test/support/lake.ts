// A lake without Kafka: rows of simulated events in a folder of its own, deleted when the test ends.

import { RowBuffer, stageBuffer, stageResults } from '../../services/platform/lake/stage-files.ts'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { offsetsResult } from '../../services/core/lake/lake-checks.ts'
import { partitionKey } from '../../services/core/lake/lake-log.ts'
import {
  deadLetterRow,
  labelRow,
  type LakeTable,
  type RowPosition,
  type TimedLakeRow,
  type TopicTable,
  transactionRow,
} from '../../services/core/lake/lake-tables.ts'
import { systemClock } from '../../services/platform/clock.ts'
import { openDuckDb } from '../../services/platform/lake/duckdb.ts'
import { type LakeWriter, openLakeWriter } from '../../services/platform/lake/lake-writer.ts'
import { type StreamEvent } from '../../services/producer/index.ts'
import { simulate } from '../../tools/simulator/simulate.ts'
import { closeWith } from './cleanup.ts'

/** A folder that is deleted after the test. */
export async function openFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-test-lake-'))
  closeWith(t, () => rm(folder, { recursive: true, force: true }))
  return folder
}

export function openWriter(folder: string, writer = 'a test'): Promise<LakeWriter> {
  return openLakeWriter({ folder, writer, topicPrefix: null, clock: systemClock })
}

export function simulatedStream(transactionsMax: number): readonly StreamEvent[] {
  const crowd = { cards: 200, terminals: 40, merchants: 30, fraudShare: 0.05 }
  return [...simulate({ seed: 11, ...crowd, transactionsMax })]
}

/** Commits the events as the content of a one-partition topic from `offset` on. */
export async function addEvents(
  writer: LakeWriter,
  events: readonly StreamEvent[],
  offset: number,
): Promise<void> {
  const session = await openDuckDb(null)
  try {
    const commit = writer.state.sequence + 1
    const staged = []
    const next: Record<string, number> = {}
    for (const table of ['transactions', 'labels'] as const) {
      const buffer = await RowBuffer.open(session, table, table)
      let at = offset
      for (const event of events) {
        if ((event.kind === 'transaction') !== (table === 'transactions')) continue
        const place = { partition: 0, offset: at, sentAtMs: 1_700_000_000_000 }
        const { timeMs, row } =
          event.kind === 'transaction'
            ? transactionRow(place, event.transaction)
            : labelRow(place, event.label)
        buffer.add(0, at, timeMs, row)
        at += 1
      }
      staged.push(...(await stageBuffer(session, writer.staging, buffer, commit)).staged)
      next[partitionKey(table, 0)] = at
    }
    await writer.commit({ kind: 'ingest', staged, next })
  } finally {
    await session.close()
  }
}

/** A lake of simulated events in several commits. */
export async function filledLake(
  t: TestContext,
  { transactions = 2_000, commits = 3 } = {},
): Promise<string> {
  const folder = await openFolder(t)
  const writer = await openWriter(folder)
  const events = simulatedStream(transactions)
  const size = Math.ceil(events.length / commits)
  for (let index = 0; index < commits; index += 1) {
    await addEvents(writer, events.slice(index * size, (index + 1) * size), index * size)
  }
  await writer.close()
  return folder
}

/** Paths of the live files of a table. */
export function livePaths(writer: Pick<LakeWriter, 'state'>, table: LakeTable): readonly string[] {
  return [...writer.state.files.values()]
    .filter((file) => file.table === table)
    .map(({ path }) => path)
}

/** Commits dead letters of messages at these offsets of transactions. */
export async function addDeadLetters(
  writer: LakeWriter,
  offsets: readonly number[],
): Promise<void> {
  await addRows(writer, 'dead_letters', offsets, (place, of) =>
    deadLetterRow(place, {
      topic: 'transactions',
      partition: 0,
      offset: of,
      timestampMs: 1_767_250_000_000,
      reason: 'wrong_partition',
      field: null,
      payloadBytes: 10,
      payloadHmac: Buffer.from('ab', 'hex'),
      sample: 'a sample',
      decidedAtMs: 1_767_250_000_000,
    }),
  )
}

async function addRows<Value>(
  writer: LakeWriter,
  table: TopicTable,
  values: readonly Value[],
  rowOf: (place: RowPosition, value: Value) => TimedLakeRow,
): Promise<void> {
  const session = await openDuckDb(null)
  try {
    const buffer = await RowBuffer.open(session, table, table)
    for (const [offset, value] of values.entries()) {
      const { timeMs, row } = rowOf({ partition: 0, offset, sentAtMs: null }, value)
      buffer.add(0, offset, timeMs, row)
    }
    const commit = writer.state.sequence + 1
    const { staged } = await stageBuffer(session, writer.staging, buffer, commit)
    await writer.commit({
      kind: 'ingest',
      staged,
      next: { [partitionKey(table, 0)]: values.length },
    })
  } finally {
    await session.close()
  }
}

/** Commits the record of an intake for the offsets in the lake: each one is a row. */
export async function addOffsetChecks(writer: LakeWriter): Promise<void> {
  const session = await openDuckDb(null)
  try {
    const results = (['transactions', 'labels', 'dead_letters'] as const).map((table) => {
      const next = writer.state.next.get(partitionKey(table, 0)) ?? 0
      const rows = [...writer.state.files.values()]
        .filter((file) => file.table === table)
        .reduce((sum, file) => sum + file.rows, 0)
      return offsetsResult(table, 0, {
        first: 0,
        next,
        ingested: rows,
        watermarks: next - rows,
        unreadable: 0,
      })
    })
    const commit = writer.state.sequence + 1
    const staged = await stageResults(session, writer.staging, results, commit, 1_767_250_000_000)
    await writer.commit({ kind: 'check', staged })
  } finally {
    await session.close()
  }
}
