// Goal: files become the stream that their rows describe, and faults are reported exactly. Method: small
// files written for each test; an oracle for the order of labels.

import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { isSluiceError } from '../../../services/core/errors.ts'
import { openReplay, rangeOfBound, streamTimeMs } from '../../../services/producer/index.ts'
import type { ColumnMapping, ReplayOptions, StreamEvent } from '../../../services/producer/index.ts'

const HEADER = 'id,time,card,amount,is_fraud'

interface Folder {
  readonly path: string
  write(name: string, lines: readonly string[] | Buffer): string
}

function makeFolder(t: TestContext): Folder {
  const path = mkdtempSync(join(tmpdir(), 'sluice-replay-'))
  t.after(() => {
    rmSync(path, { recursive: true })
  })
  return {
    path,
    write: (name, lines) => {
      const file = join(path, name)
      writeFileSync(file, lines instanceof Buffer ? lines : `${lines.join('\n')}\n`)
      return file
    },
  }
}

async function replayed(
  paths: readonly string[],
  options: Partial<ReplayOptions> = {},
): Promise<readonly StreamEvent[]> {
  const events: StreamEvent[] = []
  for await (const event of await openReplay({ paths, ...options })) events.push(event)
  return events
}

function idsOf(events: readonly StreamEvent[]): readonly string[] {
  return events.map((event) =>
    event.kind === 'transaction' ? event.transaction.id : `label ${event.label.transactionId}`,
  )
}

function refusal(...parts: readonly string[]): (error: unknown) => boolean {
  return (error) => {
    ok(isSluiceError(error, 'SLUICE_INPUT_INVALID'), String(error))
    for (const part of parts) ok(error.message.includes(part), `${error.message} lacks ${part}`)
    strictEqual(error.exitCode, 2)
    return true
  }
}

test('a row becomes a transaction, and its label is known after the delay', async (t) => {
  const folder = makeFolder(t)
  const file = folder.write('a.csv', [
    'transaction_id,timestamp,card_id,amount,currency,merchant,mcc,terminal,country,lat,lon,' +
      'utc_offset,device,ip_network,channel,entry_mode,authorisation,intent_id,label',
    't1,2020-01-01T10:00:00Z,c1,12.3,gbp,m1,5411,x1,gb,51.5,-0.12,+00:00,d1,10.0.0.0/24,POS,chip,approved,i1,fraud',
  ])
  const [transaction, label] = await replayed([file], { labelDelayMs: 5_000 })
  const eventTimeMs = Date.UTC(2020, 0, 1, 10)
  deepStrictEqual(transaction, {
    kind: 'transaction',
    fraudPattern: null,
    transaction: {
      id: 't1',
      card: 'c1',
      eventTimeMs,
      amountMinor: 1_230,
      currency: 'GBP',
      merchant: 'm1',
      merchantCategory: '5411',
      terminal: 'x1',
      country: 'GB',
      latitude: 51.5,
      longitude: -0.12,
      utcOffsetMinutes: 0,
      device: 'd1',
      ipNetwork: '10.0.0.0/24',
      channel: 'pos',
      entryMode: 'chip',
      authorisation: 'approved',
      intentId: 'i1',
      attributes: null,
    },
  })
  deepStrictEqual(label, {
    kind: 'label',
    label: {
      transactionId: 't1',
      card: 'c1',
      eventTimeMs,
      knownAtMs: eventTimeMs + 5_000,
      verdict: 'fraud',
      source: 'replay',
      merchant: 'm1',
      terminal: 'x1',
      device: 'd1',
      ipNetwork: '10.0.0.0/24',
    },
  })
})

test('labels are merged by known-at time for any stream and delay, and none is lost', async (t) => {
  const folder = makeFolder(t)
  const startS = Date.UTC(2020, 0, 1) / 1_000
  const row = fc.record({ gapS: fc.constantFrom(0, 1, 5, 10), label: fc.constantFrom(0, 1, 2) })
  await fc.assert(
    fc.asyncProperty(
      fc.array(row, { minLength: 1, maxLength: 40 }),
      fc.constantFrom(0, 1_000, 5_000, 10_000, 1_000_000),
      fc.boolean(),
      async (rows, labelDelayMs, genuineLabels) => {
        let timeS = startS
        const lines = rows.map(({ gapS, label }, index) => {
          timeS += gapS
          return `t${index},${timeS},c,1.00,${label}`
        })
        const file = folder.write('a.csv', [HEADER, ...lines])
        const events = await replayed([file], { labelDelayMs, genuineLabels })
        const labelled = rows.filter(({ label }) => label === 1 || (genuineLabels && label === 0))
        strictEqual(events.length, rows.length + labelled.length)
        let lastMs = 0
        for (const event of events) {
          ok(streamTimeMs(event) >= lastMs)
          lastMs = streamTimeMs(event)
        }
      },
    ),
    { numRuns: 40 },
  )
})

