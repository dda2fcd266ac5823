// Goal: the command line reports what is wrong and what to do, with the right exit code. Method: the command as users
// run it, in its own process.

import { deepStrictEqual, match, strictEqual } from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { report } from '../../../tools/doctor/command.ts'

const root = join(import.meta.dirname, '../../..')

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

async function sluice(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const child = spawn(process.execPath, [join(root, 'infra/bootstrap.mjs'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // Without NODE_TEST_CONTEXT, or a test runner started here would report to ours.
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, ...env },
  })
  const code = new Promise<number | null>((resolve) => child.once('close', resolve))
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  return { code: await code, stdout, stderr }
}

test('help lists every command, on standard output, and is no error', async () => {
  for (const args of [[], ['--help'], ['help']]) {
    const { code, stdout } = await sluice(args)
    strictEqual(code, 0, args.join(' '))
    for (const name of ['up', 'down', 'status', 'doctor'])
      match(stdout, new RegExp(`^ {2}${name}\\b`, 'm'))
    match(stdout, /Examples:/)
  }
})

test('every command explains itself with examples', async () => {
  for (const name of ['up', 'down', 'status', 'doctor']) {
    const { code, stdout } = await sluice([name, '--help'])
    strictEqual(code, 0, name)
    match(stdout, new RegExp(`Usage: sluice ${name}[\\s\\S]*Examples:`))
  }
})

test('an unknown command is named, with the nearest one, and ends in code 2', async () => {
  const { code, stdout, stderr } = await sluice(['stauts'])
  strictEqual(code, 2)
  strictEqual(stdout, '')
  match(stderr, /unknown command 'stauts'/)
  match(stderr, /Did you mean status\?/)
  match(stderr, /sluice --help/)
})

test('an unknown option and a superfluous argument are named and end in code 2', async () => {
  const option = await sluice(['up', '--frobnicate'])
  strictEqual(option.code, 2)
  match(option.stderr, /unknown option '--frobnicate'/)
  const argument = await sluice(['down', 'now'])
  strictEqual(argument.code, 2)
  match(argument.stderr, /too many arguments/)
})

test('a bad variable is named without a stack trace and ends in code 2', async () => {
  const { code, stderr } = await sluice(['status'], { SLUICE_KAFKA_BROKERS: 'http://nowhere' })
  strictEqual(code, 2)
  match(stderr, /SLUICE_KAFKA_BROKERS has "http:\/\/nowhere"/)
  strictEqual(/^\s+at /m.test(stderr), false)
})

test('the version is the one in package.json', async () => {
  const { code, stdout } = await sluice(['--version'])
  strictEqual(code, 0)
  match(stdout, /^\d+\.\d+\.\d+\n$/)
})

test('a test run without suites, or of a suite without tests, fails', async () => {
  const none = await sluice(['--test'])
  strictEqual(none.code, 2)
  match(none.stderr, /no suite named/)
  const absent = await sluice(['--test', 'no-such-suite'])
  strictEqual(absent.code, 2)
  match(absent.stderr, /no-such-suite/)
  const filtered = await sluice(['--test', 'unit', '--filter', 'no-such-file'])
  strictEqual(filtered.code, 2)
  match(filtered.stderr, /no-such-file/)
})

test('the doctor shows each finding on a line, its remedy below, and counts at the end', () => {
  deepStrictEqual(
    report([
      { name: 'Node', level: 'ok', seen: '24.11.0', remedy: null },
      { name: 'Java', level: 'fail', seen: 'not found', remedy: 'Run: brew install openjdk' },
    ]),
    [
      'ok    Node  24.11.0',
      'fail  Java  not found',
      '            Run: brew install openjdk',
      '1 ok, 0 to look at, 1 failed',
    ],
  )
})
