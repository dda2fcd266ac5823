// Goal: the lake writer can be operated. Its metrics report written and waiting rows, a restart neither loses nor
// duplicates a row, and a card erased on request never comes back. Method: `sluice lake ingest` in its own process on
// real topics; its pages are read as Prometheus and a probe do.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { seriesOf } from '../../services/cli/metrics-page.ts'
import { TOPIC_TABLES } from '../../services/core/lake/lake-tables.ts'
import type { SluiceError } from '../../services/core/errors.ts'
import { systemClock } from '../../services/platform/clock.ts'
import { readLakeState } from '../../services/platform/lake/commit-log.ts'
import { INGEST_DEFAULTS, runIngest } from '../../services/lake/index.ts'
import { metricOf } from '../support/acting.ts'
import { startCli, type CliProcess } from '../support/cli-process.ts'
import { failures, filesShowing } from '../support/erasable-lake.ts'
import { linesOfLake, linesOfTopics, runLake } from '../support/lake-process.ts'
import { openFolder } from '../support/lake.ts'
import { eventually, readUntil } from '../support/poll.ts'
import { openStream, simulatedEvents } from '../support/streams.ts'

const crowd = { cards: 50, terminals: 20, merchants: 20, fraudShare: 0.1 }

async function pageOf({ metricsPort }: CliProcess, path: string): Promise<[number, string]> {
  const response = await fetch(`http://127.0.0.1:${metricsPort}${path}`)
  return [response.status, await response.text()]
}

async function lagOf(writer: CliProcess): Promise<readonly number[]> {
  const [, text] = await pageOf(writer, '/metrics')
  return seriesOf(text, 'sluice_lake_lag_messages').map(({ value }) => value)
}

async function rowsWritten(writer: CliProcess): Promise<number> {
  let sum = 0
  for (const table of TOPIC_TABLES) {
    sum += await metricOf(writer.metricsPort, `sluice_lake_rows_total{table="${table}"}`)
  }
  return sum
}

test('a running writer exports metrics, stops, starts again and erases on request', async (t) => {
  const stream = await openStream(t, 'lake-service')
  const folder = await openFolder(t)
  const args = ['lake', 'ingest', '--lake', folder, '--metrics-port', '0', '--flush-every', '300ms']
  const start = () => startCli(t, args, stream.environment())
  const events = await simulatedEvents(600, crowd)
  await stream.send(events.slice(0, 300))

  const first = await start()
  const isWritten = async (writer: CliProcess): Promise<boolean> => {
    const lags = await lagOf(writer)
    return lags.length > 0 && lags.every((lag) => lag === 0)
  }
  await eventually('all that was sent is written', () => isWritten(first))
  const [status, ready] = await pageOf(first, '/readyz')
  deepStrictEqual([status, JSON.parse(ready)], [200, { ready: true, batchFailing: false }])
  const wanted = await linesOfTopics(stream)
  strictEqual(await rowsWritten(first), wanted.length)
  const port = first.metricsPort
  const value = (series: string) => metricOf(port, series)
  ok((await value('sluice_lake_written_bytes_total{table="transactions"}')) > 1_000)
  ok((await value('sluice_lake_checks_total{check="rows",status="ok"}')) > 0)
  strictEqual(await value('sluice_lake_checks_total{check="rows",status="failed"}'), 0)
  strictEqual(await value('sluice_lake_batch_failing'), 0)
  strictEqual(await value('sluice_lake_following'), 1)
  ok((await value('sluice_lake_files{table="transactions"}')) > 0)
  const [, text] = await pageOf(first, '/metrics')
  ok(text.includes('sluice_lake_newest_file_age_seconds{table="transactions"}'))
  ok(!text.includes('sluice_lake_newest_file_age_seconds{table="decisions"}'), 'it has no file')
  ok(text.includes('sluice_lake_lag_seconds{table="transactions",partition="0"} 0\n'))

  // Messages sent while no writer runs are written by the next one, once.
  strictEqual(await first.end('SIGTERM'), 0)
  await stream.send(events.slice(300, 450))
  const second = await start()
  await eventually('it has caught up', () => isWritten(second))
  deepStrictEqual(await linesOfLake(folder), await linesOfTopics(stream))

  const [{ card } = { card: '' }] = events
    .slice(0, 450)
    .flatMap((event) => (event.kind === 'label' ? [event.label] : []))
  ok((await filesShowing(folder, card)).length > 0)
  const erased = await runLake(stream, ['erase', '--lake', folder, '--card', card, '--json'])
  strictEqual(erased.code, 0, erased.stderr)
  ok(erased.stderr.includes('was asked'), erased.stderr)
  deepStrictEqual(await filesShowing(folder, card), [], 'no row, and no request is left')
  const [entry] = (await readLakeState(folder)).erasures
  ok(entry !== undefined && entry.rows.transactions > 0 && entry.rows.labels > 0)
  // The writer counts after the work that the command waits for.
  await readUntil(
    'the rows are counted',
    () => metricOf(second.metricsPort, 'sluice_lake_erased_rows_total{table="transactions"}'),
    (rows) => rows === entry.rows.transactions,
  )

  // The topics still hold the card. A later intake begins behind it, also in a new process.
  strictEqual(await second.end('SIGTERM'), 0)
  const later = events.slice(450).filter((event) => {
    if (event.kind === 'transaction') return event.transaction.card !== card
    return event.kind === 'label' && event.label.card !== card
  })
  await stream.send(later)
  const last = await runLake(stream, ['ingest', '--exit', '--lake', folder])
  strictEqual(last.code, 0, last.stderr)
  deepStrictEqual(await filesShowing(folder, card), [])
  const lines = await linesOfTopics(stream)
  const gone = entry.rows.transactions + entry.rows.labels
  const now = await linesOfLake(folder)
  strictEqual(now.length, lines.length - gone)
  const all = new Set(lines)
  deepStrictEqual(
    now.filter((line) => !all.has(line)),
    [],
  )
  deepStrictEqual(await failures(folder), [])
})

