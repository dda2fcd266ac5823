// sluice status: what runs, where, and who uses it.

import type { Command } from 'commander'
import { stackStatus, type ServerStatus } from './index.ts'
import { printJson, printLine, repositoryRoot } from '../../services/cli/command.ts'

const EXIT_NOT_UP = 1

/** Adds the command to the program. */
export function register(program: Command): void {
  program
    .command('status')
    .summary('say whether Kafka and Redis run, and where')
    .description(
      'Says whether Kafka and Redis answer, and where. Exits 0 when both do, 1 otherwise.',
    )
    .option('--json', 'print the state as JSON')
    .addHelpText('after', '\nExamples:\n  $ sluice status\n  $ sluice status --json')
    .action(async (options: { readonly json?: boolean }) => {
      const status = await stackStatus(repositoryRoot())
      if (options.json === true) {
        printJson(status)
      } else {
        printLine(`Kafka  ${describe(status.kafka)}`)
        printLine(`Redis  ${describe(status.redis)}`)
        if (status.userPids.length > 0) {
          printLine(`Used by process ${status.userPids.join(', ')}`)
        }
      }
      const isUp = status.kafka.state === 'up' && status.redis.state === 'up'
      if (!isUp) process.exitCode = EXIT_NOT_UP
    })
}

function describe(server: ServerStatus): string {
  const provider = server.provider === null ? '' : `  (${server.provider})`
  const pid = server.pid === null ? '' : `  pid ${server.pid}`
  switch (server.state) {
    case 'up':
      return `up    ${server.address ?? ''}${provider}${pid}`
    case 'sick':
      return `sick  ${server.address ?? ''}${provider}${pid}: runs but does not answer; "sluice up" restarts it`
    case 'down':
      return `down${provider}: ${server.problem ?? '"sluice up" starts it'}`
  }
}
