import { deepStrictEqual, notStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { runProgram } from '../../../../tools/servers/run-program.ts'
import { shortenRules } from '../../../../tools/servers/shortened-rules.ts'
import { RULE_FILES, rulesOf } from '../../../support/alert-rules.ts'
import { promtoolProgram, temporaryFolder } from '../../../support/prometheus.ts'

const SHORTENING = { factor: 60, rangeMsMin: 4_000 }
const shorten = (text: string): string => shortenRules(text, SHORTENING)

test('ranges, offsets and waiting times are divided, and nothing else is', () => {
  strictEqual(shorten('        for: 10m\n'), '        for: 10000ms\n')
  strictEqual(shorten('rate(a_total[1h]) > 60'), 'rate(a_total[60000ms]) > 60')
  strictEqual(shorten('a offset 1h30m'), 'a offset 90000ms')
  strictEqual(shorten('max_over_time(a[1d:5m])'), 'max_over_time(a[1440000ms:5000ms])')
  for (const text of ['a{le="0.15"}', 'job:a:ratio_rate30m > 5', 'waits for: 10m and more', '5m'])
    strictEqual(shorten(text), text)
})

test('a range never gets shorter than its least length', () => {
  strictEqual(shorten('rate(a_total[1m])'), 'rate(a_total[4000ms])')
  strictEqual(shorten('rate(a_total[5m])'), 'rate(a_total[5000ms])')
})

test('the committed rules, shortened, are valid and differ in their times only', async (t) => {
  const folder = temporaryFolder(t)
  const blind = (expr: string): string => expr.replace(/(\[|offset )\w+/g, '$1')
  for (const file of RULE_FILES) {
    const text = readFileSync(file, 'utf8')
    const short = shorten(text)
    notStrictEqual(short, text)
    deepStrictEqual(
      rulesOf(short).map(({ alert, record, expr }) => [alert, record, blind(expr)]),
      rulesOf(text).map(({ alert, record, expr }) => [alert, record, blind(expr)]),
    )
    deepStrictEqual(
      rulesOf(short).filter(({ for: waits }) => waits !== undefined && !waits.endsWith('ms')),
      [],
    )
    ok(!/\[\d+[smhdw][\]:]|offset \d+[smhdw]\b/.test(short), 'a time was left as it was')
    const path = join(folder, basename(file))
    writeFileSync(path, short)
    const { code, output } = await runProgram(await promtoolProgram(), ['check', 'rules', path], {
      limitMs: 30_000,
    })
    strictEqual(code, 0, output)
  }
})
