// Goal: a process computes the catalogue that it was given as it computes the shipped one: exactly. Method: the tests
// against the oracle run again in processes with generated catalogues.

import { deepStrictEqual, match, ok, strictEqual, throws } from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import fc from 'fast-check'
import { catalogueText } from '../../../../../services/core/features/catalogue/catalogue-file.ts'
import {
  FEATURE_LIST_HASH,
  FEATURES,
  hashOfFeatures,
} from '../../../../../services/core/features/catalogue/feature-list.ts'
import { installCatalogue } from '../../../../../services/core/features/catalogue/installed-catalogue.ts'
import { SHIPPED_FEATURES } from '../../../../../services/core/features/catalogue/shipped-features.ts'
import { catalogues } from '../../../../support/catalogues.ts'

const ROOT = join(import.meta.dirname, '../../../../..')
const INSTALL = join(ROOT, 'test/support/install-catalogue.ts')
const ORACLE_TESTS = ['partitions.test.ts', 'shuffled.test.ts', 'state-caps.test.ts']
// A control needs features that its fault changes, which a generated catalogue may lack.
const SKIP_CONTROLS = '--test-skip-pattern=control'
const RUNS = process.env['SLUICE_FULL'] === '1' ? 20 : 2

interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

function runNode(args: readonly string[], catalogue: string): Promise<Ran> {
  const env = { ...process.env, SLUICE_FEATURES: catalogue }
  // A runner that runs inside of another one reports to it, not in text.
  delete (env as Record<string, string | undefined>)['NODE_TEST_CONTEXT']
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      args,
      { cwd: ROOT, env, maxBuffer: 16 * 1024 * 1024 },
      (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr })
      },
    )
  })
}

function fileOf(t: TestContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-catalogue-'))
  t.after(() => {
    rmSync(folder, { recursive: true })
  })
  const file = join(folder, 'features.yaml')
  writeFileSync(file, text)
  return file
}

for (const [index, features] of fc.sample(catalogues, { numRuns: RUNS, seed: 26 }).entries()) {
  test(`generated catalogue ${index} of ${features.length} features is as the oracle says`, async (t) => {
    const file = fileOf(t, catalogueText(features))
    const files = ORACLE_TESTS.map((name) => join(ROOT, 'test/unit/core/features', name))
    const ran = await runNode(
      ['--import', INSTALL, '--test', '--test-reporter=tap', SKIP_CONTROLS, ...files],
      file,
    )
    strictEqual(ran.code, 0, `${catalogueText(features)}\n${ran.stdout.slice(-8_000)}${ran.stderr}`)
    match(ran.stdout, /^# pass [1-9]/m)
  })
}

test('a command uses the catalogue that SLUICE_FEATURES names', async (t) => {
  const features = SHIPPED_FEATURES.slice(0, 20)
  const args = ['services/cli/main.ts', 'features', 'list', '--json']
  const ran = await runNode(args, fileOf(t, catalogueText(features)))
  const listed = JSON.parse(ran.stdout) as { readonly hash: string }
  deepStrictEqual([ran.code, listed.hash], [0, hashOfFeatures(features)])
})

test('a catalogue with a fault stops a command and a scorer at once, with its place', async (t) => {
  const file = fileOf(t, 'apiVersion: sluice/v1\nfeatures:\n  - name: a\n    entity: shop\n')
  for (const args of [['services/cli/main.ts', 'features', 'list'], ['services/scorer/main.ts']]) {
    const ran = await runNode(args, file)
    strictEqual(ran.code, 2, ran.stderr)
    match(ran.stderr, /is no catalogue of features: .*line 4: features\[0\]\.entity /)
  }
})

test('a catalogue cannot be changed once it is in use', () => {
  strictEqual(FEATURE_LIST_HASH, hashOfFeatures(FEATURES))
  throws(() => {
    installCatalogue(SHIPPED_FEATURES.slice(0, 3))
  }, /before the first module/)
  ok(FEATURES.length > 3)
})
