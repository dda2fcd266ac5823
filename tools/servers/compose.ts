// Kafka and Redis in Docker Compose, where a Docker engine answers. Compose does most of the work. The file describes
// the whole system, so the services are always named: otherwise Compose would start all of them. Not yet tested against
// an engine, for lack of a machine with one.

import { SluiceError } from '../../services/core/errors.ts'
import { freePorts } from './ports.ts'
import { findProgram, runProgram } from './run-program.ts'
import type { ServerRecord, StackPaths } from './stack-record.ts'

const INFO_LIMIT_MS = 3_000
const UP_LIMIT_MS = 10 * 60_000
const DOWN_LIMIT_MS = 60_000
const CONTAINER_PORTS = { kafka: 19_092, redis: 6_379 } as const

export type ComposeService = keyof typeof CONTAINER_PORTS

/** Version of the Docker engine that answers, or null. */
export async function dockerEngineVersion(searchPath: string | undefined): Promise<string | null> {
  if (findProgram('docker', searchPath) === null) return null
  const { code, output } = await runProgram('docker', ['info', '--format', '{{.ServerVersion}}'], {
    limitMs: INFO_LIMIT_MS,
  })
  const version = output.trim()
  return code === 0 && version !== '' ? version : null
}

/**
 * Starts services and waits for their health checks. @throws SluiceError SLUICE_PROVISION_FAILED with the end of
 * Compose's output.
 */
export async function composeUp(
  services: readonly ComposeService[],
  paths: StackPaths,
  onProgress: (line: string) => void,
  signal?: AbortSignal,
): Promise<ReadonlyMap<ComposeService, ServerRecord>> {
  if (services.length === 0) return new Map()
  onProgress(`Docker Compose: starting ${services.join(' and ')} (images are fetched once)`)
  const ports = await composePorts(services, paths)
  const env = {
    SLUICE_KAFKA_PORT: String(ports.get('kafka') ?? 19_092),
    SLUICE_REDIS_PORT: String(ports.get('redis') ?? 16_379),
  }
  const { code, output } = await runProgram(
    'docker',
    ['compose', '-f', paths.composeFile, 'up', '--detach', '--wait', ...services],
    { limitMs: UP_LIMIT_MS, cwd: paths.root, env, signal },
  )
  signal?.throwIfAborted()
  if (code !== 0) {
    const tail = output.trimEnd().split('\n').slice(-8).join('\n')
    throw new SluiceError(
      'SLUICE_PROVISION_FAILED',
      `Docker Compose could not start ${services.join(' and ')}:\n${tail}\nRepair what it names, or set SLUICE_STACK_PROVIDER=local to run them without Docker.`,
    )
  }
  return new Map(
    services.map((service) => [
      service,
      {
        provider: 'compose',
        process: null,
        ports: [ports.get(service) ?? CONTAINER_PORTS[service]],
        configHash: '',
      },
    ]),
  )
}

/** Stops and removes the services' containers; their volumes stay. */
export async function composeDown(
  services: readonly ComposeService[],
  paths: StackPaths,
  onProgress: (line: string) => void,
): Promise<void> {
  onProgress(`Docker Compose: stopping ${services.join(' and ')}`)
  await runProgram(
    'docker',
    ['compose', '-f', paths.composeFile, 'rm', '--stop', '--force', ...services],
    { limitMs: DOWN_LIMIT_MS, cwd: paths.root },
  )
}

/** A running service keeps its port; otherwise `up` would recreate it. */
async function composePorts(
  services: readonly ComposeService[],
  paths: StackPaths,
): Promise<Map<ComposeService, number>> {
  const ports = new Map<ComposeService, number>()
  for (const service of services) {
    const containerPort = String(CONTAINER_PORTS[service])
    const { code, output } = await runProgram(
      'docker',
      ['compose', '-f', paths.composeFile, 'port', service, containerPort],
      { limitMs: INFO_LIMIT_MS, cwd: paths.root },
    )
    const running = code === 0 ? Number(output.trim().split(':').at(-1)) : Number.NaN
    const [free] = await freePorts(service === 'kafka' ? 19_092 : 16_379, 1)
    const port = Number.isInteger(running) && running > 0 ? running : free
    if (port !== undefined) ports.set(service, port)
  }
  return ports
}
