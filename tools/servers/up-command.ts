// sluice up: Kafka and Redis, started unless they run, and left running.

import type { Command } from 'commander'
import { provisionStack } from './index.ts'
import { withoutPassword } from '../../services/platform/redis/redis-connection.ts'
import {
  interruptSignal,
  printJson,
  printLine,
  printProgress,
  repositoryRoot,
} from '../../services/cli/command.ts'

/** Adds the command to the program. */
export function register(program: Command): void {
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
