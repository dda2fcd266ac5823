// Provides Kafka and Redis: found by address, started with Docker Compose, or run as local processes. Several commands
// may share a stack (two tests, or a demo and `sluice up`). The record in .sluice/run/stack.json lists its users: the
// last one to leave stops the servers, unless `sluice up` asked to keep them until `sluice down`. Killed users do not
// count, so no server is left running.

import { rmSync } from 'node:fs'
import { composeDown, composeUp, type ComposeService } from './compose.ts'
import type { KafkaConnection } from '../../services/platform/kafka/kafka-connection.ts'
import type { RedisConnection } from '../../services/platform/redis/redis-connection.ts'
import { kafkaBroker, redisUrl, requireGivenKafka, requireGivenRedis } from './health.ts'
import { endLocalServer, ensureLocalServer, type LocalServer } from './local-server.ts'
import { kafkaNeeds, localKafka } from './local-kafka.ts'
import { localRedis } from './local-redis.ts'
import { requirePrerequisites, thisMachine, type PrerequisiteName } from './prerequisites.ts'
import {
  identify,
  isAlive,
  type ProcessIdentity,
} from '../../services/platform/process-identity.ts'
import { withRunLock } from './run-lock.ts'
import {
  chooseProvider,
  readGivenAddresses,
  type GivenAddresses,
  type Provider,
} from './stack-choice.ts'
import {
  stackPaths,
  type StackPaths,
  readRecord,
  writeRecord,
  type ServerRecord,
  type StackRecord,
} from './stack-record.ts'

const SERVERS = ['kafka', 'redis'] as const
const SERVER_NAMES = { kafka: 'Kafka', redis: 'Redis' } as const
const STOP_GRACE_MS = 15_000

/** Kafka and Redis that answer. */
export interface Stack {
  readonly kafka: KafkaConnection & { readonly provider: Provider }
  /** The URL carries no password: that of a given Redis stays in the environment. */
  readonly redis: RedisConnection & { readonly provider: Provider }
  /** True when this call started at least one of the two. */
  readonly startedHere: boolean
  /** Releases the stack; stops the servers if this was the last user and `keep` was not set. */
  stop(): Promise<void>
}

export interface ProvisionOptions {
  /** Folder of the checkout. */
  readonly root: string
  /** Folder for everything that is written; `<root>/.sluice` when not given. */
  readonly stateFolder?: string
  /** The process's environment when not given. */
  readonly env?: NodeJS.ProcessEnv
  /** True to leave the servers running after this process has ended. */
  readonly keep?: boolean
  readonly onProgress: (line: string) => void
  /** Aborting ends what this call has started. */
  readonly signal?: AbortSignal
}

interface Session {
  readonly paths: StackPaths
  readonly given: GivenAddresses
  readonly record: StackRecord
  readonly options: ProvisionOptions
  /** Servers started by this call, ended again when it fails. */
  readonly started: Set<ComposeService>
}

/**
 * Resolves once Kafka and Redis answer. @throws SluiceError SLUICE_CONFIG_INVALID, SLUICE_PREREQUISITE_MISSING or
 * SLUICE_PROVISION_FAILED; nothing that this call started is left running in that case.
 */
export async function provisionStack(options: ProvisionOptions): Promise<Stack> {
  const paths = stackPaths(options.root, options.stateFolder)
  const given = readGivenAddresses(options.env ?? process.env)
  await Promise.all([
    given.brokers === null
      ? null
      : requireGivenKafka(
          { brokers: given.brokers, security: given.kafkaSecurity },
          options.signal,
        ),
    given.redisUrl === null
      ? null
      : requireGivenRedis({ url: given.redisUrl, security: given.redisSecurity }, options.signal),
  ])
  if (given.brokers !== null && given.redisUrl !== null) {
    return {
      kafka: givenKafka(given, given.brokers),
      redis: givenRedis(given, given.redisUrl),
      startedHere: false,
      stop: () => Promise.resolve(),
    }
  }
  return withRunLock(paths.lockFile, lockOptions(options), async () => {
    const record = readRecord(paths.recordFile)
    const session: Session = { paths, given, record, options, started: new Set() }
    return startServers(session)
  })
}

