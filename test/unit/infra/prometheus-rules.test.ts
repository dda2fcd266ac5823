// Goal: the rules parse, alert when they should and at no other time, and link to a helpful page. Method: promtool
// checks and runs its tests; then each threshold and each pending time of an alert is changed a little, and the tests
// must fail: a limit without a test would be found here.

import { deepStrictEqual, match, notStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { runProgram } from '../../../tools/servers/run-program.ts'
import {
  PROMETHEUS_FOLDER,
  RULE_FILES,
  RULE_TEST_FILES,
  committedAlerts,
  committedRules,
  rulesOf,
  type AlertRule,
  MADE_ON_OWN_REDIS,
  ONLY_BY_PROMTOOL,
} from '../../support/alert-rules.ts'
import { promtoolProgram, temporaryFolder } from '../../support/prometheus.ts'

const LIMIT_MS = 120_000
const ROOT = join(import.meta.dirname, '../../..')
/** Mutations without effect, with the reason for which no test could notice. */
const EQUAL_MUTANTS: Readonly<Record<string, string>> = {
  'SluiceNotScored: > 0) to >= 0)': 'zero divided by zero is no number, and above nothing',
}

const promtool = await promtoolProgram()

async function runPromtool(...args: readonly string[]): Promise<{
  readonly isGood: boolean
  readonly output: string
}> {
  const { code, output } = await runProgram(promtool, args, { limitMs: LIMIT_MS })
  return { isGood: code === 0, output }
}

interface RuleTests {
  readonly tests: readonly {
    readonly promql_expr_test?: readonly {
      readonly expr: string
      readonly exp_samples: readonly unknown[]
    }[]
  }[]
}

/** The expectations of one group of a test file for an alert over time: fires or not. */
function expectations(text: string, name: string): readonly (readonly boolean[])[] {
  return (parse(text) as RuleTests).tests
    .map(({ promql_expr_test: looks = [] }) =>
      looks
        .filter(({ expr }) => expr === `ALERTS{alertname="${name}", alertstate="firing"}`)
        .map(({ exp_samples: samples }) => samples.length > 0),
    )
    .filter((looks) => looks.length > 0)
}

/** The test files that test an alert. */
function testFilesOf(name: string): readonly string[] {
  return RULE_TEST_FILES.filter((file) => readFileSync(file, 'utf8').includes(`"${name}"`))
}

interface Mutant {
  readonly what: string
  readonly rule: AlertRule
}

/** The alert with one of its limits changed by a tenth, or its pending time halved or doubled. */
function mutantsOf(rule: AlertRule): readonly Mutant[] {
  const mutants: Mutant[] = []
  for (const found of rule.expr.matchAll(/([<>]) (\d[\d.]*)(\)*)/g)) {
    const [whole, sign = '', number = '', end = ''] = found
    const replacements =
      Number(number) === 0
        ? [`${sign}= 0${end}`]
        : [0.9, 1.1].map((factor) => `${sign} ${Number(number) * factor}${end}`)
    for (const replacement of replacements) {
      const after = rule.expr.slice(found.index + whole.length)
      const expr = rule.expr.slice(0, found.index) + replacement + after
      mutants.push({ what: `${rule.alert}: ${whole} to ${replacement}`, rule: { ...rule, expr } })
    }
  }
  const [, amount, unit = ''] = /^(\d+)([smh])$/.exec(rule.for ?? '') ?? []
  if (amount !== undefined) {
    const seconds = Number(amount) * { s: 1, m: 60, h: 3_600 }[unit as 's' | 'm' | 'h']
    for (const factor of [0.5, 2]) {
      const changed = `${seconds * factor}s`
      const what = `${rule.alert}: for ${rule.for ?? ''} to ${changed}`
      mutants.push({ what, rule: { ...rule, for: changed } })
    }
  }
  return mutants
}

test('promtool accepts the configuration and the rules', async () => {
  for (const args of [
    ['check', 'config', join(PROMETHEUS_FOLDER, 'prometheus.yml')],
    ['check', 'rules', ...RULE_FILES],
  ]) {
    const { isGood, output } = await runPromtool(...args)
    ok(isGood, output)
  }
  strictEqual((await runPromtool('check', 'rules', RULE_TEST_FILES[0] ?? '')).isGood, false)
})

