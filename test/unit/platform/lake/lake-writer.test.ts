// Goal: of two writers only one can commit, a crash leaves nothing half done, and a log of any length is read correctly.
// Method: real folders; the lock is removed by hand, as on a broken file system, so that only the log protects.

import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { isSluiceError } from '../../../../services/core/errors.ts'
import { parseLogName } from '../../../../services/core/lake/lake-log.ts'
import { loadDuckDb } from '../../../../services/platform/lake/duckdb.ts'
import { logFolder, readLakeState } from '../../../../services/platform/lake/commit-log.ts'
import {
  addEvents,
  livePaths,
  openFolder,
  openWriter,
  simulatedStream,
} from '../../../support/lake.ts'

const isBusy = (error: unknown): boolean => isSluiceError(error, 'SLUICE_LAKE_BUSY')
const lockOf = (folder: string): string => join(folder, '_sluice/writer.lock')

test('a second writer is refused while the first is alive, and may write once it has closed', async (t) => {
  const folder = await openFolder(t)
  const first = await openWriter(folder, 'the first')
  await rejects(
    openWriter(folder),
    (error: Error) => isBusy(error) && /the first/.test(error.message),
  )
  await first.close()
  await (await openWriter(folder)).close()
})

test('the lock of an ended process is ignored', async (t) => {
  const folder = await openFolder(t)
  await (await openWriter(folder)).close()
  const dead = {
    host: hostname(),
    token: 'x',
    pid: 1,
    startTime: '-',
    writer: 'a dead one',
  }
  writeFileSync(lockOf(folder), JSON.stringify(dead))
  await (await openWriter(folder)).close()
})

test('a fenced writer commits nothing and removes nothing', async (t) => {
  const folder = await openFolder(t)
  const events = simulatedStream(200)
  const first = await openWriter(folder, 'the first')
  await addEvents(first, events.slice(0, 100), 0)
  // The lock fails: a second writer starts while the first is alive.
  await rm(lockOf(folder))
  const second = await openWriter(folder, 'the second')
  await addEvents(second, events.slice(100, 150), 100)
  const before = await readLakeState(folder)
  await rejects(addEvents(first, events.slice(100, 150), 100), isBusy)
  await first.close()
  ok(existsSync(lockOf(folder)), 'the lock is the second one’s by now')
  deepStrictEqual(await readLakeState(folder), before)
  for (const path of before.files.keys()) ok(existsSync(join(folder, path)), path)
  await addEvents(second, events.slice(150), 150)
  await second.close()
})

test('files that no commit lists are removed at the next opening, and other files stay', async (t) => {
  const folder = await openFolder(t)
  const writer = await openWriter(folder)
  await addEvents(writer, simulatedStream(50), 0)
  await writer.close()
  const [live = ''] = livePaths(writer, 'transactions')
  const day = join(folder, dirname(live))
  const leftover = join(day, 'part-p09-o000000000000-000000000009.parquet')
  const foreign = join(day, 'notes.txt')
  const staged = join(folder, '_sluice/staging/half.parquet')
  const temporary = join(folder, '_sluice/staging/duckdb-x')
  for (const path of [leftover, foreign, staged]) writeFileSync(path, 'x')
  await mkdir(temporary)
  await (await openWriter(folder)).close()
  deepStrictEqual(
    [leftover, foreign, staged, temporary, join(folder, live)].map((path) => existsSync(path)),
    [false, true, false, false, true],
  )
})

test('an existing file is not overwritten: the new one gets another name', async (t) => {
  const folder = await openFolder(t)
  const events = simulatedStream(50)
  const probe = await openWriter(await openFolder(t))
  await addEvents(probe, events, 0)
  await probe.close()
  const writer = await openWriter(folder)
  const [taken = ''] = livePaths(probe, 'transactions')
  await mkdir(dirname(join(folder, taken)), { recursive: true })
  writeFileSync(join(folder, taken), 'of a writer that was shut out')
  await addEvents(writer, events, 0)
  await writer.close()
  const paths = livePaths(writer, 'transactions')
  ok(!paths.includes(taken))
  ok(paths.includes(taken.replace('.parquet', '-2.parquet')))
})

test('checkpoints keep the log short, with the same state', async (t) => {
  const folder = await openFolder(t)
  const writer = await openWriter(folder)
  for (let offset = 1; offset <= 300; offset += 1) {
    await writer.commit({ kind: 'ingest', staged: [], next: { 'transactions/0': offset } })
  }
  await writer.close()
  deepStrictEqual(await readLakeState(folder), writer.state)
  const names = readdirSync(logFolder(folder)).map(parseLogName)
  ok(names.length < 230, `${names.length} files`)
  ok(names.some((name) => name?.kind === 'checkpoint'))
  strictEqual((await readLakeState(folder)).next.get('transactions/0'), 300)
})

test('without DuckDB the error explains how to install it', async () => {
  await rejects(
    loadDuckDb(() => Promise.reject(new Error('Cannot find package'))),
    (error: Error) =>
      isSluiceError(error, 'SLUICE_PREREQUISITE_MISSING') && /include=optional/.test(error.message),
  )
})
