// Goal: labels of files are completed by the lake and written once each, however often and however interrupted the import
// is; what is unknown or contradicts is told and not written. Method: the command as an operator runs it, on real topics
// and a lake of simulated payments.

import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { Transaction } from '../../services/core/transaction.ts'
import { openDuckDb, sqlText } from '../../services/platform/lake/duckdb.ts'
import { readTopic } from '../support/acting.ts'
import { numberOf, TOKEN_KEY } from '../support/bridge.ts'
import { filledLake, openFolder, simulatedStream } from '../support/lake.ts'
import { startOf } from '../support/services-build.ts'
import { runSluice } from '../support/sluice-command.ts'
import { openStream, type TestStream } from '../support/streams.ts'

const PAYMENTS = 400

/** An acquirer's file: neither card nor time, which the lake has. */
const MAPPING = `
apiVersion: sluice/v1
name: chargebacks
version: 1
source: { format: csv, delimiter: ';' }
filter: message.kind != "pre-arbitration"
rules:
  - name: chargeback
    label:
      transactionId: reference
      card: { path: account }
      knownAt: { path: received, format: 'dd.MM.yyyy', zone: Europe/Berlin }
      verdict: { path: code, table: { "10.4": fraud, "13.1": genuine } }
      source: { value: chargeback }
`

interface Row {
  readonly reference: string
  readonly account?: string
  readonly received?: string
  readonly code?: string
  readonly kind?: string
}

const HEADER = ['reference', 'account', 'received', 'code', 'kind'] as const

function cellsOf(row: Row): readonly string[] {
  const full = { account: '', received: '03.12.2026', code: '10.4', kind: 'chargeback', ...row }
  return HEADER.map((name) => full[name])
}

function csvOf(rows: readonly Row[]): string {
  return [HEADER, ...rows.map(cellsOf)].map((cells) => `${cells.join(';')}\n`).join('')
}

interface Setup {
  readonly stream: TestStream
  readonly folder: string
  readonly payments: readonly Transaction[]
  readonly args: (...more: readonly string[]) => readonly string[]
}

async function setUp(t: TestContext): Promise<Setup> {
  const stream = await openStream(t, 'label-import')
  const lake = await filledLake(t, { transactions: PAYMENTS })
  const folder = await openFolder(t)
  const mapping = join(folder, 'chargebacks.yaml')
  writeFileSync(mapping, MAPPING)
  const payments = simulatedStream(PAYMENTS).flatMap((event) =>
    event.kind === 'transaction' ? [event.transaction] : [],
  )
  const args = (...more: readonly string[]): readonly string[] => {
    return ['label', 'import', '--mapping', mapping, '--lake', lake, '--json', ...more]
  }
  return { stream, folder, payments, args }
}

function labelsOf(stream: TestStream, countMin: number) {
  return readTopic(stream, 'labels', stream.codecs.label, countMin)
}

function payment({ payments }: Setup, index: number): Transaction {
  const found = payments[index]
  ok(found !== undefined)
  return found
}

test('labels are completed by the lake; unknown and contradicting ones are told, and nothing is written twice', async (t) => {
  const setup = await setUp(t)
  const { stream, folder, args } = setup
  const file = join(folder, 'november.csv')
  const [first, second, third] = [0, 1, 2].map((index) => payment(setup, index).id)
  ok(first !== undefined && second !== undefined && third !== undefined)
  writeFileSync(
    file,
    csvOf([
      { reference: first },
      { reference: second, code: '13.1', account: payment(setup, 1).card },
      { reference: first },
      { reference: second },
      { reference: third, account: 'another-card' },
      { reference: 'ref-of-no-payment' },
      { reference: third, kind: 'pre-arbitration' },
      { reference: third, code: '99.9' },
    ]),
  )
  const sluice = async (...more: readonly string[]) => {
    const { code, stdout, stderr } = await runSluice(args(file, ...more), stream.environment())
    return {
      code,
      stderr,
      said: (stdout === '' ? {} : JSON.parse(stdout)) as Readonly<Record<string, unknown>>,
    }
  }
  const leftOut = {
    ...{ repeated: 1, skipped: 1, unknown: 1 },
    ...{ other_card: 1, other_verdict: 1, refused: 1 },
  }
  const checked = await sluice('--check')
  strictEqual(checked.code, 0, checked.stderr)
  deepStrictEqual([checked.said['written'], checked.said['leftOut']], [2, leftOut])
  const examples = checked.said['examples'] as readonly { kind: string; place: string }[]
  deepStrictEqual(
    examples.map(({ kind, place }) => `${place} ${kind}`),
    [
      'november.csv:5 other_verdict',
      'november.csv:6 other_card',
      'november.csv:7 unknown',
      'november.csv:9 refused',
    ],
  )
  const stopped = await sluice()
  strictEqual(stopped.code, 2)
  match(stopped.stderr, /1 row\(s\) are refused, such as november\.csv:9 .*--skip-bad/)
  strictEqual((await labelsOf(stream, 0)).length, 0)

  strictEqual((await sluice('--skip-bad')).said['written'], 2)
  const expected = [0, 1].map((index) => {
    const { id, card, eventTimeMs, merchant, terminal, device, ipNetwork } = payment(setup, index)
    const knownAtMs = Date.parse('2026-12-02T23:00:00Z')
    const verdict = index === 0 ? 'fraud' : 'genuine'
    const facts = { card, eventTimeMs, merchant, terminal, device, ipNetwork }
    return { transactionId: id, ...facts, knownAtMs, verdict, source: 'chargeback' }
  })
  const byId = (a: { transactionId: string }, b: { transactionId: string }): number =>
    a.transactionId < b.transactionId ? -1 : 1
  const written = (await labelsOf(stream, 2)).map((label) => ({ ...label }))
  deepStrictEqual(written.toSorted(byId), expected.toSorted(byId))

  const again = await sluice('--skip-bad')
  deepStrictEqual(
    [again.said['written'], again.said['leftOut']],
    [0, { ...leftOut, repeated: leftOut.repeated + 2 }],
  )
  strictEqual((await labelsOf(stream, 2)).length, 2)

  // A later file contradicts: told, and written only as a correction.
  writeFileSync(file, csvOf([{ reference: second, received: '09.12.2026' }]))
  deepStrictEqual((await sluice()).said['written'], 0)
  deepStrictEqual((await sluice('--correct')).said['written'], 1)
  // The newest label says what is known, so that the correction is not repeated.
  deepStrictEqual((await sluice('--correct')).said['written'], 0)
  strictEqual((await labelsOf(stream, 3)).length, 3)
})

