// A command of `sluice` that serves metrics, or its stand-in, in a process of its own.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { closeWith } from './cleanup.ts'
import { startOf, type Entry } from './services-build.ts'

const ROOT = join(import.meta.dirname, '../..')
const LOG_CHARACTERS_MAX = 20_000
const START_MS_MAX = 60_000

export interface CliProcess {
  readonly metricsPort: number
  /** Sends the signal and waits for the end. Exit code, or null after a signal. */
  end(name: NodeJS.Signals): Promise<number | null>
}

/**
 * Starts the command, or an entry of the tests that logs its metrics address as a command does. Resolves once it serves
 * metrics. It is killed when the test ends.
 */
export async function startCli(
  t: TestContext,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  main: Entry = 'services/cli/main.ts',
): Promise<CliProcess> {
  const child = spawn(process.execPath, startOf(main, args), {
    cwd: ROOT,
    // Under a test runner, children would otherwise report to it.
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, ...environment },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const exited = once(child, 'exit') as Promise<[number | null]>
  closeWith(t, async () => {
    child.kill('SIGKILL')
    await exited
  })
  let log = ''
  const metricsPort = await new Promise<number>((resolve, reject) => {
    const fail = (what: string): void => {
      reject(new Error(`sluice ${args.join(' ')} ${what}:\n${log}`))
    }
    const limit = setTimeout(() => {
      fail(`did not start within ${START_MS_MAX} ms`)
    }, START_MS_MAX)
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log = (log + text).slice(-LOG_CHARACTERS_MAX)
      // Includes the text after the port, since a chunk may end in the middle of the port.
      const [, port] = /^.*metrics: http:\/\/[^:]+:(\d+)\/metrics/m.exec(log) ?? []
      if (port === undefined) return
      clearTimeout(limit)
      resolve(Number(port))
    })
    child.once('exit', (code) => {
      clearTimeout(limit)
      fail(`ended with ${code ?? 'a signal'}`)
    })
  })
  return {
    metricsPort,
    async end(name) {
      child.kill(name)
      const [code] = await exited
      return code
    },
  }
}
