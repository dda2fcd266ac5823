import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { isSluiceError } from '../../../../services/core/errors.ts'
import {
  checkFairnessRule,
  FairnessCounts,
  GROUP_VALUES_MAX,
  type FairnessReport,
  type FairnessRule,
  type GroupFinding,
} from '../../../../services/core/scoring/fairness.ts'

const RULE: FairnessRule = {
  groups: [{ column: 'country', edges: [] }],
  threshold: 'flag',
  falsePositiveRatioMax: 1.5,
  recallRatioMin: 0.8,
  genuineMin: 100,
  fraudsMin: 20,
  confidence: 0.95,
}

interface Group {
  readonly value: string
  readonly genuine: number
  readonly falsePositives: number
  readonly frauds: number
  readonly caught: number
}

function judge(groups: readonly Group[], rule = RULE): FairnessReport {
  const counts = new FairnessCounts(rule)
  for (const { value, genuine, falsePositives, frauds, caught } of groups) {
    for (let row = 0; row < genuine; row += 1) counts.add([value], false, row < falsePositives)
    for (let row = 0; row < frauds; row += 1) counts.add([value], true, row < caught)
  }
  return counts.report()
}

function findingOf(report: FairnessReport, value: string): GroupFinding {
  const found = report.findings.find((finding) => finding.value === value)
  ok(found !== undefined, `no finding for ${value}`)
  return found
}

const LARGE = { value: 'GB', genuine: 10_000, falsePositives: 100, frauds: 200, caught: 150 }

test('a group that is flagged far more often without reason is a breach, and the others are not', () => {
  const report = judge([
    LARGE,
    { value: 'PT', genuine: 2_000, falsePositives: 60, frauds: 40, caught: 30 },
  ])
  const { falsePositives, recall } = findingOf(report, 'PT')
  strictEqual(falsePositives.verdict, 'breach')
  ok(Math.abs((falsePositives.ratio ?? 0) - 3) < 1e-9)
  strictEqual(recall.verdict, 'fair')
  strictEqual(findingOf(report, 'GB').falsePositives.verdict, 'fair')
  strictEqual(report.breaches, 1)
  strictEqual(report.rows, 12_240)
})

test('a group whose frauds are missed far more often is a breach', () => {
  const report = judge([
    LARGE,
    { value: 'PT', genuine: 2_000, falsePositives: 20, frauds: 100, caught: 40 },
  ])
  strictEqual(findingOf(report, 'PT').recall.verdict, 'breach')
  strictEqual(findingOf(report, 'PT').falsePositives.verdict, 'fair')
})

test('a difference that chance explains is not a breach, however large the ratio', () => {
  const report = judge([
    LARGE,
    { value: 'PT', genuine: 110, falsePositives: 3, frauds: 25, caught: 15 },
  ])
  const { falsePositives } = findingOf(report, 'PT')
  ok((falsePositives.ratio ?? 0) > 2.5)
  strictEqual(falsePositives.verdict, 'fair')
  // Control: with ten times as many rows the same rate is no longer chance.
  const larger = judge([
    LARGE,
    { value: 'PT', genuine: 1_100, falsePositives: 30, frauds: 25, caught: 15 },
  ])
  strictEqual(findingOf(larger, 'PT').falsePositives.verdict, 'breach')
})

test('a certain difference within the allowed ratio is not a breach', () => {
  const groups = [
    { ...LARGE, genuine: 100_000, falsePositives: 1_000 },
    { value: 'PT', genuine: 100_000, falsePositives: 1_400, frauds: 100, caught: 75 },
  ]
  strictEqual(judge(groups).breaches, 0)
  strictEqual(judge(groups, { ...RULE, falsePositiveRatioMax: 1.3 }).breaches, 1)
})

test('a group with too few rows is not judged, and the report says so', () => {
  const report = judge([
    LARGE,
    { value: 'PT', genuine: 99, falsePositives: 99, frauds: 19, caught: 0 },
  ])
  const { falsePositives, recall } = findingOf(report, 'PT')
  deepStrictEqual([falsePositives.verdict, recall.verdict], ['too_few', 'too_few'])
  strictEqual(report.breaches, 0)
})

test('numbers fall into bands; an empty value, or one that is not a number, is a group of its own', () => {
  const counts = new FairnessCounts({ ...RULE, groups: [{ column: 'amount', edges: [50, 200] }] })
  for (const value of ['50', '50.01', '200', '201', '', 'x']) counts.add([value], false, false)
  deepStrictEqual(
    counts
      .report()
      .findings.map(({ value, falsePositives }) => [value, falsePositives.group.cases]),
    [
      ['<= 200', 2],
      ['<= 50', 1],
      ['> 200', 1],
      ['none', 2],
    ],
  )
})

test('values beyond the limit form one group', () => {
  const counts = new FairnessCounts(RULE)
  for (let value = 0; value < 3 * GROUP_VALUES_MAX; value += 1)
    counts.add([`v${value}`], false, false)
  const { findings } = counts.report()
  strictEqual(findings.length, GROUP_VALUES_MAX + 1)
  strictEqual(
    findings.find(({ value }) => value === 'other')?.falsePositives.group.cases,
    2 * GROUP_VALUES_MAX,
  )
})

test('a rule is read completely, and an invalid one names the place', () => {
  deepStrictEqual(checkFairnessRule(JSON.parse(JSON.stringify(RULE)), 'rule.json'), RULE)
  for (const [change, where] of [
    [{ groups: [] }, /groups is empty/],
    [{ threshold: 'approve' }, /threshold/],
    [{ falsePositiveRatioMax: 0.5 }, /falsePositiveRatioMax/],
    [{ confidence: 0.8 }, /confidence is 0.8/],
    [{ extra: 1 }, /extra is not a known field/],
    [{ groups: [{ column: 'a' }] }, /groups\[0\]\.edges is absent/],
  ] as const) {
    throws(
      () => checkFairnessRule({ ...RULE, ...change }, 'rule.json'),
      (error) => isSluiceError(error, 'SLUICE_INPUT_INVALID') && where.test(error.message),
      JSON.stringify(change),
    )
  }
})