test('an import that is killed and repeated writes each label once; so do Parquet and lines of JSON', async (t) => {
  const setup = await setUp(t)
  const { stream, folder, args, payments } = setup
  const rows = payments.map(({ id }) => ({ reference: id }))
  const parquet = join(folder, 'all.parquet')
  const csv = join(folder, 'all.csv')
  writeFileSync(csv, csvOf(rows))
  const session = await openDuckDb(null)
  await session.run(
    `COPY (SELECT * FROM read_csv(${sqlText(csv)}, delim = ';', all_varchar = true)) TO ${sqlText(parquet)}`,
  )
  await session.close()
  const child = spawn(
    process.execPath,
    startOf('services/cli/main.ts', args(parquet, '--rate', '100')),
    {
      stdio: 'ignore',
      env: { ...process.env, NODE_TEST_CONTEXT: undefined, ...stream.environment() },
    },
  )
  const ended = once(child, 'exit')
  const before = await labelsOf(stream, 20)
  child.kill('SIGKILL')
  await ended
  ok(before.length < payments.length, 'the import was over before it was killed')

  const json = join(folder, 'all.jsonl')
  const lines = rows.map((row) =>
    JSON.stringify(Object.fromEntries(HEADER.map((name, index) => [name, cellsOf(row)[index]]))),
  )
  writeFileSync(json, lines.join('\n'))
  const second = await runSluice(args(json), stream.environment())
  strictEqual(second.code, 0, second.stderr)
  const said = JSON.parse(second.stdout) as { written: number; leftOut: { repeated: number } }
  strictEqual(said.written + said.leftOut.repeated, payments.length)
  ok(said.leftOut.repeated >= before.length)
  const ids = (await labelsOf(stream, payments.length)).map(({ transactionId }) => transactionId)
  deepStrictEqual(ids.toSorted(), payments.map(({ id }) => id).toSorted())
})

test('without a lake the file has card and time, and card numbers become the tokens of the bridge', async (t) => {
  const { stream, folder } = await setUp(t)
  const mapping = join(folder, 'own.yaml')
  writeFileSync(
    mapping,
    `
apiVersion: sluice/v1
name: own
version: 1
source: { format: json }
rules:
  - name: label
    label:
      transactionId: id
      card: { path: pan, token: hmac }
      eventTime: { path: at, zone: Asia/Seoul }
      verdict: fraud
`,
  )
  const file = join(folder, 'own.ndjson')
  const row = { id: 'p-1', pan: numberOf(7), at: '2026-01-01 10:00:07', fraud: true }
  writeFileSync(file, `${JSON.stringify(row)}\n`)
  const args = ['label', 'import', file, '--mapping', mapping, '--no-lake']
  const keyless = await runSluice(args, stream.environment())
  match(keyless.stderr, /SLUICE_BRIDGE_TOKEN_KEY/)
  const { stdout, stderr, code } = await runSluice(
    args,
    stream.environment({ SLUICE_BRIDGE_TOKEN_KEY: TOKEN_KEY }),
  )
  strictEqual(code, 0, stderr)
  strictEqual(stdout, '1 row(s), 1 label(s) written\n')
  ok(!stderr.includes(row.pan))
  const [label] = await labelsOf(stream, 1)
  match(label?.card ?? '', /^k1-[a-p]{32}$/)
  strictEqual(label?.eventTimeMs, Date.parse('2026-01-01T01:00:07Z'))
})
