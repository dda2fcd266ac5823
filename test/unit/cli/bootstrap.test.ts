// Goal: whatever Node starts the first command, and whatever state the npm dependencies are in, it runs on a recent
// enough Node with complete dependencies, and fetches each once. Method: a tiny project with one dependency in its own
// folder, so that npm ci is real but needs no network. An old Node is this one reporting another version. The runtime
// comes from a registry of this test: a package whose program reports that it was started, and is this Node.

import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'

const ROOT = join(import.meta.dirname, '../../..')
const bootstrap = join(ROOT, 'infra/bootstrap.mjs')
const OLDEST = '24.11.0'

/** Writes package.json and its lock file as npm does. */
function writePackage(root: string, version: string): void {
  const devEngines = { runtime: { name: 'node', version: `>=${OLDEST}`, onFail: 'ignore' } }
  const about = { name: 'tiny', version, devEngines, dependencies: { near: 'file:near' } }
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
  // Exits with the given code.
  write(
    'services/cli/main.ts',
    "const code: number = Number(process.argv[2]); console.log('ran', code); process.exitCode = code",
  )
  mkdirSync(join(root, 'infra'))
  copyFileSync(bootstrap, join(root, 'infra/bootstrap.mjs'))
  return root
}

interface Ended {
  readonly code: number | null
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
}

