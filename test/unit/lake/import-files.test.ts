// Goal: imported files become the same rows as ingested messages, and bad rows are named or counted.
// Method: CSV written by hand and Parquet written by DuckDB, with their own units, formats and words.

import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { isSluiceError } from '../../../services/core/errors.ts'
import {
  NO_MAPPING,
  parseImportMapping,
  type ImportMapping,
} from '../../../services/core/lake/import-mapping.ts'
import { checkLake, importFiles, readLakeHistory } from '../../../services/lake/index.ts'
import { systemClock } from '../../../services/platform/clock.ts'
import { openDuckDb, sqlText } from '../../../services/platform/lake/duckdb.ts'
import { readLakeState } from '../../../services/platform/lake/commit-log.ts'
import { openFolder } from '../../support/lake.ts'

const NEVER = new AbortController().signal
const DAY_MS = 86_400_000

const MAPPING = parseImportMapping('bank.yaml', {
  columns: {
    id: 'ref',
    card: 'client',
    eventTime: { column: 'ts', format: 'epoch_s' },
    amount: { column: 'cents', unit: 'minor' },
    channel: { column: 'how', words: { W: 'ecommerce', P: 'pos' } },
    label: 'bad',
  },
  constants: { currency: 'USD' },
})

const CSV = `ref,client,ts,cents,how,bad
a,card-1,1767225600.25,1999,W,1
b,card-2,1767312000,5,P,0
`

function run(folder: string, files: readonly string[], more: object = {}) {
  const options = {
    folder,
    files,
    mapping: MAPPING,
    delimiter: ',',
    labelDelayMs: 7 * DAY_MS,
    genuineLabels: false,
    skipBad: false,
    again: false,
    clock: systemClock,
    onProgress: () => undefined,
    onMapping: () => undefined,
  }
  return importFiles({ ...options, ...more }, NEVER)
}

async function historyOf(folder: string): Promise<readonly string[]> {
  const lines: string[] = []
  for await (const event of readLakeHistory({ folder, fromMs: -Infinity, endMs: Infinity })) {
    if (event.kind === 'label') {
      const { transactionId, verdict, knownAtMs } = event.label
      lines.push(`${transactionId} ${verdict} ${knownAtMs}`)
    } else {
      const { id, card, eventTimeMs, amountMinor, currency, channel } = event.transaction
      lines.push(`${id} ${card} ${eventTimeMs} ${amountMinor} ${currency} ${channel ?? ''}`)
    }
  }
  return lines
}

const EXPECTED = [
  'a card-1 1767225600250 1999 USD ecommerce',
  'b card-2 1767312000000 5 USD pos',
  `a fraud ${1_767_225_600_250 + 7 * DAY_MS}`,
]

