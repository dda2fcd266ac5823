// Goal: `sluice train` killed with SIGKILL and continued by --resume writes the bytes of an uninterrupted run. Method:
// the real command, killed once in the middle of the first seed and once in the middle of the second.

import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '../support/model-variants.ts'
import { startOf } from '../support/services-build.ts'
import { runSluice } from '../support/sluice-command.ts'

const ROOT = join(import.meta.dirname, '../..')

function words(out: string): readonly string[] {
  const history = ['--simulate', '--cards', '400', '--days', '22', '--gap', '1d']
  const run = ['--epochs', '2', '--seeds', '2', '--backend', 'wasm', '--name', 'killed']
  return ['train', '--out', out, ...history, ...run, '--release-date', '2026-01-31']
}

/** Runs until a progress line contains `until`, then kills. Resolves with all earlier lines. */
async function killAt(args: readonly string[], until: string): Promise<readonly string[]> {
  const child = spawn(process.execPath, startOf('services/cli/main.ts', args), {
    cwd: ROOT,
    env: { ...process.env, NODE_TEST_CONTEXT: undefined },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text
    if (log.includes(until)) child.kill('SIGKILL')
  })
  const signal = await new Promise((resolve) => {
    child.once('exit', (_code, by) => {
      resolve(by)
    })
  })
  strictEqual(signal, 'SIGKILL', log)
  return log.split('\n')
}

function digestsOf(folder: string): ReadonlyMap<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
  return new Map(
    files
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name))
      .map((path) => [
        path.slice(folder.length),
        createHash('sha256').update(readFileSync(path)).digest('hex'),
      ]),
  )
}

test('a training run killed and resumed twice ends with the bytes of an uninterrupted one', async (t) => {
  const folder = temporaryFolder(t, 'train-kill')
  const whole = join(folder, 'whole')
  const out = join(folder, 'out')
  const ended = await runSluice(words(whole), {})
  strictEqual(ended.code, 0, ended.stderr)

  await killAt(words(out), 'seed 42, target, epoch 1')
  ok(!existsSync(out), 'nothing looks like a model before it is one')
  const refused = await runSluice(words(out), {})
  strictEqual(refused.code, 2)
  match(refused.stderr, /--resume/)
  const second = await killAt([...words(out), '--resume'], 'seed 43, draft, epoch 1')
  ok(!second.some((line) => line.includes('seed 42, draft')), 'what was finished is not done again')
  ok(!second.some((line) => line.includes('seed 42, target, epoch 1')))

  const last = await runSluice([...words(out), '--resume'], {})
  strictEqual(last.code, 0, last.stderr)
  ok(!last.stderr.includes('seed 42'), last.stderr)
  deepStrictEqual(digestsOf(out), digestsOf(whole))
  ok(!existsSync(`${out}.run`), 'the progress of a finished run is not left behind')
})
