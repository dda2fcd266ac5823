// All checks of this machine, in the order in which they are shown.

import { redisUrl as localRedisUrl } from '../servers/health.ts'
import { dockerEngineVersion } from '../servers/compose.ts'
import { thisMachine } from '../servers/prerequisites.ts'
import { readGivenAddresses } from '../servers/stack-choice.ts'
import { stackPaths } from '../servers/stack-paths.ts'
import { readRecord } from '../servers/stack-record.ts'
import { stackStatus } from '../servers/stack-status.ts'
import { backendCheck, type BackendProbe } from './backend-checks.ts'
import { runChecks, type Finding } from './finding.ts'
import { machineChecks } from './machine-checks.ts'
import { programChecks } from './program-checks.ts'
import { serverChecks } from './server-checks.ts'
import { topicChecks } from './topic-checks.ts'

export interface DoctorOptions {
  readonly root: string
  readonly env: NodeJS.ProcessEnv
  /** How to try the scoring backends; all known ones when not given. */
  readonly backendProbes?: readonly BackendProbe[]
}

/** Looks at everything Sluice needs. Changes nothing. @throws SluiceError SLUICE_CONFIG_INVALID */
export async function examine(options: DoctorOptions): Promise<readonly Finding[]> {
  const { root, env } = options
  const paths = stackPaths(root)
  const given = readGivenAddresses(env)
  const [status, engine] = await Promise.all([
    stackStatus(root, env),
    given.provider === 'local' ? null : dockerEngineVersion(env['PATH']),
  ])
  const redisPort = readRecord(paths.recordFile).redis?.ports[0]
  const redisUrl = given.redisUrl ?? (redisPort === undefined ? null : localRedisUrl(redisPort))
  const redisConnection =
    redisUrl === null ? null : { url: redisUrl, security: given.redisSecurity }
  const kafkaConnection =
    status.kafka.state === 'up'
      ? { brokers: status.kafka.address?.split(',') ?? [], security: given.kafkaSecurity }
      : null
  return runChecks([
    ...programChecks({
      paths,
      machine: thisMachine(env),
      kafkaIsElsewhere: given.brokers !== null || engine !== null,
      redisIsElsewhere: given.redisUrl !== null || engine !== null,
    }),
    ...serverChecks({ ...status, kafkaSecurity: given.kafkaSecurity, redisConnection }),
    ...topicChecks(kafkaConnection, env['SLUICE_TOPIC_PREFIX'] ?? ''),
    ...machineChecks(paths),
    backendCheck(options.backendProbes),
  ])
}
