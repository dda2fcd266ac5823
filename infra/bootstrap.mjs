#!/usr/bin/env node
// The first thing that runs on a fresh clone: plain JavaScript without dependencies, for Node 18 and newer.
//
// On a Node older than package.json asks for, it fetches one that is new enough into .sluice/node and starts itself
// again on that. Then it installs the npm dependencies when they are missing, stale or half installed, and runs in
// this same process the command line (`sluice ...`) or the test runner (`--test unit ...`), or starts any other
// command line (`--run eslint .`).

import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const LOCK_WAIT_MS_MAX = 10 * 60_000
const LOCK_POLL_MS = 250
const PROGRESS_EVERY_MS = 5_000
const INSTALL_ATTEMPTS_MAX = 2

const root = dirname(dirname(realpathSync(fileURLToPath(import.meta.url))))
const packageLock = join(root, 'package-lock.json')
const modules = join(root, 'node_modules')
const stamp = join(modules, '.sluice-stamp')
// npm writes this file as the last step of an install, so without it the folder is half finished.
const npmMark = join(modules, '.package-lock.json')
const installLock = join(root, '.sluice', 'run', 'install.lock')

function fail(message) {
  process.stderr.write(`${message}\n`)
  process.exit(3)
}

function say(line) {
  process.stderr.write(`${line}\n`)
}

/** The oldest Node that runs Sluice, by package.json. Its field `engines` names the oldest that runs this file. */
function oldestNode() {
  const { devEngines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  return devEngines.runtime.version.replace('>=', '')
}

function isNewEnough() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  const [majorMin, minorMin] = oldestNode().split('.').map(Number)
  return major > majorMin || (major === majorMin && minor >= minorMin)
}

/** Passes signals on to a child that has our terminal, and ends as it ends. */
function endWith(child) {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.once('error', (error) => fail(`${child.spawnfile} does not start (${error.message}).`))
  child.once('exit', (code, signal) => {
    if (signal === null) process.exit(code)
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  })
}

/** Starts this file again on the pinned Node. Programs below find that Node first. */
async function runOnPinnedNode() {
  const node = await ensureRuntime()
  const PATH = [dirname(node), process.env.PATH].join(delimiter)
  const env = { ...process.env, PATH }
  endWith(spawn(node, process.argv.slice(1), { stdio: 'inherit', env }))
}

/** Path of the pinned Node for this platform, fetched by npm when it is not there. */
async function ensureRuntime() {
  const needs = `Node ${oldestNode()} or newer is needed, and this is Node ${process.versions.node}`
  const runtimes = JSON.parse(readFileSync(join(root, 'infra', 'node-runtimes.json'), 'utf8'))
  const platform = `${process.platform}-${process.arch}`
  const runtime = runtimes[platform]
  const remedy = 'Install it (for example "nvm install 24") and run the command again.'
  if (runtime === undefined) fail(`${needs}. npm has none for ${platform}. ${remedy}`)
  const { package: name, version } = runtime
  const folder = join(root, '.sluice', 'node', `${name}-${version}`)
  const isThere = () => existsSync(join(folder, 'node_modules', '.package-lock.json'))
  await onceForAll(isThere, async () => {
    say(`sluice: ${needs}; fetching Node ${version} by npm into .sluice/node, once`)
    writeRuntimePackage(folder, runtime)
    const { code, signal } = await npmCi(folder, ['--ignore-scripts', '--loglevel=error'])
    if (signal !== null) process.exit(signal === 'SIGINT' ? 130 : 143)
    if (code !== 0) fail(`${needs}. Fetching one failed. ${remedy}`)
  })
  return join(folder, 'node_modules', name, 'bin', 'node')
}

/** A package whose one dependency is the runtime; npm compares what it fetches with the checksum in the lock file. */
function writeRuntimePackage(folder, { package: name, version, integrity }) {
  const own = { dependencies: { [name]: version } }
  const packages = { '': own, [`node_modules/${name}`]: { version, integrity } }
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), JSON.stringify(own))
  writeFileSync(
    join(folder, 'package-lock.json'),
    JSON.stringify({ lockfileVersion: 3, requires: true, packages }),
  )
}

function lockHash() {
  return createHash('sha256').update(readFileSync(packageLock)).digest('hex')
}

function isInstalled() {
  if (!existsSync(npmMark)) return false
  const hash = lockHash()
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return true
  // Installed by a person with npm install or npm ci: fine when that is not older than the lock file.
  if (statSync(npmMark).mtimeMs < statSync(packageLock).mtimeMs) return false
  writeFileSync(stamp, hash)
  return true
}

/** Start of a process, where the system tells it: a pid alone may have been given to another process. */
function startOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return ''
  }
}

function isHeld(lockText) {
  const [pid, start] = lockText.split(' ')
  try {
    process.kill(Number(pid), 0)
  } catch (error) {
    if (error.code !== 'EPERM') return false
  }
  return start === startOf(pid)
}