test('a batch that fails its checks is not committed, is reported, and is retried', async (t) => {
  const stream = await openStream(t, 'lake-failing')
  const folder = await openFolder(t)
  await stream.send(await simulatedEvents(100, crowd))
  let isBroken = true
  const codecs = {
    ...stream.codecs,
    decodeTransactionMessage: (bytes: Buffer | null) => {
      const decoded = stream.codecs.decodeTransactionMessage(bytes)
      if (!isBroken || decoded.kind !== 'transaction') return decoded
      return { ...decoded, value: { ...decoded.value, latitude: 999 } }
    },
  }
  const stop = new AbortController()
  const failed: SluiceError[] = []
  let port = 0
  const running = runIngest(
    {
      brokers: stream.brokers,
      folder,
      topicPrefix: stream.prefix,
      codecs,
      ...INGEST_DEFAULTS,
      flushMs: 100,
      acceptGap: false,
      compactMs: null,
      clock: systemClock,
      metrics: { host: '127.0.0.1', port: 0 },
      retryMs: 200,
      onFlush: () => undefined,
      onMerge: () => undefined,
      onErased: () => undefined,
      onReady: (metricsPort) => {
        port = metricsPort
      },
      onFailedBatch: (error) => {
        failed.push(error)
      },
    },
    stop.signal,
  )
  running.catch(() => undefined)
  await eventually('it has failed twice', () => Promise.resolve(failed.length > 1))
  strictEqual(failed[0]?.code, 'SLUICE_LAKE_DAMAGED')
  ok((await metricOf(port, 'sluice_lake_checks_total{check="ranges",status="failed"}')) > 0)
  strictEqual(await metricOf(port, 'sluice_lake_batch_failing'), 1)
  deepStrictEqual((await readLakeState(folder)).files.size, 0, 'nothing of it counts')
  isBroken = false
  await eventually(
    'it passes',
    async () => (await metricOf(port, 'sluice_lake_batch_failing')) === 0,
  )
  stop.abort()
  const { rows } = await running
  strictEqual(rows.transactions, 100)
  deepStrictEqual(await linesOfLake(folder), await linesOfTopics(stream))
})
