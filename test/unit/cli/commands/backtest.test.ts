// Goal: `sluice backtest` reports what policies would have done, from a lake or from files, and what is wrong with its
// input. Method: the command as users run it, on lakes made here, without Kafka or Redis.

import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Transaction } from '../../../../services/core/transaction.ts'
import { OUTCOMES, type Outcome } from '../../../../services/core/wire/records.ts'
import { decidedLake, type DecidedLake, type DecidedSample } from '../../../support/decided-lake.ts'
import { openFolder } from '../../../support/lake.ts'
import { runSluice } from '../../../support/sluice-command.ts'

const STRICT = `apiVersion: sluice/v1
name: strict
match: strictest
thresholds: {flag: 0.3, block: 0.6}
rules:
  - name: many_in_an_hour
    when: has(features.card_count_1h) && features.card_count_1h > 3.0
    outcome: flag
    reason: "{card_count_1h} payments in an hour"
`
const MILD = `apiVersion: sluice/v1
name: mild
match: first
thresholds: {flag: 0.7, block: 0.95}
`

interface Figures {
  readonly name: string
  readonly outcomes: Readonly<Record<Outcome, { readonly count: number }>>
  readonly labelled: object | null
}

interface Report {
  readonly facts: { readonly rows: number; readonly labelled: number }
  readonly leftOut: Readonly<Record<string, number>>
  readonly live: Figures
  readonly policies: readonly (Figures & {
    readonly changes: {
      readonly stricter: { readonly count: number; readonly examples: readonly object[] }
    }
  })[]
}

function backtest(args: readonly string[]) {
  return runSluice(['backtest', ...args], {})
}

async function report(args: readonly string[]): Promise<Report> {
  const { code, stdout, stderr } = await backtest([...args, '--json'])
  strictEqual(code, 0, stderr)
  return JSON.parse(stdout) as Report
}

function countsOf({ outcomes }: Figures): readonly number[] {
  return OUTCOMES.map((outcome) => outcomes[outcome].count)
}

function policies(folder: string): { readonly strict: string; readonly mild: string } {
  const [strict, mild] = [join(folder, 'strict.yaml'), join(folder, 'mild.yaml')]
  writeFileSync(strict, STRICT)
  writeFileSync(mild, MILD)
  return { strict, mild }
}

function decided({ samples }: DecidedLake): readonly DecidedSample[] {
  return samples.filter(({ duplicateOfOffset }) => duplicateOfOffset === null)
}

/** Outcomes by the score alone, as the mild policy has them. */
function mildCounts(samples: readonly DecidedSample[]): readonly number[] {
  const of = ({ score }: DecidedSample): Outcome => {
    if (Number.isNaN(score)) return 'flag'
    return score >= 0.95 ? 'block' : score >= 0.7 ? 'flag' : 'approve'
  }
  return OUTCOMES.map((outcome) => samples.filter((sample) => of(sample) === outcome).length)
}

function csvOf(samples: readonly DecidedSample[], hasScores: boolean): string {
  const cells = ({ id, card, eventTimeMs, amountMinor, currency, intentId }: Transaction) =>
    [id, card, eventTimeMs, amountMinor, currency, intentId ?? ''].join(',')
  const scoreOf = ({ score }: DecidedSample) => (Number.isNaN(score) ? '' : String(score))
  const lines = samples
    .toSorted((a, b) => a.transaction.eventTimeMs - b.transaction.eventTimeMs)
    .map((sample) =>
      hasScores
        ? `${cells(sample.transaction)},${scoreOf(sample)},0`
        : `${cells(sample.transaction)},0`,
    )
  const header = 'id,card,event_time,amount,currency,intent_id'
  return [`${header}${hasScores ? ',score' : ''},label`, ...lines, ''].join('\n')
}

const MINOR_MAPPING = 'columns:\n  amount: {column: amount, unit: minor}\n'

test('many policies on a lake: outcomes, differences both ways, a table, JSON and a page', async (t) => {
  const lake = await decidedLake(t)
  const { strict, mild } = policies(lake.folder)
  const page = join(lake.folder, 'report.html')
  const asked = ['--lake', lake.folder, '--policy', strict, '--policy', `${mild}=second`]
  const {
    facts,
    live,
    policies: ruled,
  } = await report([...asked, ...['--html', page, '--examples', '1000']])
  const all = decided(lake)
  strictEqual(facts.rows, all.length)
  deepStrictEqual(
    countsOf(live),
    OUTCOMES.map((outcome) => all.filter((sample) => sample.outcome === outcome).length),
  )
  deepStrictEqual(
    ruled.map(({ name }) => name),
    ['strict', 'second'],
  )
  const [first, second] = ruled
  ok(first !== undefined && second !== undefined)
  deepStrictEqual(countsOf(second), mildCounts(all))
  ok(first.changes.stricter.count > 0)
  strictEqual(first.changes.stricter.examples.length, first.changes.stricter.count)
  match(JSON.stringify(first.changes.stricter.examples), /payments in an hour/)
  match(readFileSync(page, 'utf8'), /<h1>Backtest<\/h1>/)
  const table = await backtest(asked)
  strictEqual(table.code, 0)
  match(table.stdout, /^ +approve +\d/m)
  match(table.stderr, /day 1 of \d+/)
})

