// Goal: an interrupted evaluation continues and gives the result of an uninterrupted one, and fewer seeds can be
// summarised from the stored scores. Method: two short protocols over the simulator, with tiny nets.

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { DEFAULT_RATES } from '../../../../services/core/rates/default-rates.ts'
import { isSluiceError } from '../../../../services/core/errors.ts'
import { SIMULATION_START_MS } from '../../../../tools/simulator/options.ts'
import { simulate } from '../../../../tools/simulator/simulate.ts'
import {
  evaluateProtocol,
  readScenarios,
  type Evaluation,
} from '../../../../services/trainer/index.ts'
import { parseScores, scoresText } from '../../../../services/trainer/protocol/evaluate.ts'

const DAY_MS = 86_400_000
const DAYS = 22
const DAY_ONE = new Date(SIMULATION_START_MS).toISOString().slice(0, 10)
const DAY_TWO = new Date(SIMULATION_START_MS + DAY_MS).toISOString().slice(0, 10)

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-protocol-'))
  t.after(() => {
    rmSync(folder, { recursive: true })
  })
  return folder
}

class Stopped extends Error {}

interface Asked {
  readonly seeds: number
  readonly run?: { readonly folder: string; readonly resume: boolean }
  readonly stopAt?: string
  readonly against?: { scoreOf(): number }
}

function evaluate({ seeds, run, stopAt, against }: Asked): Promise<Evaluation> {
  const history = simulate({
    ...{ seed: 3, cards: 120, terminals: 60, merchants: 30, fraudShare: 0.05 },
    untilMs: SIMULATION_START_MS + DAYS * DAY_MS,
  })
  return evaluateProtocol(history, {
    protocol: 'handbook',
    weeks: { validation: [DAY_ONE], report: [DAY_TWO] },
    conditions: 'published',
    ...{ seeds, epochs: 1, alertCost: 5, backend: 'wasm', rates: DEFAULT_RATES },
    shape: { draftUnits: [4], targetUnits: [4], eventUnits: [3], members: 1 },
    scenarios: () => Promise.resolve(null),
    ...(against === undefined ? {} : { against }),
    ...(run === undefined ? {} : { run: { ...run, force: false, keep: true } }),
    onProgress: (line) => {
      if (stopAt !== undefined && line.startsWith(stopAt)) throw new Stopped(line)
    },
  })
}

test('an interrupted evaluation continues to the same tables, and complete seeds count without the others', async (t) => {
  const folder = join(folderFor(t), 'run')
  const whole = await evaluate({ seeds: 2 })
  const stopAt = `week ${DAY_TWO}, seed 2: draft`
  await assert.rejects(evaluate({ seeds: 2, run: { folder, resume: false }, stopAt }), Stopped)
  const kept = readdirSync(folder).sort()
  assert.deepEqual(kept, [
    'run.json',
    `week-${DAY_ONE}-seed-1.csv`,
    `week-${DAY_ONE}-seed-2.csv`,
    `week-${DAY_TWO}-seed-1.csv`,
  ])
  const run = { folder, resume: true }
  const one = await evaluate({ seeds: 1, run, stopAt: `week ${DAY_ONE}, seed 1: draft` })
  assert.deepEqual(one.summary, (await evaluate({ seeds: 1 })).summary)
  assert.deepEqual((await evaluate({ seeds: 2, run })).summary, whole.summary)
  assert.equal(whole.summary.differences, null)
  // A model that gives every row the same score is as good as the share of frauds.
  const { summary } = await evaluate({ seeds: 2, run, against: { scoreOf: () => 0.5 } })
  for (const { period, rows, frauds, scored } of summary.periods) {
    const found = summary.differences?.[period]
    assert.ok(found !== undefined)
    assert.ok(Math.abs(found.otherPrecision - frauds / rows) < 1e-12)
    assert.ok(Math.abs(found.precision - (scored.averagePrecision?.mean ?? NaN)) < 1e-12)
  }
  const [week] = whole.weeks
  const [a, b] = week?.target ?? []
  assert.ok(a !== undefined && b !== undefined)
  assert.notDeepEqual(a.scores, b.scores)
  assert.deepEqual(
    week?.scored.scores,
    a.scores.map((score, row) => (score + (b.scores[row] ?? NaN)) / 2),
  )

  const file = join(folder, `week-${DAY_ONE}-seed-1.csv`)
  writeFileSync(file, readFileSync(file, 'utf8').slice(0, -3))
  await assert.rejects(evaluate({ seeds: 2, run }), (error) => isSluiceError(error, 'SLUICE_USAGE'))
})

test('scores are read back bit for bit, and for the same rows only', () => {
  const scores = {
    draft: Float64Array.of(0.1, 1 / 3, 1e-300),
    target: Float64Array.of(0, 1, 0.1 + 0.2),
  }
  const ids = ['7', '8', '9']
  const text = scoresText(ids, scores)
  assert.deepEqual(parseScores(text, ids), scores)
  for (let end = 0; end < text.length; end += 1) {
    assert.equal(parseScores(text.slice(0, end), ids), null)
  }
  assert.equal(parseScores(text, ['7', '9', '8']), null)
  assert.equal(parseScores(text, ['7', '8']), null)
})

test('kinds of fraud are read from files of the span, and are unknown where a file lacks the column', async (t) => {
  const folder = folderFor(t)
  const write = (day: string, rows: readonly string[]): void => {
    writeFileSync(join(folder, `${day}.csv.gz`), gzipSync(`${rows.join('\n')}\n`))
  }
  const header = 'transaction_id,tx_fraud,tx_fraud_scenario'
  write('2018-07-01', [header, '1,1,3'])
  write('2018-07-02', [header, '2,0,0', '3,1,1', '4,1,2'])
  const span = { fromMs: Date.UTC(2018, 6, 2), endMs: Date.UTC(2018, 6, 3) }
  assert.deepEqual(
    [...((await readScenarios([folder], span)) ?? [])],
    [
      ['3', '1'],
      ['4', '2'],
    ],
  )
  write('2018-07-02', ['transaction_id,tx_fraud', '2,0'])
  assert.equal(await readScenarios([folder], span), null)
})