test('the tests of the rules pass', async () => {
  const runs = await Promise.all(
    RULE_TEST_FILES.map(async (file) => ({ file, ...(await runPromtool('test', 'rules', file)) })),
  )
  for (const { file, isGood, output } of runs) ok(isGood, `${basename(file)}: ${output}`)
})

test('for each alert some test sees it silent, then firing, then silent again', () => {
  const texts = RULE_TEST_FILES.map((file) => readFileSync(file, 'utf8'))
  const untested = committedAlerts()
    .map(({ alert }) => alert)
    .filter((name) => {
      const groups = texts.flatMap((text) => expectations(text, name))
      return !groups.some((looks) => {
        const first = looks.indexOf(true)
        return first > 0 && looks.at(-1) === false
      })
    })
  deepStrictEqual(untested, [])
  deepStrictEqual(
    texts.flatMap((text) => expectations(text, 'SluiceNoSuchAlert')),
    [],
  )
})

test('no limit and no waiting time can be changed without a test that fails', async (t) => {
  const folder = temporaryFolder(t)
  cpSync(PROMETHEUS_FOLDER, folder, { recursive: true })
  const recording = rulesOf(readFileSync(join(folder, 'rules/recording.yml'), 'utf8'))
  const survivors: string[] = []
  const mutants = committedAlerts().flatMap(mutantsOf)
  ok(mutants.length > 50, `only ${mutants.length} changes to try`)
  const kill = async ({ what, rule }: Mutant, index: number): Promise<void> => {
    // One group keeps the order: recorded values exist before the alert reads them.
    const name = `mutant-${index}.yml`
    const needed = recording.filter(({ record = '' }) => rule.expr.includes(record))
    const groups = [{ name: 'mutant', rules: [...needed, rule] }]
    writeFileSync(join(folder, 'rules', name), JSON.stringify({ groups }))
    for (const file of testFilesOf(rule.alert)) {
      // Group by group: the first one detects most mutations.
      for (const text of onlyLooksAt(rule.alert, readFileSync(file, 'utf8'), `../rules/${name}`)) {
        const path = join(folder, 'tests', `${index}-${basename(file)}`)
        writeFileSync(path, text)
        if (!(await runPromtool('test', 'rules', path)).isGood) return
      }
    }
    survivors.push(what)
  }
  const queue = [...mutants.entries()]
  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift())
      await kill(next[1], next[0])
  }
  await Promise.all([work(), work()])
  deepStrictEqual(survivors.sort(), Object.keys(EQUAL_MUTANTS).sort())
})

/** The tests of one alert alone, against another rule file, a text for each group. */
function onlyLooksAt(name: string, text: string, ruleFile: string): readonly string[] {
  const file = parse(text) as RuleTests
  const tests = file.tests
    .map((group) => ({
      ...group,
      alert_rule_test: undefined,
      promql_expr_test: (group.promql_expr_test ?? []).filter(({ expr }) =>
        expr.includes(`"${name}"`),
      ),
    }))
    .filter(({ promql_expr_test: looks }) => looks.length > 0)
  return tests.map((group) => JSON.stringify({ ...file, rule_files: [ruleFile], tests: [group] }))
}

test('the tests of one alert alone pass on the rules as they are', async (t) => {
  // Control of the test above: there, a failure must come from the mutation.
  const folder = temporaryFolder(t)
  cpSync(PROMETHEUS_FOLDER, folder, { recursive: true })
  const groups = [{ name: 'all', rules: committedRules() }]
  writeFileSync(join(folder, 'rules/all.yml'), JSON.stringify({ groups }))
  for (const { alert } of committedAlerts()) {
    if (!['SluiceNoScorer', 'SluiceBlockRateHigh', 'SluiceEventLoopDelay'].includes(alert)) continue
    for (const file of testFilesOf(alert)) {
      for (const text of onlyLooksAt(alert, readFileSync(file, 'utf8'), '../rules/all.yml')) {
        const path = join(folder, 'tests', `${alert}-${basename(file)}`)
        writeFileSync(path, text)
        const { isGood, output } = await runPromtool('test', 'rules', path)
        ok(isGood, output)
      }
    }
  }
})

