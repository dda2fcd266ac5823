import { notDeepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { claimDatabase, claimPorts } from '../../support/claims.ts'

const CLAIMS = join(import.meta.dirname, '../../support/claims.ts')

test('ports that are claimed twice are different ones', async () => {
  const [one, two] = await Promise.all([claimPorts(4), claimPorts(4)])
  notDeepStrictEqual(one.ports, two.ports)
  ok(!one.ports.some((port) => two.ports.includes(port)))
  await Promise.all([one.release(), two.release()])
})

test('a claim ends when its process is killed', async () => {
  const script = `
    const { claimDatabase } = await import(${JSON.stringify(CLAIMS)})
    for (let database = 90; ; database += 1)
      if ((await claimDatabase(database)) !== null) { console.log(database); break }
    setInterval(() => undefined, 1_000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  const database = Number(line)
  strictEqual(await claimDatabase(database), null)
  child.kill('SIGKILL')
  await exited
  const claim = await claimDatabase(database)
  ok(claim !== null)
  await claim.release()
})
