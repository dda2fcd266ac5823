// Goal: rows read back by query and history equal those written, also after compaction; damage is found.
// Method: real lakes of simulated rows, without Kafka.

import { deepStrictEqual, match, ok, rejects, strictEqual } from 'node:assert/strict'
import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { isSluiceError, type ErrorCode } from '../../../services/core/errors.ts'
import {
  COMPACTION_DEFAULTS,
  checkLake,
  compactLake,
  recordResults,
  queryLake,
  readLakeHistory,
  type LakeReport,
  type PlainValue,
} from '../../../services/lake/index.ts'
import { systemClock } from '../../../services/platform/clock.ts'
import { readLakeState } from '../../../services/platform/lake/commit-log.ts'
import { streamTimeMs, type StreamEvent } from '../../../services/producer/index.ts'
import { filledLake, openFolder, simulatedStream } from '../../support/lake.ts'

const NEVER = new AbortController().signal
const WHOLE = { fromMs: -Infinity, endMs: Infinity }

async function ask(folder: string, sql: string): Promise<(readonly PlainValue[])[]> {
  const rows: (readonly PlainValue[])[] = []
  await queryLake(folder, sql, async (answer) => {
    for await (const row of answer.rows) rows.push(row)
  })
  return rows
}

function check(folder: string): Promise<LakeReport> {
  return checkLake({ folder, table: null, day: null, onProgress: () => undefined }, NEVER)
}

function failures({ results }: LakeReport): readonly string[] {
  return results.filter(({ status }) => status === 'failed').map(({ name }) => name)
}

const compact = (folder: string) =>
  compactLake(
    { folder, rule: COMPACTION_DEFAULTS, clock: systemClock, onMerge: () => undefined },
    NEVER,
  )

const isError =
  (code: ErrorCode, text: RegExp) =>
  (error: unknown): boolean =>
    isSluiceError(error, code) && text.test(error.message)

/** The stream in the order of the trainer: by time, labels first. */
function inOrder(events: readonly StreamEvent[]): readonly object[] {
  const rank = (event: StreamEvent): number => (event.kind === 'label' ? 0 : 1)
  return events
    .toSorted((left, right) => streamTimeMs(left) - streamTimeMs(right) || rank(left) - rank(right))
    .map((event) =>
      event.kind === 'label' ? event : { kind: 'transaction', transaction: event.transaction },
    )
}

async function historyOf(folder: string, period = WHOLE): Promise<readonly object[]> {
  const events: object[] = []
  for await (const event of readLakeHistory({ folder, ...period })) events.push(event)
  return events
}

test('history comes back event for event, before and after compaction', async (t) => {
  const folder = await filledLake(t)
  const expected = inOrder(simulatedStream(2_000))
  deepStrictEqual(await historyOf(folder), expected)
  const [before] = await ask(
    folder,
    'SELECT count(*), sum(hash(t)::HUGEINT)::VARCHAR FROM transactions t',
  )
  const merges = await compact(folder)
  ok(merges.length > 3)
  deepStrictEqual(await historyOf(folder), expected)
  deepStrictEqual(
    (await ask(folder, 'SELECT count(*), sum(hash(t)::HUGEINT)::VARCHAR FROM transactions t'))[0],
    before,
  )
  deepStrictEqual(await compact(folder), [], 'there is nothing left to do')
  deepStrictEqual(failures(await check(folder)), [])
})

test('history ends at a point in time, for labels by known-at time', async (t) => {
  const folder = await filledLake(t)
  const all = inOrder(simulatedStream(2_000)) as readonly StreamEvent[]
  const times = all.map(streamTimeMs)
  const [fromMs = 0, endMs = 0] = [times[200], times[Math.floor(times.length / 2)]]
  const isInside = (event: StreamEvent): boolean =>
    streamTimeMs(event) < endMs && (event.kind === 'label' || streamTimeMs(event) >= fromMs)
  const inside = all.filter(isInside)
  ok(inside.some(({ kind }) => kind === 'label') && inside.length < all.length - 200)
  deepStrictEqual(await historyOf(folder, { fromMs, endMs }), inside)
})

test('a query has typed columns and the day, also for tables without a file', async (t) => {
  const folder = await filledLake(t, { transactions: 100, commits: 1 })
  deepStrictEqual(await ask(folder, 'SELECT count(*) FROM transactions'), [[100]])
  deepStrictEqual(await ask(folder, 'SELECT count(*) FROM decisions'), [[0]])
  const [first] = await ask(
    folder,
    'SELECT event_time, day, amount_minor, id FROM transactions LIMIT 1',
  )
  match(first?.[0] as string, /^2026-01-01T\d\d:\d\d:\d\d\.\d{3}Z$/)
  strictEqual(first?.[1], '2026-01-01')
  strictEqual(typeof first[2], 'number')
})