/** Takes the lock, or returns false when another process holds it. A link appears with its content. */
function tryLock() {
  const mine = `${installLock}.${process.pid}`
  writeFileSync(mine, `${process.pid} ${startOf(process.pid)}`)
  try {
    linkSync(mine, installLock)
    return true
  } catch (error) {
    if (error.code !== 'EEXIST') throw error
    let holder = ''
    try {
      holder = readFileSync(installLock, 'utf8')
    } catch {
      return false // released just now
    }
    if (!isHeld(holder)) rmSync(installLock, { force: true })
    return false
  } finally {
    rmSync(mine, { force: true })
  }
}

async function takeInstallLock() {
  mkdirSync(dirname(installLock), { recursive: true })
  const deadlineMs = performance.now() + LOCK_WAIT_MS_MAX
  let told = false
  while (!tryLock()) {
    if (performance.now() > deadlineMs) {
      fail(
        `Another install has held ${installLock} for 10 minutes. Delete that file and try again.`,
      )
    }
    if (!told) say('sluice: waiting for another install of the dependencies')
    told = true
    await new Promise((resolve) => setTimeout(resolve, LOCK_POLL_MS))
  }
}

/** Runs npm ci in a folder, by the npm that runs us where one does; its code is null when it could not start. */
function npmCi(folder, options) {
  const viaNode = process.env.npm_execpath?.endsWith('npm-cli.js') === true
  const [file, first] = viaNode ? [process.execPath, [process.env.npm_execpath]] : ['npm', []]
  const args = [...first, 'ci', '--no-audit', '--no-fund', '--include=dev', ...options]
  return new Promise((resolve) => {
    const child = spawn(file, args, { cwd: folder, stdio: ['ignore', 'ignore', 2] })
    const stop = (signal) => child.kill(signal)
    process.on('SIGTERM', stop)
    process.on('SIGINT', stop)
    child.once('error', () => resolve({ code: null, signal: null }))
    child.once('exit', (code, signal) => resolve({ code, signal }))
  }).finally(() => {
    process.removeAllListeners('SIGTERM')
    process.removeAllListeners('SIGINT')
  })
}

/** A second attempt heals a network hiccup, and an npm that outlived its killed parent. */
async function installDependencies() {
  say('sluice: installing the npm dependencies (npm ci)')
  const startedMs = performance.now()
  const seconds = () => (performance.now() - startedMs) / 1_000
  const progress = setInterval(
    () => say(`sluice: npm ci, ${seconds().toFixed(0)} s`),
    PROGRESS_EVERY_MS,
  )
  for (let attempt = 1; ; attempt += 1) {
    // With what tests and checks need, whatever NODE_ENV says.
    const { code, signal } = await npmCi(root, ['--loglevel=warn'])
    if (code === 0) break
    if (signal !== null) process.exit(signal === 'SIGINT' ? 130 : 143)
    if (code === null) fail('npm was not found. Install Node with npm, then run the command again.')
    if (attempt === INSTALL_ATTEMPTS_MAX)
      fail(
        `npm ci ended with code ${code}; its message is above. Repair the cause and run "npm ci".`,
      )
    say(`sluice: npm ci ended with code ${code}; trying once more`)
  }
  clearInterval(progress)
  writeFileSync(stamp, lockHash())
  say(`sluice: dependencies installed in ${seconds().toFixed(1)} s`)
}

/** Does work that is not done yet, in one process at a time. */
async function onceForAll(isDone, work) {
  if (isDone()) return
  await takeInstallLock()
  const release = () => rmSync(installLock, { force: true })
  process.once('exit', release)
  // The previous holder of the lock has probably done the work.
  if (!isDone()) await work()
  process.removeListener('exit', release)
  release()
}

/** Runs a TypeScript entry, or its compiled form where there are no sources (an image, a package). */
async function runEntry(source, args) {
  const typescript = join(root, source)
  const compiled = join(root, 'dist', source.replace(/\.ts$/, '.js'))
  const entry = existsSync(typescript) ? typescript : compiled
  if (!existsSync(entry)) fail(`${entry} is missing. Run "npm run build", or take a fresh clone.`)
  process.argv = [process.argv[0], entry, ...args]
  await import(pathToFileURL(entry).href)
}

async function main() {
  if (!isNewEnough()) return runOnPinnedNode()
  if (existsSync(packageLock) && existsSync(join(root, 'services', 'cli', 'main.ts')))
    await onceForAll(isInstalled, installDependencies)
  const [first, ...rest] = process.argv.slice(2)
  if (first === '--test') return runEntry('test/run.ts', rest)
  if (first === '--run') return endWith(spawn(rest.join(' '), { stdio: 'inherit', shell: true }))
  return runEntry('services/cli/main.ts', process.argv.slice(2))
}

await main()