test('plain and gzip files give the same stream, and a byte order mark is ignored', async (t) => {
  const folder = makeFolder(t)
  const text = `${HEADER}\r\nt1,2020-01-01,c1,1.00,1\r\nt2,2020-01-02,c1,2.00,0\r\n`
  const plain = await replayed([folder.write('a.csv', Buffer.from(`\uFEFF${text}`))])
  // Gzip is recognised by its first bytes, not by its name.
  const packed = await replayed([folder.write('b.csv', gzipSync(text))])
  strictEqual(plain.length, 3)
  deepStrictEqual(packed, plain)
})

test('a folder is read in the order of names, and files of other days are not opened', async (t) => {
  const folder = makeFolder(t)
  folder.write('2020-01-03.csv', [HEADER, 'c,2020-01-03T08:00:00Z,c,1.00,0'])
  folder.write('2020-01-01.csv', ['this file is no CSV of ours'])
  folder.write('2020-01-02.csv.gz', gzipSync(`${HEADER}\na,2020-01-02T09:00:00Z,c,1.00,0\n`))
  folder.write('2020-01-04.csv', ['and neither is this one'])
  folder.write('notes.txt', ['not read'])
  const bounds = {
    fromMs: rangeOfBound('2020-01-02')?.fromMs ?? 0,
    endMs: rangeOfBound('2020-01-03')?.endMs ?? 0,
  }
  deepStrictEqual(idsOf(await replayed([folder.path], { bounds })), ['a', 'c'])
})

test('bounds also apply to the rows of a file, both days inclusive', async (t) => {
  const folder = makeFolder(t)
  const file = folder.write('all.csv', [
    HEADER,
    'a,2020-01-01T23:59:59.999Z,c,1.00,0',
    'b,2020-01-02T00:00:00Z,c,1.00,0',
    'c,2020-01-03T23:59:59.999Z,c,1.00,0',
    'd,2020-01-04T00:00:00Z,c,1.00,0',
  ])
  const bounds = { fromMs: Date.UTC(2020, 0, 2), endMs: rangeOfBound('2020-01-03')?.endMs ?? 0 }
  deepStrictEqual(idsOf(await replayed([file], { bounds })), ['b', 'c'])
})

test('at most the requested number of transactions is read, with all their labels', async (t) => {
  const folder = makeFolder(t)
  const rows = ['a', 'b', 'c'].map((id, day) => `${id},2020-01-0${day + 1},c,1.00,1`)
  const file = folder.write('a.csv', [HEADER, ...rows])
  deepStrictEqual(idsOf(await replayed([file], { transactionsMax: 2 })), [
    'a',
    'b',
    'label a',
    'label b',
  ])
})

test('rows without an id get one from their file and line, and currency is EUR by default', async (t) => {
  const folder = makeFolder(t)
  const file = folder.write('a.csv', [
    'time,card,amount',
    '2020-01-01,c1,1.00',
    '2020-01-02,c1,2.00',
  ])
  const events = await replayed([file])
  deepStrictEqual(idsOf(events), ['a.csv:2', 'a.csv:3'])
  ok(events.every((event) => event.kind === 'label' || event.transaction.currency === 'EUR'))
  const dollars = await replayed([file], { constants: { currency: 'USD', country: 'US' } })
  const [first] = dollars
  ok(first?.kind === 'transaction')
  deepStrictEqual([first.transaction.currency, first.transaction.country], ['USD', 'US'])
})

test('each different mapping is reported once', async (t) => {
  const folder = makeFolder(t)
  folder.write('a.csv', ['time,card,amount', '2020-01-01,c1,1.00'])
  folder.write('b.csv', ['amount,time,card', '2.00,2020-01-02,c1'])
  folder.write('c.csv', ['date,card,amt', '2020-01-03,c1,3.00'])
  const told: [string, ColumnMapping][] = []
  const replay = await openReplay({ paths: [folder.path] }, (file, mapping) => {
    told.push([file.slice(-5), mapping])
  })
  let count = 0
  for await (const event of replay) count += event.kind === 'transaction' ? 1 : 0
  strictEqual(count, 3)
  deepStrictEqual(told, [
    ['a.csv', { card: 'card', eventTime: 'time', amount: 'amount' }],
    ['c.csv', { card: 'card', eventTime: 'date', amount: 'amt' }],
  ])
})

