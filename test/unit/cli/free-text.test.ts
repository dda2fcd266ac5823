// Goal: commands that record free text refuse a card number in it, and do not repeat it.

import { ok, strictEqual } from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { startOf } from '../../support/services-build.ts'

const ROOT = join(import.meta.dirname, '../../..')
const SPOKEN = 'customer says 4111 1111 1111 1111 was stolen'
const TOKEN = 'tok_4111111111111111'

const LABEL = ['label', 'tx-1', '--verdict', 'inconclusive', '--reason', 'no answer']

for (const [named, args] of [
  ['--reason', ['label', 'tx-1', '--verdict', 'inconclusive', '--reason', SPOKEN]],
  ['The id', ['label', TOKEN, ...LABEL.slice(2)]],
  ['--card', [...LABEL, '--card', TOKEN]],
  ['--author', ['release', 'card-1', '--reason', 'called', '--author', SPOKEN]],
  ['--reason', ['policy', 'apply', 'policy.yaml', '--reason', SPOKEN]],
  ['--reason', ['list', 'add', 'vip', 'card-1', '--until', 'never', '--reason', SPOKEN]],
] as const) {
  test(`sluice ${args[0]} refuses a card number in ${named}: ${args.length} words`, () => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      startOf('services/cli/main.ts', args),
      // A port without a listener: the text is refused before any connection is tried.
      { cwd: ROOT, encoding: 'utf8', env: { ...process.env, SLUICE_KAFKA_BROKERS: '127.0.0.1:1' } },
    )
    strictEqual(status, 2, stderr)
    ok(stderr.startsWith(`sluice: ${named} seems to hold a card number`), stderr)
    ok(!/4111/.test(stdout + stderr), stderr)
  })
}
