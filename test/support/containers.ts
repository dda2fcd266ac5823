// Kafka and Redis as containers for tests: the requests to Docker, as plain data. Images and settings are those of
// docker-compose.yml, so that there is one place to change them.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'

const ROOT = join(import.meta.dirname, '../..')

/** Port of Kafka inside its container that clients outside use. */
export const KAFKA_CONTAINER_PORT = 19_092
export const REDIS_CONTAINER_PORT = 6_379

/** The definition of one container. */
export interface ContainerDefinition {
  readonly image: string
  /** The image's own when null. */
  readonly command: readonly string[] | null
  readonly hostname: string
  readonly environment: Readonly<Record<string, string>>
  /** `host` is a fixed port of this machine, or null for any. */
  readonly port: { readonly container: number; readonly host: number | null }
  readonly files: readonly { readonly source: string; readonly target: string }[]
  /** Log line that shows that it serves. */
  readonly readyLine: RegExp
}

interface ComposeService {
  readonly image: string
  readonly command?: string | readonly string[]
  readonly environment?: Readonly<Record<string, unknown>> | readonly string[]
}

/** A service of docker-compose.yml, with variables substituted. @throws Error when it has none of the name. */
export function composeService(
  name: 'kafka' | 'redis',
  variables: Readonly<Record<string, string>> = {},
): {
  readonly image: string
  readonly command: readonly string[] | null
  readonly environment: Readonly<Record<string, string>>
} {
  const text = readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8')
  const { services } = parse(text, { merge: true, maxAliasCount: -1 }) as {
    readonly services: Readonly<Record<string, ComposeService | undefined>>
  }
  const service = services[name]
  if (service === undefined) throw new Error(`docker-compose.yml has no service ${name}.`)
  const fill = (value: unknown): string => substitute(String(value), variables)
  const { command } = service
  return {
    image: fill(service.image),
    command:
      command === undefined
        ? null
        : (typeof command === 'string' ? command.split(' ') : command).map(fill),
    environment: Object.fromEntries(
      pairsOf(service.environment ?? {}).map(([key, value]) => [key, fill(value)]),
    ),
  }
}

/**
 * Kafka, reachable at `host:port`. The port must be known before the start, since Kafka advertises it to clients.
 * Replication factors and similar settings come from docker-compose.yml; Testcontainers' own Kafka module leaves the
 * transaction log at three replicas, and transactions would wait forever.
 */
export function kafkaContainer(host: string, port: number): ContainerDefinition {
  const { image, command, environment } = composeService('kafka', {
    SLUICE_KAFKA_PORT: String(port),
  })
  const listeners = environment['KAFKA_ADVERTISED_LISTENERS'] ?? ''
  return {
    image,
    command,
    // The internal listener uses this name.
    hostname: 'kafka',
    environment: {
      ...environment,
      KAFKA_ADVERTISED_LISTENERS: listeners.replace(
        `EXTERNAL://127.0.0.1:${port}`,
        `EXTERNAL://${host}:${port}`,
      ),
    },
    port: { container: KAFKA_CONTAINER_PORT, host: port },
    files: [],
    readyLine: /Kafka Server started/,
  }
}

/** Redis with the settings file that every other installation uses. */
export function redisContainer(): ContainerDefinition {
  const { image, command, environment } = composeService('redis')
  return {
    image,
    command,
    hostname: 'redis',
    environment,
    port: { container: REDIS_CONTAINER_PORT, host: null },
    files: [{ source: join(ROOT, 'infra/redis/redis.conf'), target: '/etc/redis/redis.conf' }],
    readyLine: /Ready to accept connections/,
  }
}

/** `${NAME:-default}` and `${NAME}` as Compose reads them. */
function substitute(text: string, variables: Readonly<Record<string, string>>): string {
  return text.replace(
    /\$\{(\w+)(?::?-([^}]*))?\}/g,
    (_, name: string, fallback: string | undefined) => variables[name] ?? fallback ?? '',
  )
}

function pairsOf(
  environment: NonNullable<ComposeService['environment']>,
): readonly (readonly [string, unknown])[] {
  if (!isList(environment)) return Object.entries(environment)
  return environment.map((line) => {
    const [key = '', ...rest] = line.split('=')
    return [key, rest.join('=')] as const
  })
}

function isList(
  environment: NonNullable<ComposeService['environment']>,
): environment is readonly string[] {
  return Array.isArray(environment)
}
