// Goal: the rules parse, alert when they should and at no other time, and link to a helpful page. Method: promtool
// checks and runs its tests, each with the rules that it looks at (SLUICE_FULL=1: with all); then each threshold and each pending
// time of an alert is changed a little, and the tests must fail: a limit without a test would be found here.

import { deepStrictEqual, match, notStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { test } from 'node:test'
import { parse, type Tags } from 'yaml'
import { runProgram } from '../../../tools/servers/run-program.ts'
import {
  PROMETHEUS_FOLDER,
  RULE_FILES,
  RULE_TEST_FILES,
  committedAlerts,
  committedRules,
  type AlertRule,
  type Rule,
  MADE_ON_OWN_REDIS,
  MADE_ON_CONNECTIONS,
  ONLY_BY_PROMTOOL,
} from '../../support/alert-rules.ts'
import { promtoolProgram, temporaryFolder } from '../../support/prometheus.ts'

const IS_FULL = process.env['SLUICE_FULL'] === '1'
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

interface Look {
  readonly expr: string
  readonly exp_samples: readonly { readonly labels: string }[]
}

interface RuleGroups {
  readonly groups: readonly { readonly rules: readonly Rule[] }[]
}

interface RuleTests {
  readonly rule_files: readonly string[]
  readonly tests: readonly { readonly promql_expr_test?: readonly Look[] }[]
}

/** A test file as data. As in promtool's reader, `0x14` is a text: fourteen times nothing and not the number 20. */
function ruleTestsOf(text: string): RuleTests {
  const customTags = (tags: Tags): Tags =>
    tags.filter((tag) => typeof tag === 'string' || tag.format !== 'HEX')
  return parse(text, { customTags }) as RuleTests
}

/** Recorded values that these texts use, and those that they are computed from, in the order of the file. */
function recordedFor(texts: readonly string[]): readonly Rule[] {
  const recorded = committedRules().filter(({ record }) => record !== undefined)
  const used = recorded.filter(({ record = '' }) => texts.some((text) => text.includes(record)))
  const exprs = used.map(({ expr }) => expr)
  return exprs.every((expr) => texts.includes(expr)) ? used : recordedFor([...texts, ...exprs])
}

/** The expectations of one group of a test file for an alert over time: fires or not. */
function expectations(text: string, name: string): readonly (readonly boolean[])[] {
  return ruleTestsOf(text)
    .tests.map(({ promql_expr_test: looks = [] }) =>
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

test('the tests of the rules pass', async (t) => {
  const folder = temporaryFolder(t)
  const prepared = RULE_TEST_FILES.map((file) => {
    const path = join(folder, basename(file))
    writeFileSync(path, onlyItsRules(folder, file))
    return path
  })
  const runs = await Promise.all(
    (IS_FULL ? RULE_TEST_FILES : prepared).map(async (file) => ({
      file,
      ...(await runPromtool('test', 'rules', file)),
    })),
  )
  for (const { file, isGood, output } of runs) ok(isGood, `${basename(file)}: ${output}`)
})

/**
 * The text of a test file, with rule files that have only those groups and rules that it looks at: promtool computes every rule
 * for every test, and a rule that a test does not look at cannot change it.
 */
function onlyItsRules(folder: string, file: string): string {
  const text = readFileSync(file, 'utf8')
  const tests = ruleTestsOf(text)
  deepStrictEqual(
    tests.rule_files.map((path) => join(dirname(file), path)).sort(),
    [...RULE_FILES].sort(),
  )
  const looked = committedAlerts().filter(({ alert }) => text.includes(alert))
  const recorded = recordedFor([text, ...looked.map(({ expr }) => expr)])
  ok(looked.length > 0, `${file} looks at no alert`)
  const ruleFiles = RULE_FILES.map((ruleFile) => {
    const { groups } = parse(readFileSync(ruleFile, 'utf8')) as RuleGroups
    const isLookedAt = ({ alert, record }: Rule): boolean =>
      [...looked, ...recorded].some((each) => each.alert === alert && each.record === record)
    const kept = groups
      .map((group) => ({ ...group, rules: group.rules.filter(isLookedAt) }))
      .filter(({ rules }) => rules.length > 0)
    const name = `${basename(file)}-${basename(ruleFile)}`
    writeFileSync(join(folder, name), JSON.stringify({ groups: kept }))
    return name
  })
  return JSON.stringify({ ...tests, rule_files: ruleFiles })
}
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
  const survivors: string[] = []
  let mutantCount = 0
  const judge = async (rule: AlertRule): Promise<void> => {
    const mutants = mutantsOf(rule)
    mutantCount += mutants.length
    const failed = await failedOf(
      folder,
      rule,
      mutants.map((mutant) => mutant.rule),
    )
    // The control: a failure comes from a change, since the alert as it is passes under the same circumstances.
    ok(!failed.has(0), `${rule.alert} fails as it is`)
    survivors.push(...mutants.filter((_, index) => !failed.has(index + 1)).map(({ what }) => what))
  }
  const queue = [...committedAlerts()]
  const work = async (): Promise<void> => {
    for (let rule = queue.shift(); rule !== undefined; rule = queue.shift()) await judge(rule)
  }
  await Promise.all([work(), work()])
  ok(mutantCount > 50, `only ${mutantCount} changes to try`)
  deepStrictEqual(survivors.sort(), Object.keys(EQUAL_MUTANTS).sort())
})

/**
 * Runs the tests of one alert on it and on what it was changed to, all at once: each has the alert's name with a number, and is
 * looked at as the alert is. Gives the numbers of those that fail a test; 0 is the alert as it is.
 */
async function failedOf(
  folder: string,
  rule: AlertRule,
  changed: readonly AlertRule[],
): Promise<ReadonlySet<number>> {
  const { alert } = rule
  const variants = [rule, ...changed]
  const recorded = recordedFor(variants.map(({ expr }) => expr))
  const rules = variants.map((variant, index) => ({ ...variant, alert: `${alert}Variant${index}` }))
  // One group keeps the order: recorded values are there before the alerts look at them.
  const groups = [{ name: 'variants', rules: [...recorded, ...rules] }]
  writeFileSync(join(folder, `${alert}.yml`), JSON.stringify({ groups }))
  const paths = testFilesOf(alert).map((file) => {
    const path = join(folder, `${alert}-${basename(file)}`)
    const tests = ruleTestsOf(readFileSync(file, 'utf8'))
    writeFileSync(
      path,
      JSON.stringify({ ...tests, rule_files: [`${alert}.yml`], tests: looksAtVariants(tests) }),
    )
    return path
  })
  const { output } = await runPromtool('test', 'rules', ...paths)
  const failed = output.matchAll(/^\s+expr: "ALERTS\{alertname=\\"\w+Variant(\d+)\\"/gm)
  return new Set([...failed].map(([, index]) => Number(index)))

  function looksAtVariants({ tests }: RuleTests): RuleTests['tests'] {
    return tests
      .map((group) => ({
        ...group,
        alert_rule_test: undefined,
        promql_expr_test: (group.promql_expr_test ?? [])
          .filter(({ expr }) => expr.includes(`"${alert}"`))
          .flatMap((look) => rules.map((variant) => lookAt(variant.alert, look))),
      }))
      .filter(({ promql_expr_test: looks }) => looks.length > 0)
  }

  function lookAt(name: string, { expr, exp_samples: samples, ...rest }: Look): Look {
    const renamed = (text: string): string => text.replaceAll(`"${alert}"`, `"${name}"`)
    return {
      ...rest,
      expr: renamed(expr),
      exp_samples: samples.map((sample) => ({ ...sample, labels: renamed(sample.labels) })),
    }
  }
}

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
  for (const name of [
    ...Object.keys(ONLY_BY_PROMTOOL),
    ...MADE_ON_OWN_REDIS,
    ...MADE_ON_CONNECTIONS,
  ])
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
