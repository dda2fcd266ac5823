import { ok, notStrictEqual, strictEqual } from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { test, type TestContext } from 'node:test'
import {
  endProcess,
  identify,
  isAlive,
  type ProcessIdentity,
} from '../../../services/platform/process-identity.ts'

const GRACE_MS = 100

/** Starts a Node process that prints "ready" once `script` has run, and waits for that. */
async function startProcess(
  t: TestContext,
  script: string,
): Promise<{ child: ChildProcess; identity: ProcessIdentity }> {
  const child = spawn(
    process.execPath,
    ['-e', `${script}; console.log('ready'); setInterval(() => {}, 1000)`],
    {
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  )
  t.after(() => child.kill('SIGKILL'))
  ok(child.stdout)
  await once(child.stdout, 'data')
  const identity = identify(child.pid ?? 0)
  ok(identity)
  return { child, identity }
}

test('this process is alive, and a pid that nobody has is not', () => {
  const me = identify(process.pid)
  ok(me)
  strictEqual(isAlive(me), true)
  strictEqual(identify(2 ** 30), null)
})

test('a pid that was given to another process is told by the start time, and gets no signal', async (t) => {
  const { child, identity } = await startProcess(t, '')
  const earlier: ProcessIdentity = { pid: identity.pid, startTime: `${identity.startTime}0` }
  strictEqual(isAlive(earlier), false)
  strictEqual(await endProcess(earlier, GRACE_MS), false)
  strictEqual(isAlive(identity), true)
  strictEqual(child.exitCode, null)
})

test('a process that obeys SIGTERM is ended without SIGKILL', async (t) => {
  const { child, identity } = await startProcess(t, '')
  const exited = once(child, 'exit')
  strictEqual(await endProcess(identity, 10_000), false)
  await exited
  strictEqual(child.signalCode, 'SIGTERM')
  strictEqual(isAlive(identity), false)
})

test('a process that ignores SIGTERM is killed after the grace time', async (t) => {
  const { child, identity } = await startProcess(t, "process.on('SIGTERM', () => {})")
  const exited = once(child, 'exit')
  strictEqual(await endProcess(identity, GRACE_MS), true)
  await exited
  strictEqual(child.signalCode, 'SIGKILL')
})

test('a stopped process is ended as well, without waiting for SIGKILL', async (t) => {
  const { child, identity } = await startProcess(t, '')
  child.kill('SIGSTOP')
  const exited = once(child, 'exit')
  strictEqual(await endProcess(identity, 10_000), false)
  await exited
  notStrictEqual(child.signalCode, 'SIGKILL')
})
