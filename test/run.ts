// Runs the test files of the suites named on the command line: `node infra/bootstrap.mjs --test unit parity`.
//
// Node's own runner reports success when it finds no file and no test. Hence the listing is done here; a suite
// without files, a file without tests and a run without tests all fail. Suites that need servers get them, by
// addresses in the environment.

import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { parseArgs } from 'node:util'
import { SluiceError } from '../services/core/errors.ts'
import { installAuditor } from './support/auditor.ts'
import { useClassArchive } from './support/class-archive.ts'
import { durationReport, schedule, type Group } from './support/schedule.ts'
import { buildServices, type ServicesBuild } from './support/services-build.ts'
import { provisionTestStack, type TestStack } from './support/test-stack.ts'

const NEEDS_SERVERS = new Set(['integration', 'integrity', 'observability', 'parity', 'bench'])
const FILE_LIMIT_MS = process.env['SLUICE_FULL'] === '1' ? 2 * 3_600_000 : 15 * 60_000
const SUMMARY_LINE = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) ([\d.]+)$/

interface TestEvent {
  readonly type: string
  readonly data: {
    readonly nesting?: number
    readonly message?: string
    readonly name?: string
    readonly details?: { readonly duration_ms?: number }
  }
}

const { suites, filter } = readArguments()
const groups = listGroups(suites, filter)
const interrupted = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    interrupted.abort()
  })
}

// Hundreds of processes load the same files: each is parsed once for a whole run, not once for each process.
const compileCache = mkdtempSync(join(tmpdir(), 'sluice-compile-cache-'))
process.env['NODE_COMPILE_CACHE'] ??= compileCache
let stack: TestStack | null = null
let build: ServicesBuild | null = null
try {
  if (suites.some((suite) => NEEDS_SERVERS.has(suite))) {
    const root = join(import.meta.dirname, '..')
    const onProgress = (line: string): void => {
      process.stderr.write(`sluice: ${line}\n`)
    }
    const { signal } = interrupted
    build = await buildServices(signal)
    stack = await provisionTestStack({ root, env: process.env, onProgress, signal })
    await useClassArchive({ root, onProgress, signal })
    await installAuditor({ onProgress, signal })
    process.env['SLUICE_KAFKA_BROKERS'] = stack.brokers.join(',')
    // A given one stays as it is: it may carry the password, which this URL does not.
    if (!stack.isRedisGiven) process.env['SLUICE_REDIS_URL'] = stack.redisUrl
    // Processes started by tests find the servers by these variables. They would refuse a provider known only to tests.
    delete process.env['SLUICE_STACK_PROVIDER']
    process.stderr.write(`sluice: servers of this run: ${stack.origin}\n`)
  }
  await pipeline(Readable.from(runGroups(groups)), new spec(), process.stdout, { end: false })
} catch (error) {
  if (!(error instanceof SluiceError) && !interrupted.signal.aborted) throw error
  fail(error instanceof SluiceError ? error.message : 'Stopped.')
} finally {
  await stack?.stop()
  build?.remove()
  rmSync(compileCache, { recursive: true, force: true })
  if (stack !== null) process.stderr.write(`sluice: ${providerNote(stack)}\n`)
}
if (interrupted.signal.aborted) process.exitCode = 130

/** Loud at the end of a run: what served it, and what has not been run by it. */
function providerNote({ origin, isContainers }: TestStack): string {
  return isContainers
    ? `this run used ${origin}`
    : `this run used ${origin}; the tests did not run on containers (SLUICE_STACK_PROVIDER=testcontainers does that)`
}

function fail(message: string): void {
  process.stderr.write(`sluice: ${message}\n`)
  process.exitCode = 1
}

function readArguments(): { suites: readonly string[]; filter: string | null } {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { filter: { type: 'string' } },
  })
  if (positionals.length === 0) {
    process.stderr.write(
      'sluice: no suite named. Name some of the folders of test/, for example: --test unit --filter wire\n',
    )
    process.exit(2)
  }
  return { suites: [...new Set(positionals)], filter: values.filter ?? null }
}

/** The chosen files as the schedule has them. */
function listGroups(names: readonly string[], text: string | null): readonly Group[] {
  const chosen: string[] = []
  for (const name of names) {
    const files = listFiles(name)
    if (files.length === 0) {
      process.stderr.write(
        `sluice: test/${name} has no *.test.ts file. Add one, or leave the suite out.\n`,
      )
      process.exit(2)
    }
    chosen.push(...files.filter((file) => text === null || file.includes(text)))
  }
  if (chosen.length === 0) {
    process.stderr.write(
      `sluice: no test file of ${names.join(', ')} has "${text ?? ''}" in its name.\n`,
    )
    process.exit(2)
  }
  return schedule(chosen)
}

function listFiles(suite: string): readonly string[] {
  try {
    return readdirSync(join(import.meta.dirname, suite), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.test.ts'))
      .sort()
      .map((path) => `${suite}/${path}`)
  } catch {
    return []
  }
}

/** The events of all groups as one run, with one summary at the end. */
async function* runGroups(all: readonly Group[]): AsyncGenerator<TestEvent> {
  const totals = new Map<string, number>()
  const emptyFiles: string[] = []
  const seconds = new Map<string, number>()
  for (const group of all) {
    const files = new Set(group.files.map((file) => join(import.meta.dirname, file)))
    for await (const event of startGroup(group)) {
      const { data, type } = event
      const summary = data.nesting === 0 ? SUMMARY_LINE.exec(data.message ?? '') : null
      if (type === 'test:diagnostic' && summary !== null) {
        const [, name = '', amount] = summary
        totals.set(name, (totals.get(name) ?? 0) + Number(amount))
        continue
      }
      if (type === 'test:summary') continue
      if (type === 'test:fail') process.exitCode = 1
      const { duration_ms: milliseconds } = data.details ?? {}
      if (type === 'test:complete' && milliseconds !== undefined && isFileItself(data.name, files))
        seconds.set(relative(import.meta.dirname, data.name ?? ''), milliseconds / 1_000)
      // A file shows up as a test of its own only when it holds none.
      if (type === 'test:pass' && isFileItself(data.name, files)) emptyFiles.push(data.name ?? '')
      yield event
    }
  }
  for (const [name, amount] of totals) {
    yield { type: 'test:diagnostic', data: { nesting: 0, message: `${name} ${amount}` } }
  }
  for (const line of durationReport(seconds)) process.stderr.write(`${line}\n`)
  for (const file of emptyFiles) fail(`${file} holds no test.`)
  if ((totals.get('tests') ?? 0) === 0) fail('The run had no tests.')
}

function startGroup(group: Group): AsyncIterable<TestEvent> {
  const options = {
    files: group.files.map((file) => join(import.meta.dirname, file)),
    concurrency: group.concurrency,
    timeout: FILE_LIMIT_MS,
    signal: interrupted.signal,
  }
  return run(options) as AsyncIterable<TestEvent>
}

function isFileItself(name: string | undefined, files: ReadonlySet<string>): boolean {
  return name !== undefined && files.has(resolve(name))
}