const BAD_ROWS: readonly (readonly [what: string, row: string, ...parts: string[]])[] = [
  ['a third decimal', 't,2020-01-02,c,1.234,0', 'column amount', '"1.234"', 'decimals of EUR'],
  ['a time that is none', 't,soon,c,1.00,0', 'column time', '"soon"', 'ISO 8601'],
  ['an empty card', 't,2020-01-02,,1.00,0', 'column card', 'empty'],
  ['an unknown label', 't,2020-01-02,c,1.00,maybe', 'column is_fraud', '"maybe"'],
  ['a cell too few', 't,2020-01-02,c,1.00', '4 cells', 'header 5'],
  ['an identifier too long', `${'t'.repeat(65)},2020-01-02,c,1.00,0`, 'column id'],
  ['a time before the row above', 't,2019-12-31,c,1.00,0', '2019-12-31', 'line 2', '--sort'],
]

for (const [what, row, ...parts] of BAD_ROWS) {
  test(`a bad row is an error with file, line, value and remedy: ${what}`, async (t) => {
    const folder = makeFolder(t)
    const file = folder.write('a.csv', [HEADER, 'ok,2020-01-01,c,1.00,0', row])
    await rejects(replayed([file]), refusal('a.csv line 3', '--skip-bad', ...parts))
  })
}

test('a card number is refused and never repeated', async (t) => {
  const folder = makeFolder(t)
  const file = folder.write('a.csv', [HEADER, 't,2020-01-01,4111111111111111,1.00,0'])
  await rejects(replayed([file]), (error) => {
    refusal('column card', 'looks like a card number')(error)
    ok(error instanceof Error && !error.message.includes('4111'))
    return true
  })
})

test('bad rows are counted by reason and skipped on request, and all good ones are read', async (t) => {
  const folder = makeFolder(t)
  const file = folder.write('a.csv', [
    HEADER,
    'ok1,2020-01-01,c,1.00,0',
    ...BAD_ROWS.map(([, row]) => row),
    't,2020-01-02,4111111111111111,1.00,0',
    'ok2,2020-01-02,c,1.00,0',
  ])
  const replay = await openReplay({ paths: [file], skipBad: true })
  const events: StreamEvent[] = []
  for await (const event of replay) events.push(event)
  deepStrictEqual(idsOf(events), ['ok1', 'ok2'])
  deepStrictEqual(replay.skipped(), {
    bad_amount: 1,
    bad_time: 1,
    missing_value: 1,
    unknown_word: 1,
    column_count: 1,
    out_of_range: 1,
    out_of_order: 1,
    card_number_suspected: 1,
  })
})

test('sorting orders the rows of a file by time and keeps ties as they were', async (t) => {
  const folder = makeFolder(t)
  const file = folder.write('a.csv', [
    HEADER,
    'c,2020-01-02,c,1.00,0',
    'a,2020-01-01,c,1.00,0',
    'd,2020-01-02,c,1.00,0',
    'b,2020-01-01,c,1.00,0',
  ])
  deepStrictEqual(idsOf(await replayed([file], { sort: true })), ['a', 'b', 'c', 'd'])
})

test('overlapping files are an error that names both', async (t) => {
  const folder = makeFolder(t)
  folder.write('a.csv', [HEADER, 'a,2020-01-05,c,1.00,0'])
  folder.write('b.csv', [HEADER, 'b,2020-01-04,c,1.00,0'])
  await rejects(replayed([folder.path], { sort: true }), refusal('b.csv line 2', 'a.csv line 2'))
})

test('unreadable input is reported with the reason: missing, not CSV, empty, damaged, truncated', async (t) => {
  const folder = makeFolder(t)
  const text = `${HEADER}\n${'t,2020-01-01,c,1.00,0\n'.repeat(500)}`
  const packed = gzipSync(text)
  const damaged = Buffer.from(packed)
  damaged.fill(0xff, 20, 40)
  await rejects(replayed([join(folder.path, 'no.csv')]), refusal('no.csv does not exist'))
  await rejects(replayed([folder.path]), refusal('holds no CSV file'))
  await rejects(replayed([folder.write('empty.csv', Buffer.alloc(0))]), refusal('is empty'))
  const frontier = folder.write('cut.csv', packed.subarray(0, packed.length - 12))
  await rejects(replayed([frontier]), refusal('cut short'))
  await rejects(replayed([folder.write('bad.csv', damaged)]), refusal('damaged'))
  const open = folder.write('quote.csv', [HEADER, '"t,2020-01-01,c,1.00,0'])
  await rejects(replayed([open]), refusal('quote.csv line', 'no CSV'))
  const bounds = { fromMs: Date.UTC(2021, 0, 1), endMs: Date.UTC(2021, 0, 2) }
  const dated = folder.write('2020-01-01.csv', [HEADER])
  await rejects(replayed([dated], { bounds }), refusal('None of the 1 files'))
})
