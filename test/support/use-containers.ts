// Starts Kafka and Redis in containers, shows that clients reach them, and removes them. The test of containers runs it
// in a separate process with DOCKER_HOST set.

import { startContainerStack } from './containers-stack.ts'

const stack = await startContainerStack((line) => process.stderr.write(`${line}\n`))
process.stderr.write(`used ${stack.brokers.join(',')} and ${stack.redisUrl}\n`)
await stack.stop()