/** Stops the servers of this checkout, even if others use them. True when there were any. */
export async function stopStack(
  root: string,
  onProgress: (line: string) => void,
  stateFolder?: string,
): Promise<boolean> {
  const paths = stackPaths(root, stateFolder)
  return withRunLock(paths.lockFile, lockOptions({ onProgress }), async () => {
    const record = readRecord(paths.recordFile)
    const users = record.users.filter(isAlive)
    if (users.length > 0) {
      onProgress(
        `still used by process ${users.map((user) => user.pid).join(', ')}; ending it anyway`,
      )
    }
    const hadAny = SERVERS.some((name) => isRunning(record[name]))
    await endServers(record, SERVERS, paths, onProgress)
    rmSync(paths.recordFile, { force: true })
    return hadAny
  })
}

async function startServers(session: Session): Promise<Stack> {
  const { record, paths, given, options } = session
  const me = identify(process.pid)
  // Killed users no longer count; this process takes over the servers that they started.
  record.users = record.users.filter(isAlive)
  // A request of `sluice up` ends with its servers, for example when the machine restarts.
  if (!SERVERS.some((name) => isRunning(record[name]))) record.kept = false
  const wasKept = record.kept
  if (options.keep === true) record.kept = true
  else if (me !== null) record.users.push(me)
  writeRecord(paths.recordFile, record)
  try {
    const provider = await chooseProvider(record, given)
    await (provider === 'compose' ? startWithCompose(session) : startLocally(session))
  } catch (error) {
    await endServers(record, [...session.started], paths, options.onProgress)
    if (options.keep !== true && me !== null) removeUser(record, me)
    record.kept = wasKept
    writeRecord(paths.recordFile, record)
    throw error
  }
  return {
    kafka:
      given.brokers === null
        ? {
            brokers: [kafkaBroker(portOf(record.kafka))],
            provider: record.kafka?.provider ?? 'local',
          }
        : givenKafka(given, given.brokers),
    redis:
      given.redisUrl === null
        ? { url: redisUrl(portOf(record.redis)), provider: record.redis?.provider ?? 'local' }
        : givenRedis(given, given.redisUrl),
    startedHere: session.started.size > 0,
    stop: () => (options.keep === true || me === null ? Promise.resolve() : leave(session, me)),
  }
}

function givenKafka(given: GivenAddresses, brokers: readonly string[]): Stack['kafka'] {
  return { brokers, security: given.kafkaSecurity, provider: 'environment' }
}

function givenRedis(given: GivenAddresses, url: string): Stack['redis'] {
  return { url, security: given.redisSecurity, provider: 'environment' }
}

async function startWithCompose(session: Session): Promise<void> {
  const { record, paths, options } = session
  const wanted = neededServers(session)
  const before = new Set(wanted.filter((name) => record[name]?.provider === 'compose'))
  const servers = await composeUp(wanted, paths, options.onProgress, options.signal)
  for (const [name, server] of servers) {
    if (!before.has(name)) session.started.add(name)
    record[name] = server
  }
  writeRecord(paths.recordFile, record)
}

/** Starts both at once. The first failure stops the other start, so that the message comes soon. */
async function startLocally(session: Session): Promise<void> {
  const failure = new AbortController()
  const outer = session.options.signal
  const signal = outer === undefined ? failure.signal : AbortSignal.any([outer, failure.signal])
  const errors: Error[] = []
  const programs = programFinder(session, signal)
  await Promise.all(
    neededServers(session).map(async (name) => {
      try {
        await startOneLocally(session, name, programs, signal)
      } catch (error) {
        errors.push(error instanceof Error ? error : new Error('A start failed.', { cause: error }))
        failure.abort()
      }
    }),
  )
  // A failure after an abort needs no message.
  outer?.throwIfAborted()
  if (errors[0] !== undefined) throw errors[0]
}