test('every alert says what is wrong, how bad it is, and where to read on', () => {
  for (const { alert, labels = {}, annotations = {} } of committedAlerts()) {
    match(alert, /^Sluice[A-Z]/)
    ok(['page', 'ticket'].includes(labels['severity'] ?? ''), `${alert} has no severity`)
    deepStrictEqual(Object.keys(annotations).sort(), ['description', 'runbook_url', 'summary'])
    ok((annotations['summary'] ?? '').length <= 120, `${alert}: the summary is too long`)
    match(annotations['summary'] ?? '', /\.$/)
    match(annotations['description'] ?? '', /\.$/)
    strictEqual(
      annotations['runbook_url'],
      `{{ $externalLabels.sluice_docs }}docs/runbook.md#${alert.toLowerCase()}`,
    )
  }
})

test('every alert has its page in the runbook, and every page its alert', () => {
  const runbook = readFileSync(join(ROOT, 'docs/runbook.md'), 'utf8')
  const pages = [...runbook.matchAll(/^## (Sluice\w+)$/gm)].map(([, name]) => name)
  deepStrictEqual(
    pages,
    committedAlerts().map(({ alert }) => alert),
    'in the order of alerts.yml',
  )
  for (const part of runbook.split(/^## (?=Sluice)/m).slice(1)) {
    const name = part.slice(0, part.indexOf('\n'))
    const page = part.split(/^## /m)[0] ?? ''
    for (const heading of ['**What it means.**', '**Look at.**', '**Do.**', '**Over when.**'])
      ok(page.includes(heading), `${name} lacks ${heading}`)
    const rule = committedAlerts().find(({ alert }) => alert === name)
    ok(page.includes(`Severity: ${rule?.labels?.['severity'] ?? ''}.`), `${name}: severity`)
  }
})

test('the runbook says which alerts no test has seen on running services, and why', () => {
  const runbook = readFileSync(join(ROOT, 'docs/runbook.md'), 'utf8')
  const [, list = ''] = /Tested only by `promtool`:\n\n([\s\S]*?)\n\n/.exec(runbook) ?? []
  deepStrictEqual(
    list.split('\n'),
    Object.entries(ONLY_BY_PROMTOOL).map(([name, reason]) => `- \`${name}\`: ${reason}`),
  )
  const known = committedAlerts().map(({ alert }) => alert)
  for (const name of [...Object.keys(ONLY_BY_PROMTOOL), ...MADE_ON_OWN_REDIS])
    ok(known.includes(name), `${name} is no alert`)
})

test('recorded values are named level:metric:operation, and each is used', () => {
  const rules = committedRules()
  const recorded = rules.flatMap(({ record }) => record ?? [])
  notStrictEqual(recorded.length, 0)
  for (const name of recorded) {
    match(
      name,
      /^job(?:_feature_bin)?:sluice_[a-z_]+:(sum|(?:ratio_)?rate\d+[mhd]|increase\d+m|(?:share)?\d+d)$/,
    )
    ok(
      rules.some(({ expr }) => expr.includes(name)),
      `${name} is used by no rule`,
    )
  }
})

test('what the runbook says to silence names alerts that exist', () => {
  const runbook = readFileSync(join(ROOT, 'docs/runbook.md'), 'utf8')
  const yaml = /```yaml\n(inhibit_rules:[\s\S]*?)```/.exec(runbook)?.[1] ?? ''
  const { inhibit_rules: rules } = parse(yaml) as {
    readonly inhibit_rules: readonly Record<'source_matchers' | 'target_matchers', string[]>[]
  }
  const known = new Set(committedAlerts().map(({ alert }) => alert))
  const named = rules
    .flatMap((rule) => [...rule.source_matchers, ...rule.target_matchers])
    .flatMap((matcher) => matcher.match(/Sluice\w+/g) ?? [])
  ok(named.length > 5)
  deepStrictEqual(
    named.filter((name) => !known.has(name)),
    [],
  )
})