test('the same transactions from files with scores give the same outcomes as from the lake', async (t) => {
  const lake = await decidedLake(t, { transactions: 1_500 })
  const { strict, mild } = policies(lake.folder)
  const [file, mapping] = [join(lake.folder, 'rows.csv'), join(lake.folder, 'mapping.yaml')]
  writeFileSync(file, csvOf(decided(lake), true))
  writeFileSync(mapping, MINOR_MAPPING)
  const asked = ['--policy', strict, '--live', mild]
  const ofLake = await report(['--lake', lake.folder, ...asked])
  const ofFile = await report(['--data', file, '--mapping', mapping, ...asked])
  deepStrictEqual(ofFile.policies.map(countsOf), ofLake.policies.map(countsOf))
  deepStrictEqual(countsOf(ofFile.live), mildCounts(decided(lake)))
})

test('files without scores are scored by a model, whose thresholds stand for what was decided', async (t) => {
  const lake = await decidedLake(t, { transactions: 400 })
  const { mild } = policies(lake.folder)
  const [file, mapping] = [join(lake.folder, 'rows.csv'), join(lake.folder, 'mapping.yaml')]
  writeFileSync(file, csvOf(decided(lake), false))
  writeFileSync(mapping, MINOR_MAPPING)
  const asked = ['--data', file, '--mapping', mapping, '--policy', mild]
  const { facts, live } = await report([...asked, '--model', 'models/simulator'])
  strictEqual(facts.rows, decided(lake).length)
  strictEqual(
    countsOf(live).reduce((sum, count) => sum + count, 0),
    facts.rows,
  )
  const without = await backtest([...asked, '--live', mild])
  strictEqual(without.code, 2)
  match(without.stderr, /no column "score".*--score-column.*--model/)
  const nobody = await backtest(asked)
  strictEqual(nobody.code, 2)
  match(nobody.stderr, /do not say what was decided.*--live.*--model/)
})

test('a policy with faults is refused with the place of each', async (t) => {
  const folder = await openFolder(t)
  const file = join(folder, 'bad.yaml')
  writeFileSync(file, `${STRICT}colour: red\nunscored: maybe\n`)
  const { code, stderr } = await backtest(['--lake', folder, '--policy', file])
  strictEqual(code, 2)
  match(stderr, /bad\.yaml:10:\d+: colour/)
  match(stderr, /bad\.yaml:11:\d+: unscored/)
  match(stderr, /SLUICE_POLICY_INVALID/)
})

test('a range without rows says which there are', async (t) => {
  const lake = await decidedLake(t, { transactions: 200 })
  const { mild } = policies(lake.folder)
  const asked = ['--lake', lake.folder, '--policy', mild, '--from', '2031-01-01']
  const { code, stderr } = await backtest(asked)
  strictEqual(code, 2)
  match(stderr, /There is no row to rule.*has decisions from 2026-01-01T.*--from and --to/)
})

test('rows of another feature list are counted, and without others there is nothing to rule', async (t) => {
  const lake = await decidedLake(t, { transactions: 200, featureListHash: 'another list' })
  const { mild } = policies(lake.folder)
  const { code, stderr } = await backtest(['--lake', lake.folder, '--policy', mild])
  strictEqual(code, 2)
  match(stderr, /No row can be ruled; left out: .*\d+ other_feature_list/)
})

test('without labels outcomes are told, and that nothing is known of the truth', async (t) => {
  const lake = await decidedLake(t, {
    transactions: 300,
    change: (events) => events.filter(({ kind }) => kind === 'transaction'),
  })
  const { mild } = policies(lake.folder)
  const { code, stdout, stderr } = await backtest(['--lake', lake.folder, '--policy', mild])
  strictEqual(code, 0)
  match(stderr, /No label is known of any of these transactions/)
  ok(!stdout.includes('precision'))
  const { policies: ruled } = await report(['--lake', lake.folder, '--policy', mild])
  strictEqual(ruled[0]?.labelled, null)
})

test('a policy that goes by a model that is not there is told which one', async (t) => {
  const lake = await decidedLake(t, { transactions: 200 })
  const file = join(lake.folder, 'model.yaml')
  writeFileSync(file, 'apiVersion: sluice/v1\nname: as_model\nmatch: first\nthresholds: model\n')
  const { code, stderr } = await backtest(['--lake', lake.folder, '--policy', file])
  strictEqual(code, 1)
  match(
    stderr,
    /as_model goes by the thresholds of the model that decided, but (ab){32} is neither/,
  )
})

test('two policies of one name, and a list without a file, are refused', async (t) => {
  const lake = await decidedLake(t, { transactions: 100 })
  const { mild } = policies(lake.folder)
  const twice = await backtest(['--lake', lake.folder, '--policy', mild, '--policy', mild])
  strictEqual(twice.code, 2)
  match(twice.stderr, /two policies are called mild/)
  const list = await backtest(['--lake', lake.folder, '--policy', mild, '--list', 'vip'])
  strictEqual(list.code, 2)
  match(list.stderr, /--list NAME=FILE/)
})
