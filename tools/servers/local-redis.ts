// Redis as a local process with Sluice's own settings. A system service on 6379 is neither used nor touched.

import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { localRedisAnswers } from './health.ts'
import type { LocalServer } from './local-server.ts'
import type { PrerequisiteName } from './prerequisites.ts'
import type { StackPaths } from './stack-record.ts'

const FIRST_PORT = 16_379
const GRACE_MS = 10_000

export interface LocalRedisOptions {
  readonly paths: StackPaths
  /** Finds (or installs) the programs; called only when something must be started. */
  readonly programs: () => Promise<ReadonlyMap<PrerequisiteName, string>>
}

/** Hash of everything that shapes the Redis. */
function redisConfigHash(paths: StackPaths): string {
  return createHash('sha256').update(readFileSync(paths.redisConf)).digest('hex').slice(0, 16)
}

/** The local Redis as a LocalServer. */
export function localRedis(options: LocalRedisOptions): LocalServer {
  const { paths } = options
  let redisServer = 'redis-server'
  const dataFolder = join(paths.redisFolder, 'data')
  return {
    name: 'Redis',
    configHash: redisConfigHash(paths),
    firstPort: FIRST_PORT,
    portCount: 1,
    dataFolder,
    logFile: join(paths.redisFolder, 'redis.log'),
    graceMs: GRACE_MS,
    async prepare() {
      redisServer = (await options.programs()).get('redis') ?? redisServer
      mkdirSync(dataFolder, { recursive: true })
    },
    command: (ports) => ({
      file: redisServer,
      args: [paths.redisConf, '--port', String(ports[0]), '--dir', dataFolder],
    }),
    answers: localRedisAnswers,
  }
}
