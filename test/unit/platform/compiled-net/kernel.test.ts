// Goal: the committed kernel is the build of its source. Method: it is built again.

import { ok, strictEqual } from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

const ROOT = join(import.meta.dirname, '../../../..')
const KERNEL = 'services/platform/compiled-net/kernel/net-kernel.wasm'

test('building the kernel gives the bytes that are kept; otherwise run "npm run kernel"', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-kernel-'))
  t.after(() => {
    rmSync(folder, { recursive: true })
  })
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>
  }
  const command = /"asc (.*)"$/.exec(scripts['kernel'] ?? '')?.[1]
  ok(command !== undefined)
  const built = join(folder, 'net-kernel.wasm')
  const args = command.split(' ').map((word) => (word === KERNEL ? built : word))
  const asc = join(ROOT, 'node_modules/assemblyscript/bin/asc.js')
  const { status, stderr } = spawnSync(process.execPath, [asc, ...args], {
    cwd: ROOT,
    encoding: 'utf8',
  })
  strictEqual(status, 0, stderr)
  ok(readFileSync(built).equals(readFileSync(join(ROOT, KERNEL))), 'The bytes differ.')
})
