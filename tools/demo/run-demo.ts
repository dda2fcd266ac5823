// The demo: starts servers, topics, scorer, subscriber and producer, watches them, and closes them again.
// Everything that is opened is closed in reverse order, however the demo ends: first the producer, so that everything
// it accepted is sent; then the scorer; then the subscriber; then the topics and keys; then the servers.

import { join } from 'node:path'
import type { Admin } from 'kafkajs'
import { createAlertsTelemetry, type AlertsTelemetry } from '../../services/alerts/index.ts'
import type { Alert } from '../../services/core/wire/records.ts'
import { type Codecs, createCodecs } from '../../services/core/wire/codecs.ts'
import { systemClock } from '../../services/platform/clock.ts'
import { closeAll, type Closable } from '../../services/platform/lifecycle.ts'
import { openMetricsServer } from '../../services/platform/metrics/metrics-server.ts'
import type {
  KafkaConnection,
  KafkaSecurity,
} from '../../services/platform/kafka/kafka-connection.ts'
import { provisionStack, type Stack } from '../servers/stack.ts'
import { stackPaths } from '../servers/stack-record.ts'
import { FileRegistry } from '../../services/platform/registry/file-registry.ts'
import { mappingText } from '../../services/producer/index.ts'
import { repositoryRoot } from '../../services/cli/command.ts'
import type { DemoPlan } from './demo-plan.ts'
import {
  demoName,
  readLivingDemos,
  writeDemoRecord,
  createDemoTopics,
  leftoverDemoIds,
  openDemoAdmin,
  removeDemo,
} from './demo-record.ts'
import { openProducer, type DemoProducer } from './demo-producer.ts'
import { enforcerLine, openDemoEnforcer, type DemoEnforcer } from './demo-enforcer.ts'
import { finishRun, type RunEnd } from './finish-run.ts'
import { startRestartableScorer, type RestartableScorer } from './scorer-process.ts'
import { openScreen, type Screen } from './screen.ts'
import { showStatus } from './status-line.ts'
import { openSubscriber, type Subscriber } from './subscriber.ts'
import { observationProgram } from './watch/observation.ts'
import { openRedisGate } from './watch/fault.ts'
import { openWatchedRun, type WatchedRun } from './watch/watched-run.ts'

const METRICS_PORT = 9_465
/** In event time, which runs fast here, so that blocks end during the demo. */
const LEASE_MS = 4 * 3_600_000

/** A demo that runs. */
export interface Demo {
  readonly plan: DemoPlan
  readonly topicPrefix: string
  readonly brokers: readonly string[]
  readonly security: KafkaSecurity | undefined
  readonly startedAtMs: number
  readonly admin: Admin
  readonly codecs: Codecs
  readonly scorer: RestartableScorer
  readonly subscriber: Subscriber
  readonly enforcer: DemoEnforcer
  readonly producer: DemoProducer
  readonly watched: WatchedRun | null
  readonly screen: Screen
}

/**
 * Runs the demo until it ends or the signal aborts, and leaves nothing behind. Null when the signal ended it. @throws
 * SluiceError when something cannot start, or stops by itself.
 */
export async function runDemo(plan: DemoPlan, signal: AbortSignal): Promise<RunEnd | null> {
  const screen = openScreen({ json: plan.json })
  const opened: Closable[] = []
  try {
    const demo = await openDemo(plan, screen, signal, opened)
    return await watch(demo, signal)
  } catch (error) {
    // Any failure after an abort is a consequence of it.
    if (signal.aborted) return null
    throw error
  } finally {
    screen.end()
    if (opened.length > 0) screen.say('stopping and cleaning up')
    await closeAll(opened)
  }
}

