// Goal: whatever state the npm dependencies are in, the first command makes them complete, once.
// Method: a tiny project with one dependency in a folder of its own, so that npm ci is real but needs no network.

import { match, strictEqual } from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'

const bootstrap = join(import.meta.dirname, '../../../infra/bootstrap.mjs')

/** Writes package.json and its lock file as npm does. */
function writePackage(root: string, version: string): void {
  const about = { name: 'tiny', version, dependencies: { near: 'file:near' } }
  const packages = {
    '': about,
    near: { version: '1.0.0' },
    'node_modules/near': { resolved: 'near', link: true },
  }
  writeFileSync(join(root, 'package.json'), JSON.stringify({ ...about, type: 'module' }))
  writeFileSync(
    join(root, 'package-lock.json'),
    JSON.stringify({ name: 'tiny', version, lockfileVersion: 3, requires: true, packages }),
  )
}

function makeProject(t: TestContext): string {
  const root = mkdtempSync(join(tmpdir(), 'sluice-bootstrap-'))
  t.after(() => {
    rmSync(root, { recursive: true, force: true })
  })
  const write = (path: string, content: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), content)
  }
  writePackage(root, '1.0.0')
  write('near/package.json', JSON.stringify({ name: 'near', version: '1.0.0' }))
  write('services/cli/main.ts', '')
  // Without tsx the compiled entry runs. It ends with the code that it is given.
  write(
    'dist/services/cli/main.js',
    "console.log('ran', process.argv[2]); process.exitCode = Number(process.argv[2])",
  )
  mkdirSync(join(root, 'infra'))
  copyFileSync(bootstrap, join(root, 'infra/bootstrap.mjs'))
  return root
}

async function start(
  root: string,
  exitCode: number,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [join(root, 'infra/bootstrap.mjs'), String(exitCode)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const code = new Promise<number | null>((resolve) => child.once('close', resolve))
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  return { code: await code, stdout, stderr }
}

const INSTALLS = /installing the npm dependencies/

test('missing dependencies are installed first, and then the command runs with its own exit code', async (t) => {
  const root = makeProject(t)
  const first = await start(root, 5)
  match(first.stderr, INSTALLS)
  match(first.stdout, /ran 5/)
  strictEqual(first.code, 5)
  const second = await start(root, 0)
  strictEqual(second.stderr, '')
  strictEqual(second.code, 0)
})

test('a half-finished install and a newer lock file are installed again', async (t) => {
  const root = makeProject(t)
  await start(root, 0)
  rmSync(join(root, 'node_modules/.package-lock.json'))
  match((await start(root, 0)).stderr, INSTALLS)
  writePackage(root, '1.0.1')
  match((await start(root, 0)).stderr, INSTALLS)
  strictEqual((await start(root, 0)).stderr, '')
})

test('several first commands at once install once', async (t) => {
  const root = makeProject(t)
  const ended = await Promise.all([start(root, 0), start(root, 0), start(root, 0)])
  strictEqual(ended.filter(({ stderr }) => INSTALLS.test(stderr)).length, 1)
  for (const { code } of ended) strictEqual(code, 0)
  strictEqual(existsSync(join(root, '.sluice/run/install.lock')), false)
})

test('the install lock of a process that was killed counts for nothing', async (t) => {
  const root = makeProject(t)
  const { pid } = spawnSync(process.execPath, ['-e', ''])
  mkdirSync(join(root, '.sluice/run'), { recursive: true })
  writeFileSync(join(root, '.sluice/run/install.lock'), `${pid} 12345`)
  strictEqual((await start(root, 0)).code, 0)
})

test('an install that fails ends in code 3 with the remedy, and the command does not run', async (t) => {
  const root = makeProject(t)
  writeFileSync(join(root, 'package-lock.json'), '{"lockfileVersion":3,"packages":{"":{}, "x":')
  const { code, stdout, stderr } = await start(root, 0)
  strictEqual(code, 3)
  strictEqual(stdout, '')
  match(stderr, /Repair the cause and run "npm ci"/)
})
