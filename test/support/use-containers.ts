// Starts Kafka and Redis in containers, shows that clients reach them, and removes them. Run in a process of its own
// by the test of containers, with DOCKER_HOST set.

import { startContainerStack } from './containers-stack.ts'

const stack = await startContainerStack((line) => process.stderr.write(`${line}\n`))
process.stderr.write(`used ${stack.brokers.join(',')} and ${stack.redisUrl}\n`)
await stack.stop()
