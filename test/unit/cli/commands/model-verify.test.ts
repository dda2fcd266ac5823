// Goal: people and programs are told the same, with the right exit code. Method: the command in a process of its own.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

const ROOT = join(import.meta.dirname, '../../../..')
const RELEASED = join(ROOT, 'models/simulator')

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

function verify(...args: readonly string[]): Promise<Ended> {
  const command = ['services/cli/main.ts', 'model', 'verify', ...args]
  const options = { cwd: ROOT, env: { ...process.env, NODE_TEST_CONTEXT: undefined } }
  return new Promise((resolve) => {
    execFile(process.execPath, command, options, (error, stdout, stderr) => {
      resolve({ code: Number(error?.code ?? 0), stdout, stderr })
    })
  })
}

test('a sound folder ends in 0 with a line for each check', async () => {
  const { code, stdout } = await verify(RELEASED)
  assert.equal(code, 0, stdout)
  for (const check of ['files', 'results', 'bill', 'openness', 'pages', 'model', 'rows']) {
    assert.match(stdout, new RegExp(`^${check} +ok: `, 'm'))
  }
  assert.match(stdout, /everything matches/)
})

test('a folder that was changed ends in 1, with one line for each thing that does not match', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-verify-'))
  t.after(() => {
    rmSync(folder, { recursive: true })
  })
  cpSync(RELEASED, folder, { recursive: true })
  writeFileSync(join(folder, 'MODEL_CARD.md'), '# The best model\n')
  const { code, stdout } = await verify(folder)
  assert.equal(code, 1)
  assert.match(stdout, /^files +MISMATCH: MODEL_CARD\.md has SHA-256/m)
  assert.match(stdout, /^pages +MISMATCH: MODEL_CARD\.md has nothing under "Figures"/m)
  const { code: sameCode, stdout: json } = await verify(folder, '--json')
  assert.equal(sameCode, 1)
  const found = JSON.parse(json) as {
    readonly isSound: boolean
    readonly checks: readonly { readonly problems: readonly string[] }[]
  }
  assert.equal(found.isSound, false)
  const lines = stdout.split('\n').filter((line) => line.includes('MISMATCH')).length
  assert.equal(found.checks.flatMap(({ problems }) => problems).length, lines)
})

test('a folder that is not there is a mistake of usage, in one line', async () => {
  const { code, stdout, stderr } = await verify(join(ROOT, 'models/none'))
  assert.equal(code, 2)
  assert.equal(stdout, '')
  assert.match(stderr, /models\/none is not a readable folder.*\[SLUICE_USAGE\]/)
})
