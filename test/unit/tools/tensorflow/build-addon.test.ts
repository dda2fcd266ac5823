// Goal: a function that the libraries lack is found before anything calls it. Method: real shared libraries of a few
// lines, compiled here; skipped without a compiler.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { findProgram } from '../../../../tools/servers/run-program.ts'
import { checkSymbols } from '../../../../tools/tensorflow/build-addon.ts'

const find = (name: string): string | null => findProgram(name, process.env['PATH'])
const compiler = find('cc') ?? find('gcc')
const nm = find('nm')

test('every TensorFlow function that an addon calls is looked up in the libraries', async (t) => {
  if (compiler === null || nm === null || process.platform !== 'linux') {
    t.skip('no C compiler or nm here')
    return
  }
  const folder = mkdtempSync(join(tmpdir(), 'sluice-symbols-'))
  t.after(() => {
    rmSync(folder, { recursive: true })
  })
  const build = (name: string, source: string): string => {
    writeFileSync(join(folder, `${name}.c`), source)
    const library = join(folder, `${name}.so`)
    execFileSync(compiler, ['-shared', '-fPIC', '-o', library, join(folder, `${name}.c`)])
    return library
  }
  const addon = build(
    'addon',
    'int TF_Version(void); int TFE_Execute(void); int puts(const char *);' +
      'int run(void) { puts("a"); return TF_Version() + TFE_Execute(); }',
  )
  const version = build('version', 'int TF_Version(void) { return 2; }')
  const eager = build('eager', 'int TFE_Execute(void) { return 1; }')
  assert.deepEqual(await checkSymbols(nm, addon, [version, eager]), { wanted: 2, missing: [] })
  assert.deepEqual(await checkSymbols(nm, addon, [version]), {
    wanted: 2,
    missing: ['TFE_Execute'],
  })
})
