// Goal: keys of tokens are read from a variable or a file, and faults never show them. Method: good and bad forms.

import { deepStrictEqual, ok, throws } from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { readTokenKeys } from '../../../services/bridge/token-keys.ts'
import { EnvReader } from '../../../services/platform/config/env-reader.ts'
import { temporaryFolder } from '../../support/model-variants.ts'

const [OLD, NEW] = [1, 2].map((byte) => Buffer.alloc(32, byte).toString('base64'))

function keysOf(env: Readonly<Record<string, string>>): readonly [string, number][] {
  const read = new EnvReader(env)
  const keys = readTokenKeys(read).map(({ id, fromMs }) => [id, fromMs] as [string, number])
  read.throwIfInvalid()
  return keys
}

test('one key in a variable, several in a file, none without either', (t) => {
  deepStrictEqual(keysOf({}), [])
  deepStrictEqual(keysOf({ SLUICE_BRIDGE_TOKEN_KEY: `k1:${OLD}` }), [['k1', 0]])
  const file = join(temporaryFolder(t, 'keys'), 'keys')
  writeFileSync(file, `# rotation\nk2 2026-06-01T00:00:00Z ${NEW}\nk1 2026-01-01 ${OLD}\n`)
  deepStrictEqual(keysOf({ SLUICE_BRIDGE_TOKEN_KEYS_FILE: file }), [
    ['k1', Date.parse('2026-01-01')],
    ['k2', Date.parse('2026-06-01')],
  ])
  writeFileSync(file, `k1 2026-06-01 ${NEW}\nk1 2026-01-01 ${OLD}\n`)
  throws(() => keysOf({ SLUICE_BRIDGE_TOKEN_KEYS_FILE: file }), /two keys of one name/)
})

test('a bad key is refused, and not shown', () => {
  for (const key of [
    'secretsecret',
    `k1:${Buffer.alloc(8).toString('base64')}`,
    `K 1:${OLD}`,
    'k1:secret!',
  ]) {
    throws(
      () => keysOf({ SLUICE_BRIDGE_TOKEN_KEY: key }),
      (error: Error) => {
        ok(!error.message.includes(key) && /SLUICE_BRIDGE_TOKEN_KEY is not/.test(error.message))
        return true
      },
    )
  }
})