/** Starts the bootstrap of a project and waits until it ends. */
async function run(
  root: string,
  args: readonly string[],
  { node = [], env = {} }: { node?: readonly string[]; env?: NodeJS.ProcessEnv } = {},
): Promise<Ended> {
  const child = spawn(process.execPath, [...node, join(root, 'infra/bootstrap.mjs'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  })
  const ended = once(child, 'close') as Promise<[code: number | null, signal: string | null]>
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  const [code, signal] = await ended
  return { code, signal, stdout, stderr }
}

const start = (root: string, exitCode: number): Promise<Ended> => run(root, [String(exitCode)])

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

/** A project whose runtime is a package of a registry that runs while the test does. */
async function makeOldMachine(t: TestContext): Promise<{
  readonly root: string
  /** Runs the bootstrap on a Node that reports this version. */
  readonly runOn: (version: string, args: readonly string[]) => Promise<Ended>
  /** Pins a wrong checksum of the package. */
  readonly spoilChecksum: () => void
  readonly tarballsSent: () => number
}> {
  const root = makeProject(t)
  const work = mkdtempSync(join(tmpdir(), 'sluice-registry-'))
  t.after(() => {
    rmSync(work, { recursive: true, force: true })
  })
  const about = { name: 'node-of-test', version: OLDEST, bin: { node: 'bin/node' } }
  const program = `#!/bin/sh\necho "runtime started" >&2\nexec "${process.execPath}" "$@"\n`
  mkdirSync(join(work, 'package/bin'), { recursive: true })
  writeFileSync(join(work, 'package/package.json'), JSON.stringify(about))
  writeFileSync(join(work, 'package/bin/node'), program, { mode: 0o755 })
  strictEqual(spawnSync('tar', ['-czf', 'package.tgz', 'package'], { cwd: work }).status, 0)
  const tarball = readFileSync(join(work, 'package.tgz'))
  const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`
  let sent = 0
  const registry = createServer((request, response) => {
    if (request.url?.endsWith('.tgz') === true) {
      sent += 1
      response.end(tarball)
      return
    }
    const dist = { tarball: `http://${request.headers.host ?? ''}/package.tgz`, integrity }
    const versions = { [OLDEST]: { ...about, dist } }
    response.end(JSON.stringify({ name: about.name, versions, 'dist-tags': { latest: OLDEST } }))
  }).listen(0, '127.0.0.1')
  await once(registry, 'listening')
  t.after(() => registry.close())
  const pin = (checksum: string): void => {
    const runtime = { package: about.name, version: OLDEST, integrity: checksum }
    const runtimes = { [`${process.platform}-${process.arch}`]: runtime }
    writeFileSync(join(root, 'infra/node-runtimes.json'), JSON.stringify(runtimes))
  }
  pin(integrity)
  const env = {
    npm_config_registry: `http://127.0.0.1:${(registry.address() as AddressInfo).port}/`,
    npm_config_cache: join(work, 'cache'),
    npm_config_fetch_retries: '0',
  }
  return {
    root,
    runOn: (version, args) => {
      const pretence = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } })`
      const node = ['--import', `data:text/javascript,${encodeURIComponent(pretence)}`]
      return run(root, args, { node, env })
    },
    spoilChecksum: () => {
      pin(`sha512-${Buffer.alloc(64, 7).toString('base64')}`)
    },
    tarballsSent: () => sent,
  }
}

const RUNTIME = 'runtime started\n'

test('an older Node fetches the pinned one once, says so in one line, and the command runs on that', async (t) => {
  const { runOn, tarballsSent } = await makeOldMachine(t)
  const first = await runOn('18.20.8', ['7'])
  strictEqual(first.code, 7, first.stderr)
  strictEqual(first.stdout, 'ran 7\n')
  const [line = '', ...rest] = first.stderr.split('\n')
  match(line, /^sluice: Node 24\.11\.0 or newer is needed, and this is Node 18\.20\.8; fetching/)
  match(rest.join('\n'), new RegExp(`^${RUNTIME}sluice: installing the npm dependencies`))
  deepStrictEqual(await runOn('24.10.9', ['0']), {
    code: 0,
    signal: null,
    stdout: 'ran 0\n',
    stderr: RUNTIME,
  })
  strictEqual(tarballsSent(), 1)
})

test('a Node that is new enough is used as it is', async (t) => {
  const { runOn, root, tarballsSent } = await makeOldMachine(t)
  for (const version of [OLDEST, '24.22.3', '26.1.0']) {
    const { code, stderr } = await runOn(version, ['0'])
    strictEqual(code, 0, stderr)
    strictEqual(stderr.includes(RUNTIME), false)
  }
  strictEqual(existsSync(join(root, '.sluice/node')), false)
  strictEqual(tarballsSent(), 0)
})

test('a runtime with another checksum than the pinned one is refused and never started', async (t) => {
  const { runOn, spoilChecksum } = await makeOldMachine(t)
  spoilChecksum()
  const { code, stdout, stderr } = await runOn('20.20.2', ['0'])
  strictEqual(code, 3, stderr)
  strictEqual(stdout, '')
  strictEqual(stderr.includes(RUNTIME), false)
  match(stderr, /EINTEGRITY/)
  match(stderr, /Fetching one failed\. Install it \(for example "nvm install 24"\)/)
})

test('a platform without a runtime is told what to install', async (t) => {
  const { root, runOn } = await makeOldMachine(t)
  writeFileSync(join(root, 'infra/node-runtimes.json'), '{}')
  const { code, stderr } = await runOn('20.20.2', ['0'])
  strictEqual(code, 3)
  match(stderr, /this is Node 20\.20\.2\. npm has none for \S+\. Install it/)
})

test('a signal reaches the command on the pinned Node, and its end is the end of the first process', async (t) => {
  const { root, runOn } = await makeOldMachine(t)
  // Its parent is the process that was started first.
  writeFileSync(
    join(root, 'services/cli/main.ts'),
    `process.on('SIGTERM', () => process.exit(43))
     setInterval(() => undefined, 1_000)
     process.kill(process.argv[2] === 'itself' ? process.pid : process.ppid, process.argv[3])`,
  )
  strictEqual((await runOn('20.20.2', ['parent', 'SIGTERM'])).code, 43)
  strictEqual((await runOn('20.20.2', ['itself', 'SIGKILL'])).signal, 'SIGKILL')
})

test('any other command line runs on the pinned Node too, with its own exit code', async (t) => {
  const { runOn } = await makeOldMachine(t)
  await runOn('20.20.2', ['0'])
  const { code, stdout, stderr } = await runOn('20.20.2', [
    '--run',
    'node -p 1+1 && node -e "process.exit(9)"',
  ])
  strictEqual(code, 9, stderr)
  strictEqual(stdout, '2\n')
  // The bootstrap itself, and each node of the command line.
  strictEqual(stderr.split(RUNTIME).length - 1, 3)
})

test('the pinned runtimes are as new as package.json asks, and have a checksum', () => {
  const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8')
  const { devEngines } = JSON.parse(read('package.json')) as {
    readonly devEngines: { readonly runtime: { readonly version: string } }
  }
  strictEqual(devEngines.runtime.version, `>=${OLDEST}`)
  const runtimes = JSON.parse(read('infra/node-runtimes.json')) as Record<
    string,
    { readonly version: string; readonly integrity: string }
  >
  for (const [platform, { version, integrity }] of Object.entries(runtimes)) {
    const [major = 0, minor = 0] = version.split('.').map(Number)
    ok(major > 24 || (major === 24 && minor >= 11), platform)
    match(integrity, /^sha512-[A-Za-z0-9+/]{86}==$/)
  }
})
