// The gate over a file, with the released model as the candidate.

import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { isSluiceError, type ErrorCode } from '../../../../services/core/errors.ts'
import { createCodecs } from '../../../../services/core/wire/codecs.ts'
import {
  FEATURE_COUNT,
  FEATURE_NAMES,
} from '../../../../services/core/features/catalogue/feature-list.ts'
import {
  checkFairnessRule,
  type FairnessCounts,
} from '../../../../services/core/scoring/fairness.ts'
import { checkGolden } from '../../../../services/core/scoring/golden.ts'
import { FileRegistry } from '../../../../services/platform/registry/file-registry.ts'
import { openScoringModel } from '../../../../services/platform/tensorflow/scoring-model.ts'
import { countFile } from '../../../../services/cli/model/candidate-rows.ts'
import { SEQUENCE_COLUMNS } from '../../../../services/trainer/index.ts'
import { runGate } from '../../../../services/cli/model/gate.ts'
import { RELEASED_MODEL, temporaryFolder, variantOf } from '../../../support/model-variants.ts'

const RULE = {
  groups: [{ column: 'country', edges: [] as number[] }],
  threshold: 'flag',
  falsePositiveRatioMax: 1.5,
  recallRatioMin: 0.8,
  genuineMin: 50,
  fraudsMin: 10,
  confidence: 0.95,
}

async function setUp(t: TestContext) {
  const folder = temporaryFolder(t, 'gate')
  const { folder: model } = variantOf(t, 'gated', { flag: 0.5, block: 0.9 })
  const candidate = await openScoringModel({ folder: model, backend: 'cpu' })
  t.after(() => {
    candidate.close()
  })
  const codecs = createCodecs(await new FileRegistry().load())
  const access = { brokers: [], topicPrefix: '', codecs }
  const file = (name: string, content: string | Buffer): string => {
    const path = join(folder, name)
    writeFileSync(path, content)
    return path
  }
  const fairness = file('rule.json', JSON.stringify(RULE))
  const judge = (evaluation: string | undefined, rule = fairness) =>
    runGate(
      candidate,
      { fairness: rule, mature: 0, ...(evaluation !== undefined && { evaluation }) },
      access,
      AbortSignal.timeout(60_000),
    )
  return { candidate, file, judge }
}

/** Rows of one country: genuine ones, of which some score high, then frauds, of which some score low. */
function rowsOf(country: string, genuine: number, flagged: number, frauds: number, missed: number) {
  const rows = [
    ...Array.from({ length: genuine }, (_, row) => [0, row < flagged ? 0.7 : 0.1]),
    ...Array.from({ length: frauds }, (_, row) => [1, row < missed ? 0.1 : 0.7]),
  ]
  return rows.map(([fraud = 0, score = 0]) => `${country},${fraud},${score}`).join('\n')
}

function isInvalid(part: RegExp, code: ErrorCode = 'SLUICE_INPUT_INVALID') {
  return (error: unknown): boolean => isSluiceError(error, code) && part.test(error.message)
}

test('a gate that is passed says nothing, one that is breached says which group and by how much', async (t) => {
  const { file, judge } = await setUp(t)
  const header = 'country,fraud,score'
  const good = rowsOf('GB', 1_000, 20, 100, 20)
  const fair = file('fair.csv', [header, good, rowsOf('PT', 500, 10, 50, 10)].join('\n'))
  strictEqual(await judge(fair), null)
  const text = [header, good, rowsOf('PT', 500, 60, 50, 10)].join('\n')
  const breach = await judge(file('unfair.csv', text))
  ok(breach?.includes('false-positive rate of country=PT is 6.00x'), String(breach))
  const packed = file('unfair.csv.gz', gzipSync(text))
  strictEqual(await judge(packed), breach)
})

test('a gate that can judge no group is no gate that is passed', async (t) => {
  const { file, judge } = await setUp(t)
  const few = file('few.csv', `country,fraud,score\n${rowsOf('GB', 5, 0, 1, 0)}`)
  ok((await judge(few))?.includes('too few rows'))
  await rejects(judge(undefined), isInvalid(/--evaluation/, 'SLUICE_USAGE'))
})

