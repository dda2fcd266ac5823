// Runs `sluice` as an operator does, in its own process, without a terminal.

import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { startOf } from './services-build.ts'

export interface EndedCommand {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  /** Each line of standard output as JSON. */
  readonly json: () => readonly Readonly<Record<string, unknown>>[]
}

/** Resolves with its output and its exit code. */
export async function runSluice(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<EndedCommand> {
  const child = spawn(process.execPath, startOf('services/cli/main.ts', args), {
    stdio: ['ignore', 'pipe', 'pipe'],
    // Without NODE_TEST_CONTEXT, or Node would take it for a test file.
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, ...environment },
  })
  const code = new Promise<number | null>((resolve) => child.once('close', resolve))
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  return {
    code: await code,
    stdout,
    stderr,
    json: () =>
      stdout
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>),
  }
}