test('a statement that is invalid, writes, or reads other files is refused', async (t) => {
  const folder = await filledLake(t, { transactions: 50, commits: 1 })
  const live = join(folder, [...(await readLakeState(folder)).files.keys()][0] ?? '')
  const before = readFileSync(live)
  for (const [sql, text] of [
    ['SELECT * FRM transactions', /syntax error/],
    ['SELECT nothing FROM transactions', /nothing/],
    ['', /empty/],
    ['SELECT 1; SELECT 2', /one statement/],
    ['SELECT * FROM transactions WHERE id = ?', /parameters/],
    ["SELECT * FROM read_csv('/etc/hosts')", /disabled/],
    ["SELECT * FROM read_text('package.json')", /disabled/],
    ["SELECT * FROM glob('*')", /disabled/],
    [`COPY transactions TO '${live}'`, /only statements that read|disabled/],
    ["COPY transactions TO 'out.csv'", /only statements that read|disabled/],
    ['CREATE TABLE a (b INTEGER)', /only statements that read/],
    ['DROP VIEW transactions', /only statements that read/],
    ["ATTACH 'a.db'", /only statements that read|disabled/],
    ['SET enable_external_access = true', /only statements that read|locked/],
    ['INSTALL httpfs', /only statements that read|disabled/],
    ["SELECT getenv('HOME')", /getenv/],
  ] as const) {
    await rejects(ask(folder, sql), isError('SLUICE_USAGE', text), sql)
  }
  deepStrictEqual(readFileSync(live), before)
  for (const sql of [
    'DESCRIBE labels',
    'SUMMARIZE labels',
    'EXPLAIN SELECT 1',
    'FROM transactions LIMIT 1',
  ]) {
    ok((await ask(folder, sql)).length > 0, sql)
  }
  const none = await openFolder(t)
  await rejects(ask(none, 'SELECT 1'), isError('SLUICE_USAGE', /not a lake/))
  await rejects(compact(none), isError('SLUICE_USAGE', /not a lake/))
})

test('EXPLAIN ANALYZE, which runs what it explains, cannot write a file of the lake', async (t) => {
  const folder = await filledLake(t, { transactions: 50, commits: 1 })
  const live = join(folder, [...(await readLakeState(folder)).files.keys()][0] ?? '')
  const before = readFileSync(live)
  const copy = `COPY (SELECT 42 AS a) TO '${live}'`
  for (const sql of [
    `EXPLAIN ANALYZE ${copy} (FORMAT parquet, USE_TMP_FILE false)`,
    `EXPLAIN ANALYZE ${copy} (FORMAT csv, USE_TMP_FILE false)`,
    `explain (analyze) ${copy} (FORMAT csv, USE_TMP_FILE false)`,
    `EXPLAIN (ANALYZE, FORMAT json) ${copy} (FORMAT csv, USE_TMP_FILE false)`,
    `EXPLAIN ANALYZE /* SELECT 1 */ ${copy} (FORMAT csv, USE_TMP_FILE false)`,
    `EXPLAIN/**/ANALYZE ${copy} (FORMAT csv, USE_TMP_FILE false)`,
    `-- \nEXPLAIN ANALYZE ${copy} (FORMAT csv, USE_TMP_FILE false)`,
    `EXPLAIN ${copy}`,
    'EXPLAIN ANALYZE CREATE TABLE a AS SELECT 1',
    'EXPLAIN ANALYZE DROP VIEW transactions',
  ]) {
    await rejects(ask(folder, sql), isError('SLUICE_USAGE', /.*/), sql)
    deepStrictEqual(readFileSync(live), before, sql)
  }
  for (const sql of [
    'EXPLAIN FROM transactions',
    'explain analyze SELECT count(*) FROM transactions',
    'EXPLAIN (FORMAT json) SELECT 1',
    'EXPLAIN (ANALYZE, FORMAT json) SELECT 1',
    'EXPLAIN (SELECT 1)',
    'EXPLAIN WITH a AS (SELECT 1) FROM a',
  ]) {
    ok((await ask(folder, sql)).length > 0, sql)
  }
  deepStrictEqual(readFileSync(live), before)
})

test('a truncated, altered or missing file is found and named', async (t) => {
  const folder = await filledLake(t, { transactions: 1_000, commits: 4 })
  deepStrictEqual(failures(await check(folder)), [])
  const paths = [...(await readLakeState(folder)).files.keys()]
  const [frontier = '', altered = '', gone = ''] = paths.filter((path) =>
    path.startsWith('transactions'),
  )
  truncateSync(join(folder, frontier), 1_000)
  const bytes = readFileSync(join(folder, altered))
  bytes[40] = (bytes[40] ?? 0) ^ 1
  writeFileSync(join(folder, altered), bytes)
  rmSync(join(folder, gone))
  const report = await check(folder)
  const found = report.results.filter(({ status }) => status === 'failed')
  deepStrictEqual(
    new Map(found.map(({ file, detail }) => [file, detail])),
    new Map([
      [frontier, 'the file was truncated or extended'],
      [altered, 'the file was altered: its digest differs'],
      [gone, 'the file is missing'],
    ]),
  )
  await rejects(
    ask(folder, 'SELECT sum(amount_minor) FROM transactions'),
    (error) =>
      isSluiceError(error, 'SLUICE_LAKE_BUSY') || isSluiceError(error, 'SLUICE_LAKE_DAMAGED'),
  )
  await rejects(
    compact(folder),
    (error) =>
      isSluiceError(error, 'SLUICE_LAKE_BUSY') || isSluiceError(error, 'SLUICE_LAKE_DAMAGED'),
  )
})

test('results of a check can be recorded as rows of the lake', async (t) => {
  const folder = await filledLake(t, { transactions: 50, commits: 1 })
  const { results } = await check(folder)
  await recordResults(folder, systemClock, results)
  deepStrictEqual(await ask(folder, 'SELECT count(*) FROM checks'), [[results.length]])
  const { recorded } = await check(folder)
  strictEqual(
    recorded.reduce((sum, { count }) => sum + count, 0),
    results.length,
  )
})

test('a query that began before a compaction asks to be run again', async (t) => {
  const folder = await filledLake(t)
  const asked = queryLake(folder, 'SELECT * FROM transactions ORDER BY id', async (answer) => {
    for await (const row of answer.rows) strictEqual(row.length, 23)
  })
  // Whether the views exist by then or not, the result is complete or the query fails.
  await compact(folder)
  await asked.catch((error: unknown) => {
    if (!isSluiceError(error, 'SLUICE_LAKE_BUSY')) throw error
  })
  deepStrictEqual(await ask(folder, 'SELECT count(*) FROM transactions'), [[2_000]])
})
