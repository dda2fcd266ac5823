// Preloaded into a process under test: ends it with SIGKILL just before its n-th step on the file system, so that every
// step of a writer can be the last one.

import fs from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'

const at = Number(process.env['CRASH_AT'] ?? '0')
let steps = 0

for (const name of ['link', 'rm', 'open', 'mkdir'] as const) {
  const original = fs[name] as (...args: unknown[]) => unknown
  const counted = (...args: unknown[]): unknown => {
    // Only steps in the lake count; the loader reads files too.
    if (String(args[0]).includes('/sluice-test-lake-')) steps += 1
    if (at > 0 && steps === at) process.kill(process.pid, 'SIGKILL')
    return original(...args)
  }
  Object.assign(fs, { [name]: counted })
}
syncBuiltinESMExports()
process.once('exit', () => {
  process.stderr.write(`steps: ${steps}\n`)
})
