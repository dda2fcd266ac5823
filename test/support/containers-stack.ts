// Kafka and Redis in containers, started and removed by Testcontainers. For tests only: it is a development
// dependency. If the run is killed, Testcontainers' own reaper removes the containers.

import { GenericContainer, getContainerRuntimeClient, Wait } from 'testcontainers'
import type { StartedTestContainer } from 'testcontainers'
import { kafkaAnswers, redisAnswers } from '../../tools/servers/health.ts'
import { pollUntil } from '../../tools/servers/run-program.ts'
import { freePorts } from '../../tools/servers/ports.ts'
import { kafkaContainer, redisContainer, type ContainerDefinition } from './containers.ts'

/** Images may have to be fetched. */
const START_MS_MAX = 300_000
const ANSWER = { limitMs: 30_000, everyMs: 100 }
const FIRST_PORT = 29_092
const LOOPBACK = '127.0.0.1'

/** Both servers, answering. */
export interface ContainerStack {
  readonly brokers: readonly string[]
  readonly redisUrl: string
  /** Removes both containers. */
  stop(): Promise<void>
}

/** Version of the engine that answers, or null. */
export async function containerEngine(): Promise<string | null> {
  try {
    return String((await getContainerRuntimeClient()).info.containerRuntime.serverVersion)
  } catch {
    return null
  }
}

/** Starts both; if one fails, the other one is removed. @throws Error when one does not come up. */
export async function startContainerStack(
  onProgress: (line: string) => void,
): Promise<ContainerStack> {
  const host = await engineHost()
  const [port = FIRST_PORT] = await freePorts(FIRST_PORT, 1)
  const definitions = [kafkaContainer(host, port), redisContainer()]
  onProgress(`Testcontainers: starting ${definitions.map(({ image }) => image).join(' and ')}`)
  const starts = await Promise.allSettled(definitions.map((each) => startContainer(each, host)))
  const started = starts.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  const stop = async (): Promise<void> => {
    await Promise.all(started.map((container) => container.stop()))
  }
  const failed = starts.find((each) => each.status === 'rejected')
  try {
    if (failed !== undefined) throw failed.reason
    const redisPort = started[1]?.getFirstMappedPort() ?? 0
    const stack = { brokers: [`${host}:${port}`], redisUrl: `redis://${host}:${redisPort}`, stop }
    // The log reports readiness earlier; a client confirms it.
    if (!(await pollUntil(() => kafkaAnswers(stack.brokers), ANSWER))) {
      throw new Error(`Kafka in its container does not answer at ${stack.brokers.join(',')}.`)
    }
    if (!(await pollUntil(() => redisAnswers(stack.redisUrl), ANSWER))) {
      throw new Error(`Redis in its container does not answer at ${stack.redisUrl}.`)
    }
    return stack
  } catch (error) {
    await stop()
    throw error
  }
}

/** Host of published ports. An engine on this machine publishes for this machine only. */
async function engineHost(): Promise<string> {
  const { host } = (await getContainerRuntimeClient()).info.containerRuntime
  return host === 'localhost' ? LOOPBACK : host
}

/** A container whose ports are reachable from this machine only. */
class QuietContainer extends GenericContainer {
  onLoopbackOnly(): this {
    type Binding = Readonly<Record<string, unknown>>
    const bindings = (this.hostConfig.PortBindings ?? {}) as Record<string, readonly Binding[]>
    this.hostConfig.PortBindings = Object.fromEntries(
      Object.entries(bindings).map(([port, list]) => [
        port,
        list.map((each) => ({ ...each, HostIp: LOOPBACK })),
      ]),
    )
    return this
  }
}

function startContainer(
  definition: ContainerDefinition,
  host: string,
): Promise<StartedTestContainer> {
  const { image, command, environment, hostname, files, port, readyLine } = definition
  const container = new QuietContainer(image)
    .withHostname(hostname)
    .withEnvironment(environment)
    .withExposedPorts(
      port.host === null ? port.container : { container: port.container, host: port.host },
    )
    .withCopyFilesToContainer([...files])
    .withWaitStrategy(Wait.forLogMessage(readyLine))
    .withStartupTimeout(START_MS_MAX)
  if (command !== null) container.withCommand([...command])
  if (host === LOOPBACK) container.onLoopbackOnly()
  return container.start()
}