async function openDemo(
  plan: DemoPlan,
  screen: Screen,
  signal: AbortSignal,
  opened: Closable[],
): Promise<Demo> {
  const root = repositoryRoot()
  const stateFolder = stackPaths(root).state
  // Installed before the traffic starts, which would pile up during an installation.
  const prometheus = plan.isWatched ? await observationProgram(screen.say, signal) : null
  const stack = await provisionStack({ root, onProgress: screen.say, signal })
  opened.push({ close: () => stack.stop() })
  const { brokers, security } = stack.kafka
  const topicPrefix = `${demoName(plan.id)}.`
  const startedAtMs = systemClock.nowMs()
  const record = { id: plan.id, brokers, topicPrefix, startedAtMs }
  const removeRecord = writeDemoRecord(stateFolder, record)
  opened.push({
    close: () => {
      removeRecord()
      return Promise.resolve()
    },
  })
  const admin = await openTraces(plan, stack, screen, opened)
  signal.throwIfAborted()
  screen.say(`starting the scorer (its messages: ${join('.sluice', 'demo-scorer.log')})`)
  const codecs = createCodecs(await new FileRegistry().load())
  const gate = plan.fault === 'redis-away' ? await openRedisGate(stack.redis.url) : null
  if (gate !== null) opened.push(gate)
  const env = scorerEnv(plan, stack, gate?.url ?? stack.redis.url)
  const target = { brokers, security, topicPrefix, codecs }
  const { subscriber, enforcer, scorer, metrics } = await startProcesses(
    env,
    target,
    screen,
    signal,
    opened,
  )
  introduce(plan, scorer.metricsPort, metrics.port, enforcer.port, screen)
  void removeLeftovers(admin, stack, stateFolder, screen)
  const producer = openProducer(plan, target, (file, mapping) => {
    screen.say(`columns of ${file}: ${mappingText(mapping)}`)
  })
  opened.push(producer)
  const watched =
    prometheus === null
      ? null
      : await openWatchedRun(
          { ...target, plan, scorer, subscriberPort: metrics.port, gate, screen, prometheus },
          signal,
        )
  if (watched !== null) opened.push(watched)
  return {
    plan,
    topicPrefix,
    brokers,
    security,
    startedAtMs,
    admin,
    codecs,
    scorer,
    subscriber,
    enforcer,
    producer,
    watched,
    screen,
  }
}

/** Starts subscriber, enforcer, scorer and the page of metrics together; what has started is closed at the end. */
async function startProcesses(
  env: NodeJS.ProcessEnv,
  target: KafkaConnection & { readonly topicPrefix: string; readonly codecs: Codecs },
  screen: Screen,
  signal: AbortSignal,
  opened: Closable[],
) {
  const telemetry = createAlertsTelemetry()
  const logFile = join(stackPaths(repositoryRoot()).state, 'demo-scorer.log')
  let newestEventTimeMs = 0
  const onAlert = (alert: Pick<Alert, 'eventTimeMs'>): void => {
    newestEventTimeMs = Math.max(newestEventTimeMs, alert.eventTimeMs)
  }
  const starts = await Promise.allSettled([
    openSubscriber({ ...target, telemetry, onAlert }, screen),
    openDemoEnforcer(target, LEASE_MS, () => newestEventTimeMs, screen),
    startRestartableScorer(env, logFile, signal),
    openMetrics(telemetry),
  ])
  const [subscriber, enforcer, scorer, metrics] = starts
  if (metrics.status === 'fulfilled') opened.push(metrics.value)
  if (subscriber.status === 'fulfilled') opened.push(subscriber.value)
  if (enforcer.status === 'fulfilled') opened.push(enforcer.value)
  if (scorer.status === 'fulfilled') opened.push({ close: () => scorer.value.stop() })
  if (metrics.status === 'rejected') throw metrics.reason
  if (subscriber.status === 'rejected') throw subscriber.reason
  if (enforcer.status === 'rejected') throw enforcer.reason
  if (scorer.status === 'rejected') throw scorer.reason
  return {
    subscriber: subscriber.value,
    enforcer: enforcer.value,
    scorer: scorer.value,
    metrics: metrics.value,
  }
}

/** Creates the topics; closing removes them, and everything else that the demo has written to Kafka and Redis. */
async function openTraces(
  plan: DemoPlan,
  stack: Stack,
  screen: Screen,
  opened: Closable[],
): Promise<Admin> {
  const admin = await openDemoAdmin(stack.kafka)
  opened.push({
    close: async () => {
      const failures = await removeDemo(admin, stack.redis, plan.id)
      for (const failure of failures) screen.say(`could not be removed: ${failure}`)
      await admin.disconnect()
    },
  })
  screen.say(`creating the topics ${demoName(plan.id)}.*`)
  await createDemoTopics(admin, plan.id)
  return admin
}

