#!/usr/bin/env node
// The first thing that runs on a fresh clone: plain JavaScript without dependencies.
//
// It checks Node, installs the npm dependencies when they are missing, stale or half installed, and then runs
// the command line (`sluice ...`) or the test runner (`--test unit ...`) in this same process, so that signals,
// input, output and exit codes need no forwarding.

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
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const NODE_MIN = [20, 19]
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

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1])) return
  fail(
    `Sluice needs Node ${NODE_MIN.join('.')} or newer, and this is Node ${process.versions.node}. ` +
      'Install a newer Node (for example "nvm install 22", or "brew install node") and run the command again.',
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

/** Runs npm ci with its output shown; resolves to its exit code, or null when it could not start. */
function npmCi() {
  const viaNode = process.env.npm_execpath?.endsWith('npm-cli.js') === true
  const [file, first] = viaNode ? [process.execPath, [process.env.npm_execpath]] : ['npm', []]
  const args = [...first, 'ci', '--no-audit', '--no-fund', '--loglevel=warn']
  const startedMs = performance.now()
  const progress = setInterval(() => {
    say(`sluice: npm ci, ${Math.round((performance.now() - startedMs) / 1000)} s`)
  }, PROGRESS_EVERY_MS)
  return new Promise((resolve) => {
    // Dependencies for tests and checks are wanted whatever NODE_ENV says.
    const child = spawn(file, [...args, '--include=dev'], {
      cwd: root,
      stdio: ['ignore', 2, 2],
    })
    const stop = (signal) => child.kill(signal)
    process.on('SIGTERM', stop)
    process.on('SIGINT', stop)
    child.once('error', () => resolve({ code: null, signal: null }))
    child.once('exit', (code, signal) => resolve({ code, signal }))
  }).finally(() => {
    clearInterval(progress)
    process.removeAllListeners('SIGTERM')
    process.removeAllListeners('SIGINT')
  })
}

/** A second attempt heals a network hiccup, and an npm that outlived its killed parent. */
async function installDependencies() {
  for (let attempt = 1; attempt <= INSTALL_ATTEMPTS_MAX; attempt += 1) {
    const { code, signal } = await npmCi()
    if (code === 0) return
    if (signal !== null) process.exit(signal === 'SIGINT' ? 130 : 143)
    if (code === null) fail('npm was not found. Install Node with npm, then run the command again.')
    if (attempt < INSTALL_ATTEMPTS_MAX)
      say(`sluice: npm ci ended with code ${code}; trying once more`)
    else
      fail(
        `npm ci ended with code ${code}; its message is above. Repair the cause and run "npm ci".`,
      )
  }
}

async function ensureInstalled() {
  if (isInstalled()) return
  await takeInstallLock()
  const release = () => rmSync(installLock, { force: true })
  process.once('exit', release)
  // Whoever held the lock before us has probably done the work.
  if (!isInstalled()) {
    say('sluice: installing the npm dependencies (npm ci)')
    const startedMs = performance.now()
    await installDependencies()
    writeFileSync(stamp, lockHash())
    say(
      `sluice: dependencies installed in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`,
    )
  }
  process.removeListener('exit', release)
  release()
}

/** Runs a TypeScript entry, or its compiled form where tsx is not installed (an image, a package). */
async function runEntry(source, args) {
  const typescript = join(root, source)
  const compiled = join(root, 'dist', source.replace(/\.ts$/, '.js'))
  const useSource = existsSync(typescript) && existsSync(join(modules, 'tsx'))
  const entry = useSource ? typescript : compiled
  if (!existsSync(entry)) fail(`${entry} is missing. Run "npm run build", or take a fresh clone.`)
  process.argv = [process.argv[0], entry, ...args]
  if (useSource) {
    await import('tsx')
    // Children that this process forks must read TypeScript as well.
    process.execArgv.push('--import', 'tsx')
  }
  await import(pathToFileURL(entry).href)
}

checkNode()
const runsCompiled =
  !existsSync(packageLock) || !existsSync(join(root, 'services', 'cli', 'main.ts'))
if (!runsCompiled) await ensureInstalled()
const args = process.argv.slice(2)
if (args[0] === '--test') await runEntry('test/run.ts', args.slice(1))
else await runEntry('services/cli/main.ts', args)
