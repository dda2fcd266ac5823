// A Redis for one test alone, whose limits it may change.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { isListening } from '../../tools/servers/ports.ts'
import { requirePrerequisites, thisMachine } from '../../tools/servers/prerequisites.ts'
import { claimPorts } from './claims.ts'
import { closeWith } from './cleanup.ts'
import { eventually } from './poll.ts'

/** Starts it; resolves to its address. By default it stores nothing on disk, and it ends with the test. */
export async function openOwnRedis(t: TestContext): Promise<string> {
  const found = await requirePrerequisites(['redis'], thisMachine(process.env), (line) => {
    process.stderr.write(`sluice: ${line}\n`)
  })
  const claim = await claimPorts(1)
  const [port = 0] = claim.ports
  const dir = mkdtempSync(join(tmpdir(), 'sluice-redis-'))
  const settings = { port: String(port), bind: '127.0.0.1', save: '', appendonly: 'no', dir }
  const args = Object.entries({ ...settings, 'maxmemory-policy': 'noeviction' }).flatMap(
    ([name, value]) => [`--${name}`, value],
  )
  const child = spawn(found.get('redis') ?? '', args, { stdio: 'ignore' })
  const exited = once(child, 'exit')
  closeWith(t, async () => {
    child.kill('SIGKILL')
    await exited
    await claim.release()
    rmSync(dir, { recursive: true, force: true })
  })
  await eventually(`Redis listens on ${port}`, async () => {
    if (child.exitCode !== null) throw new Error(`Redis ended with ${child.exitCode}.`)
    return isListening(port)
  })
  return `redis://127.0.0.1:${port}`
}
