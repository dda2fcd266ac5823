// Goal: "sluice bridge check" shows what comes in, what goes out and what is refused, without a card number. Method: the
// command on a file with one message a line.

import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { authorisation, mappingOf, numberOf, TOKEN_KEY } from '../../../support/bridge.ts'
import { temporaryFolder } from '../../../support/model-variants.ts'
import { runSluice } from '../../../support/sluice-command.ts'

const KEYS = { SLUICE_BRIDGE_TOKEN_KEY: TOKEN_KEY }

test('a sample is shown with what becomes of it, and without card numbers', async (t) => {
  const folder = temporaryFolder(t, 'bridge-check')
  const [mapping, sample] = [join(folder, 'payments.yaml'), join(folder, 'sample.jsonl')]
  writeFileSync(mapping, mappingOf('acme.payments'))
  const messages = [authorisation(1), { type: 'PING' }, { type: 'REFUND', pan: numberOf(1) }]
  writeFileSync(sample, messages.map((message) => `${JSON.stringify(message)}\n`).join(''))
  const args = ['bridge', 'check', '--mapping', mapping, '--file', sample]
  const { code, stdout } = await runSluice(args, KEYS)
  strictEqual(code, 0)
  const lines = stdout.trimEnd().split('\n')
  match(lines[0] ?? '', /^line 1: \{"type":"AUTH".*"pan":"\[redacted\]"/)
  match(
    lines[1] ?? '',
    /^ {2}transaction \{"id":"p-1","card":"k1-[a-p]{32}","eventTimeMs":\d+,"amountMinor":1001,/,
  )
  match(lines[3] ?? '', /^ {2}left out by ping$/)
  match(lines[5] ?? '', /^ {2}refused \(no_rule\): no rule applies to it$/)
  strictEqual(lines[6], '1 mapped, 1 skipped, 1 refused: no_rule')
  ok(!stdout.includes(numberOf(1)))
  const json = await runSluice([...args, '--json'], KEYS)
  const kinds = (JSON.parse(json.stdout) as { mapped: { kind: string } }[]).map(
    ({ mapped }) => mapped.kind,
  )
  deepStrictEqual(kinds, ['mapped', 'skipped', 'refused'])
})

test('a mapping with a fault, and one without its key, say what is wrong', async (t) => {
  const folder = temporaryFolder(t, 'bridge-check')
  const mapping = join(folder, 'payments.yaml')
  writeFileSync(mapping, mappingOf('acme.payments').replace('format: json', 'format: xml'))
  const faulty = await runSluice(['bridge', 'check', '--mapping', mapping], KEYS)
  strictEqual(faulty.code, 2)
  match(
    faulty.stderr,
    /payments.yaml, line 6: source.format is "xml", but must be one of json, csv/,
  )
  writeFileSync(mapping, mappingOf('acme.payments'))
  const keyless = await runSluice(['bridge', 'check', '--mapping', mapping], {})
  match(
    keyless.stderr,
    /there is no key; give SLUICE_BRIDGE_TOKEN_KEY or SLUICE_BRIDGE_TOKEN_KEYS_FILE/,
  )
})