test('rows of features are scored by the candidate itself', async (t) => {
  const { candidate, file, judge } = await setUp(t)
  const golden = checkGolden(
    JSON.parse(readFileSync(join(RELEASED_MODEL, 'golden.json'), 'utf8')),
    FEATURE_COUNT,
    'golden.json',
    false,
  )
  const scores = await candidate.score(golden.rows, golden.rowCount)
  const lines = Array.from(scores.keys(), (row) => {
    const values = golden.rows.subarray(row * FEATURE_COUNT, (row + 1) * FEATURE_COUNT)
    const cells = Array.from(values, (value) => (Number.isNaN(value) ? '' : String(value)))
    return [row % 2 === 0 ? 'GB' : 'PT', '0', ...cells].join(',')
  })
  const rows = file(
    'rows.csv',
    [['country', 'fraud', ...FEATURE_NAMES].join(','), ...lines].join('\n'),
  )
  strictEqual(await judge(rows), null)
})

test('with the payments before a cascade is judged as a whole, without them by its draft', async (t) => {
  const { candidate, file } = await setUp(t)
  const text = gunzipSync(
    readFileSync(join(RELEASED_MODEL, 'evaluation/test-rows.csv.gz')),
  ).toString()
  const [header = '', ...lines] = text.trimEnd().split('\n')
  const columns = header.split(',')
  const table = lines.map((line) => line.split(','))
  const { verifier } = candidate
  ok(verifier !== null)
  const scoreAt = columns.indexOf('score')
  const { flagThreshold } = candidate.info
  /** Alerted rows of the whole cascade, whose scores the file holds. */
  const alerts = table.map((cells) => Number(cells[scoreAt]) >= flagThreshold)
  const rule = { ...checkFairnessRule(RULE, 'rule'), groups: [] }
  const alertsOf = async (name: string, drop: readonly string[]) => {
    const kept = columns.map((column) => !drop.includes(column))
    const written = [columns.map((column) => (column === 'is_fraud' ? 'fraud' : column)), ...table]
      .map((cells) => cells.filter((_, at) => kept[at] === true).join(','))
      .join('\n')
    const counted: boolean[] = []
    const counts = {
      add: (_values: readonly string[], _isFraud: boolean, isAlerted: boolean) => {
        counted.push(isAlerted)
      },
    } as unknown as FairnessCounts
    const scoredBy = await countFile({ candidate, rule, counts }, file(name, written))
    return { scoredBy, alerts: counted }
  }
  deepStrictEqual(await alertsOf('score.csv', []), { scoredBy: 'file', alerts })
  deepStrictEqual(await alertsOf('whole.csv', ['score']), { scoredBy: 'whole', alerts })
  const draft = await alertsOf('draft.csv', ['score', ...SEQUENCE_COLUMNS])
  strictEqual(draft.scoredBy, 'draft')
  ok(
    draft.alerts.some((isAlerted, row) => isAlerted !== alerts[row]),
    'the draft alone would alert the same: the rows tell nothing',
  )
  await rejects(
    alertsOf('part.csv', ['score', 'earlier_2_age_ms']),
    isInvalid(/no column "earlier_2_age_ms"/),
  )
})

test('a file or a rule that cannot be used says where', async (t) => {
  const { file, judge } = await setUp(t)
  const bad = (name: string, text: string) => judge(file(name, text))
  await rejects(bad('a.csv', 'country,score\nGB,0.1'), isInvalid(/no column "fraud"/))
  await rejects(bad('b.csv', 'country,fraud\nGB,0'), isInvalid(/no column "amount"/))
  await rejects(bad('c.csv', 'country,fraud,score\nGB,2,0.1'), isInvalid(/row 2: fraud is "2"/))
  await rejects(bad('d.csv', 'country,fraud,score\nGB,1,x'), isInvalid(/row 2: score is "x"/))
  await rejects(bad('e.csv', 'country,fraud,score\nGB,1\n'), isInvalid(/is no CSV/))
  await rejects(judge('/no/such/file.csv'), isInvalid(/cannot be read/))
  const rule = file('bad.json', '{')
  await rejects(judge(undefined, rule), isInvalid(/bad\.json cannot be read/))
})
