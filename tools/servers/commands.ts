// sluice up, down and status: start Kafka and Redis, stop them, and report on them.

import type { Command } from 'commander'
import {
  interruptSignal,
  printJson,
  printLine,
  printProgress,
  repositoryRoot,
} from '../../services/cli/command.ts'
import { withoutPassword } from '../../services/platform/redis/redis-connection.ts'
import { provisionStack, stopStack } from './stack.ts'
import { type ServerStatus, stackStatus } from './stack-choice.ts'

/** Adds the command to the program. */
export function registerUp(program: Command): void {
  program
    .command('up')
    .summary('start Kafka and Redis and leave them running')
    .description(
      'Starts Kafka and Redis unless they run, and leaves them running until "sluice down".\n' +
        'They are found in this order: SLUICE_KAFKA_BROKERS and SLUICE_REDIS_URL; Docker Compose where a\n' +
        'Docker engine answers; local processes. SLUICE_STACK_PROVIDER=local or compose skips the search.',
    )
    .option('--json', 'print the addresses as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  $ sluice up\n  $ SLUICE_STACK_PROVIDER=local sluice up --json',
    )
    .action(async (options: { readonly json?: boolean }) => {
      const stack = await provisionStack({
        root: repositoryRoot(),
        keep: true,
        onProgress: printProgress,
        signal: interruptSignal(),
      })
      if (options.json === true) {
        const { kafka, redis, startedHere } = stack
        printJson({
          kafka: { brokers: kafka.brokers, provider: kafka.provider },
          redis: { url: withoutPassword(redis.url), provider: redis.provider },
          startedHere,
        })
        return
      }
      printLine(`Kafka  ${stack.kafka.brokers.join(',')}  (${stack.kafka.provider})`)
      printLine(`Redis  ${withoutPassword(stack.redis.url)}  (${stack.redis.provider})`)
      printLine('Both stay up until "sluice down".')
    })
}

// sluice down: stops the Kafka and Redis of this checkout.

/** Adds the command to the program. */
export function registerDown(program: Command): void {
  program
    .command('down')
    .summary('stop Kafka and Redis')
    .description(
      'Stops the Kafka and Redis that Sluice started for this checkout. Their data stays in .sluice/ (or in\n' +
        "Docker's volumes). Servers given by address in the environment are left alone.",
    )
    .addHelpText(
      'after',
      '\nExamples:\n  $ sluice down\n  $ sluice down && rm -rf .sluice/kafka/data   (start from nothing)',
    )
    .action(async () => {
      const hadAny = await stopStack(repositoryRoot(), printProgress)
      printLine(hadAny ? 'Kafka and Redis are stopped.' : 'Nothing was running.')
    })
}

// sluice status: shows the running servers, their addresses and their users.

const EXIT_NOT_UP = 1

/** Adds the command to the program. */
export function registerStatus(program: Command): void {
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
