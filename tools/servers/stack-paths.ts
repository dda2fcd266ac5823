// Where things of the local stack lie. All that is written lies below one git-ignored folder.

import { join } from 'node:path'

export interface StackPaths {
  readonly root: string
  readonly state: string
  readonly lockFile: string
  readonly recordFile: string
  readonly kafkaFolder: string
  readonly redisFolder: string
  readonly kafkaTemplate: string
  readonly pomFile: string
  readonly redisConf: string
  readonly composeFile: string
}

/** Paths for a checkout; `stateFolder` is `<root>/.sluice` unless a test says otherwise. */
export function stackPaths(root: string, stateFolder = join(root, '.sluice')): StackPaths {
  return {
    root,
    state: stateFolder,
    lockFile: join(stateFolder, 'run', 'stack.lock'),
    recordFile: join(stateFolder, 'run', 'stack.json'),
    kafkaFolder: join(stateFolder, 'kafka'),
    redisFolder: join(stateFolder, 'redis'),
    kafkaTemplate: join(root, 'infra', 'kafka', 'server.properties'),
    pomFile: join(root, 'infra', 'kafka', 'pom.xml'),
    redisConf: join(root, 'infra', 'redis', 'redis.conf'),
    composeFile: join(root, 'docker-compose.yml'),
  }
}