async function startOneLocally(
  session: Session,
  name: ComposeService,
  programs: () => Promise<ReadonlyMap<PrerequisiteName, string>>,
  signal: AbortSignal,
): Promise<void> {
  const { record, paths, options } = session
  const { onProgress } = options
  const server: LocalServer =
    name === 'kafka'
      ? localKafka({ paths, programs, onProgress, signal })
      : localRedis({ paths, programs })
  await ensureLocalServer(server, {
    recorded: record[name],
    mayRestart: record.users.length <= 1,
    onProgress,
    signal,
    onRecord: (started) => {
      if (started !== null) session.started.add(name)
      record[name] = started
      writeRecord(paths.recordFile, record)
    },
  })
}

/** Looks once for all programs that the wanted servers need, so that one message names all missing ones. */
function programFinder(
  session: Session,
  signal: AbortSignal,
): () => Promise<ReadonlyMap<PrerequisiteName, string>> {
  let search: Promise<ReadonlyMap<PrerequisiteName, string>> | null = null
  return () => {
    const wanted = neededServers(session)
    const names: PrerequisiteName[] = [
      ...(wanted.includes('kafka') ? kafkaNeeds(session.paths) : []),
      ...(wanted.includes('redis') ? (['redis'] as const) : []),
    ]
    const { onProgress } = session.options
    search ??= requirePrerequisites(names, thisMachine(process.env), onProgress, signal)
    return search
  }
}

function neededServers(session: Session): readonly ComposeService[] {
  const { brokers, redisUrl: url } = session.given
  return SERVERS.filter((name) => (name === 'kafka' ? brokers : url) === null)
}

async function leave(session: Session, me: ProcessIdentity): Promise<void> {
  const { paths, options } = session
  await withRunLock(paths.lockFile, lockOptions({ onProgress: options.onProgress }), async () => {
    const record = readRecord(paths.recordFile)
    removeUser(record, me)
    record.users = record.users.filter(isAlive)
    if (record.kept || record.users.length > 0) {
      writeRecord(paths.recordFile, record)
      return
    }
    await endServers(record, SERVERS, paths, options.onProgress)
    rmSync(paths.recordFile, { force: true })
  })
}

async function endServers(
  record: StackRecord,
  names: readonly ComposeService[],
  paths: StackPaths,
  onProgress: (line: string) => void,
): Promise<void> {
  const inCompose = names.filter((name) => record[name]?.provider === 'compose')
  await Promise.all([
    inCompose.length === 0 ? null : composeDown(inCompose, paths, onProgress),
    ...names.map(async (name) => {
      const server = record[name]
      if (server?.provider !== 'local') return
      await endLocalServer(SERVER_NAMES[name], server, STOP_GRACE_MS, onProgress)
    }),
  ])
  for (const name of names) record[name] = null
}

/** A process may use the stack several times; each use is removed separately. */
function removeUser(record: StackRecord, user: ProcessIdentity): void {
  const index = record.users.findIndex(
    (other) => other.pid === user.pid && other.startTime === user.startTime,
  )
  if (index >= 0) record.users.splice(index, 1)
}

/** A server of Docker is assumed to run: Compose checks it itself. */
function isRunning(server: ServerRecord | null): boolean {
  return server !== null && (server.process === null || isAlive(server.process))
}

function portOf(server: ServerRecord | null): number {
  return server?.ports[0] ?? 0
}

function lockOptions(options: {
  readonly onProgress: (line: string) => void
  readonly signal?: AbortSignal
}): { onWait: (pid: number) => void; signal?: AbortSignal } {
  return {
    onWait: (pid) => {
      options.onProgress(`waiting for process ${pid}, which starts or stops the servers`)
    },
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  }
}