/** Removes the traces of killed demos, if Sluice started the servers. A failure here does not fail the demo. */
async function removeLeftovers(
  admin: Admin,
  stack: Stack,
  stateFolder: string,
  screen: Screen,
): Promise<void> {
  if (stack.kafka.provider === 'environment') return
  try {
    const living = readLivingDemos(stateFolder).map(({ id }) => id)
    for (const id of await leftoverDemoIds(admin, living)) {
      screen.say(`removing what an earlier demo has left (${demoName(id)})`)
      await removeDemo(admin, stack.redis, id)
    }
  } catch {
    // The next demo tries again.
  }
}

function scorerEnv(plan: DemoPlan, stack: Stack, redisUrl: string): NodeJS.ProcessEnv {
  return {
    ...process.env,
    ...plan.scorerEnv,
    SLUICE_KAFKA_BROKERS: stack.kafka.brokers.join(','),
    // A URL from the environment is kept: it may carry the password, which this URL does not.
    ...(stack.redis.provider === 'environment' && redisUrl === stack.redis.url
      ? {}
      : { SLUICE_REDIS_URL: redisUrl }),
    SLUICE_MODE: 'enforce',
    SLUICE_LEASE_MS: String(LEASE_MS),
    SLUICE_TOPIC_PREFIX: `${demoName(plan.id)}.`,
    SLUICE_GROUP_ID: demoName(plan.id),
    SLUICE_STREAM_ID: demoName(plan.id),
    // The demo's topics have no subjects in a registry server.
    SLUICE_SCHEMA_REGISTRY_URL: '',
  }
}

function openMetrics(telemetry: AlertsTelemetry): Promise<{ readonly port: number } & Closable> {
  return openMetricsServer({
    host: '127.0.0.1',
    port: METRICS_PORT,
    registry: telemetry.registry,
    readiness: () => ({ isReady: telemetry.isFollowing, details: {} }),
  })
}

function introduce(
  plan: DemoPlan,
  scorerPort: number,
  demoPort: number,
  enforcerPort: number,
  { say }: Screen,
): void {
  say(`metrics: scorer http://127.0.0.1:${scorerPort}/metrics`)
  say(`metrics: demo   http://127.0.0.1:${demoPort}/metrics`)
  say(`enforcer: http://127.0.0.1:${enforcerPort}, which refuses blocked cards and writes receipts`)
  say(
    plan.source.kind === 'simulate'
      ? 'the card traffic is simulated, fraud included; no real cards are in it'
      : 'the card traffic is read from files',
  )
  say('enforcement is ON here: alerts may block. A real installation starts in flag mode.')
  if (!plan.exits) say('Ctrl-C stops everything and cleans up')
}

/** Shows the status until the signal aborts, something fails, or the demo ends. */
async function watch(demo: Demo, signal: AbortSignal): Promise<RunEnd | null> {
  const { scorer, subscriber, enforcer, producer, screen, plan, watched } = demo
  const interrupted = new Promise<null>((resolve) => {
    if (signal.aborted) resolve(null)
    signal.addEventListener('abort', () => {
      resolve(null)
    })
  })
  const broken = Promise.race([
    scorer.failed.then((error) => Promise.reject(error)),
    subscriber.failed,
    enforcer.failed,
    producer.done.then(() => new Promise<never>(() => undefined)),
  ])
  const closeStatus = showStatus(demo)
  try {
    const story = watched?.story ?? null
    const told = story === null || !plan.exits ? null : story.then(() => producer.close())
    const sent = await Promise.race([
      producer.done,
      broken,
      interrupted,
      ...(told === null ? [] : [told.then(() => producer.done)]),
    ])
    if (sent === null) return null
    screen.say(`all is sent: ${sent.transactions} transactions, ${sent.labels} labels`)
    if (!plan.exits) return await Promise.race([broken, interrupted])
    const end = finishRun(demo, sent, story === null ? null : await story, signal)
    return await Promise.race([end, broken, interrupted])
  } finally {
    await watched?.writeDashboards()
    closeStatus()
    screen.say(enforcerLine(enforcer))
  }
}