function fileIn(folder: string, name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

test('CSV with its own units, formats, words and constants becomes rows and labels', async (t) => {
  const [folder, files] = [await openFolder(t), await openFolder(t)]
  const summary = await run(folder, [fileIn(files, 'bank.csv', CSV)])
  deepStrictEqual([summary.transactions, summary.labels, summary.skipped], [2, 1, {}])
  deepStrictEqual(await historyOf(folder), EXPECTED)
  const { results } = await checkLake(
    { folder, table: null, day: null, onProgress: () => undefined },
    NEVER,
  )
  deepStrictEqual(
    results.filter(({ status }) => status === 'failed'),
    [],
  )
})

test('Parquet with typed columns gives the same rows as its text', async (t) => {
  const [folder, files] = [await openFolder(t), await openFolder(t)]
  const path = join(files, 'bank.parquet')
  const session = await openDuckDb(null)
  await session.run(
    `COPY (SELECT * FROM (VALUES ('a', 'card-1', TIMESTAMP '2026-01-01 00:00:00.25', 19.99::DOUBLE, 'ecommerce', 1),
      ('b', 'card-2', TIMESTAMP '2026-01-02', 0.05, 'pos', 0)) AS t (id, card, time, amount, channel, label))
      TO ${sqlText(path)} (FORMAT parquet)`,
  )
  await session.close()
  const mapping: ImportMapping = { ...NO_MAPPING, constants: { currency: 'USD' } }
  await run(folder, [path], { mapping })
  deepStrictEqual(await historyOf(folder), EXPECTED)
  const broken = fileIn(files, 'broken.parquet', 'PAR1 is not all that it takes')
  await rejects(
    run(folder, [broken], { mapping }),
    (error: Error) =>
      isSluiceError(error, 'SLUICE_INPUT_INVALID') && error.message.includes('broken.parquet'),
  )
})

test('a bad row names file, line and column, or is counted by its reason', async (t) => {
  const [folder, files] = [await openFolder(t), await openFolder(t)]
  const number = ['4111', '1111', '1111', '1111'].join('')
  const bad = [
    `c,${number},1767225600,1,W,`,
    'd,card-1,yesterday,1,W,',
    'e,card-1,1767225600,1.5,W,',
    'f,card-1,1767225600,1,Q,',
    'g,,1767225600,1,W,',
    'h,card-1,1767225600',
  ]
  for (const [line, column] of [
    [bad[0], 'client'],
    [bad[1], 'ts'],
    [bad[2], 'cents'],
    [bad[3], 'how'],
    [bad[4], 'client'],
  ] as const) {
    const path = fileIn(files, 'bad.csv', `${CSV}${line ?? ''}\n`)
    await rejects(run(folder, [path]), (error: Error) => {
      ok(isSluiceError(error, 'SLUICE_INPUT_INVALID'), error.stack)
      ok(error.message.includes(`bad.csv line 4, column ${column}`), error.message)
      ok(!error.message.includes(number), 'a card number is out')
      return true
    })
  }
  // A refused import leaves nothing.
  strictEqual((await readLakeState(folder)).files.size, 0)
  const path = fileIn(files, 'bad.csv', `${CSV}${bad.join('\n')}\n`)
  const { skipped, transactions } = await run(folder, [path], { skipBad: true })
  strictEqual(transactions, 2)
  deepStrictEqual(skipped, {
    card_number_suspected: 1,
    bad_time: 1,
    bad_amount: 1,
    unknown_word: 1,
    missing_value: 1,
    column_count: 1,
  })
  deepStrictEqual(await historyOf(folder), EXPECTED)
})

test('the same file is not imported twice unless requested', async (t) => {
  const [folder, files] = [await openFolder(t), await openFolder(t)]
  const path = fileIn(files, 'bank.csv', CSV)
  await run(folder, [path])
  await rejects(
    run(folder, [path]),
    (error: Error) => isSluiceError(error, 'SLUICE_USAGE') && /imported before/.test(error.message),
  )
  await run(folder, [path], { again: true })
  strictEqual((await historyOf(folder)).length, 2 * EXPECTED.length)
  deepStrictEqual(readdirSync(join(folder, '_sluice/staging')), [])
})

test('an invalid mapping is refused with the name of the fault', () => {
  for (const [value, text] of [
    [[], /must be an object/],
    [{ column: {} }, /"column"/],
    [{ columns: { nothing: 'a' } }, /nothing/],
    [{ columns: { card: { column: 'a', unit: 'minor' } } }, /only amount has a unit/],
    [{ columns: { amount: { column: 'a', unit: 'cents' } } }, /major, minor/],
    [{ columns: { eventTime: { column: 'a', format: 'iso' } } }, /auto, epoch_s, epoch_ms/],
    [{ columns: { card: {} } }, /card/],
    [{ constants: { currency: null } }, /currency/],
  ] as const) {
    let message = ''
    try {
      parseImportMapping('a.yaml', value)
    } catch (error) {
      ok(isSluiceError(error, 'SLUICE_USAGE'))
      message = error.message
    }
    ok(text.test(message), `${JSON.stringify(value)}: ${message}`)
  }
})
