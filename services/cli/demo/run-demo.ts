// The demo: servers, topics, scorer, subscriber and producer, put together, watched, and taken apart again.
//
// Everything that is opened is closed in reverse order, however the demo ends: the producer first, so that what
// it took is sent; then the scorer; then the subscriber; then the topics and keys; then the servers.

import { join } from 'node:path'
import type { Admin } from 'kafkajs'
import { createAlertsTelemetry, type AlertsTelemetry } from '../../alerts/index.ts'
import { createCodecs, type Codecs } from '../../core/wire/codecs.ts'
import { systemClock } from '../../platform/clock.ts'
import { closeAll, type Closable } from '../../platform/lifecycle.ts'
import { openMetricsServer } from '../../platform/metrics/metrics-server.ts'
import { provisionStack, type Stack } from '../../platform/provision/index.ts'
import { stackPaths } from '../../platform/provision/stack-paths.ts'
import { FileRegistry } from '../../platform/registry/file-registry.ts'
import { mappingText } from '../../producer/index.ts'
import { repositoryRoot } from '../command.ts'
import type { DemoPlan } from './demo-plan.ts'
import { demoName, readLivingDemos, writeDemoRecord } from './demo-record.ts'
import { createDemoTopics, leftoverDemoIds, openDemoAdmin, removeDemo } from './demo-traces.ts'
import { openProducer, type DemoProducer } from './demo-producer.ts'
import { finishRun, type RunEnd } from './finish-run.ts'
import { startScorer, type ScorerProcess } from './scorer-process.ts'
import { openScreen, type Screen } from './screen.ts'
import { showStatus } from './status-line.ts'
import { openSubscriber, type Subscriber } from './subscriber.ts'

const METRICS_PORT = 9_465

/** A demo that runs. */
export interface Demo {
  readonly plan: DemoPlan
  readonly topicPrefix: string
  readonly brokers: readonly string[]
  readonly startedAtMs: number
  readonly admin: Admin
  readonly codecs: Codecs
  readonly scorer: ScorerProcess
  readonly subscriber: Subscriber
  readonly producer: DemoProducer
  readonly screen: Screen
}

/**
 * Runs the demo until it ends or the signal comes, and leaves nothing behind. Null when the signal ended it.
 * @throws SluiceError when something cannot start, or stops by itself.
 */
export async function runDemo(plan: DemoPlan, signal: AbortSignal): Promise<RunEnd | null> {
  const screen = openScreen({ json: plan.json })
  const opened: Closable[] = []
  try {
    const demo = await openDemo(plan, screen, signal, opened)
    return await watch(demo, signal)
  } catch (error) {
    // Whatever breaks because of the interruption is a part of it.
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
  const stack = await provisionStack({ root, onProgress: screen.say, signal })
  opened.push({ close: () => stack.stop() })
  const { brokers } = stack.kafka
  const topicPrefix = `${demoName(plan.id)}.`
  const startedAtMs = systemClock.nowMs()
  const removeRecord = writeDemoRecord(stateFolder, {
    id: plan.id,
    brokers,
    topicPrefix,
    startedAtMs,
  })
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
  const telemetry = createAlertsTelemetry()
  const options = { brokers, topicPrefix, codecs, telemetry }
  const logFile = join(stateFolder, 'demo-scorer.log')
  const starts = await Promise.allSettled([
    openSubscriber(options, screen),
    startScorer(scorerEnv(plan, stack), logFile, signal),
    openMetrics(telemetry),
  ])
  const [subscriber, scorer, metrics] = starts
  if (metrics.status === 'fulfilled') opened.push(metrics.value)
  if (subscriber.status === 'fulfilled') opened.push(subscriber.value)
  if (scorer.status === 'fulfilled') opened.push({ close: () => scorer.value.stop() })
  if (metrics.status === 'rejected') throw metrics.reason
  if (subscriber.status === 'rejected') throw subscriber.reason
  if (scorer.status === 'rejected') throw scorer.reason
  introduce(plan, scorer.value.metricsPort, metrics.value.port, screen)
  void removeLeftovers(admin, stack, stateFolder, screen)
  const producer = openProducer(plan, { brokers, topicPrefix, codecs }, (file, mapping) => {
    screen.say(`columns of ${file}: ${mappingText(mapping)}`)
  })
  opened.push(producer)
  return {
    plan,
    topicPrefix,
    brokers,
    startedAtMs,
    admin,
    codecs,
    scorer: scorer.value,
    subscriber: subscriber.value,
    producer,
    screen,
  }
}

/** Creates the topics; closing removes them, with all else that the demo has put into Kafka and Redis. */
async function openTraces(
  plan: DemoPlan,
  stack: Stack,
  screen: Screen,
  opened: Closable[],
): Promise<Admin> {
  const admin = await openDemoAdmin(stack.kafka.brokers)
  opened.push({
    close: async () => {
      const failures = await removeDemo(admin, stack.redis.url, plan.id)
      for (const failure of failures) screen.say(`could not be removed: ${failure}`)
      await admin.disconnect()
    },
  })
  screen.say(`creating the topics ${demoName(plan.id)}.*`)
  await createDemoTopics(admin, plan.id)
  return admin
}

/** What killed demos have left, where the servers are ours. Its failures are no failure of this demo. */
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
      await removeDemo(admin, stack.redis.url, id)
    }
  } catch {
    // The next demo tries again.
  }
}

function scorerEnv(plan: DemoPlan, stack: Stack): NodeJS.ProcessEnv {
  return {
    ...process.env,
    ...plan.scorerEnv,
    SLUICE_KAFKA_BROKERS: stack.kafka.brokers.join(','),
    SLUICE_REDIS_URL: stack.redis.url,
    SLUICE_MODE: 'enforce',
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

function introduce(plan: DemoPlan, scorerPort: number, demoPort: number, { say }: Screen): void {
  say(`metrics: scorer http://127.0.0.1:${scorerPort}/metrics`)
  say(`metrics: demo   http://127.0.0.1:${demoPort}/metrics`)
  say(
    plan.source.kind === 'simulate'
      ? 'the card traffic is simulated, fraud included; no real cards are in it'
      : 'the card traffic is read from files',
  )
  say('enforcement is ON here: alerts may block. A real installation starts in flag mode.')
  if (!plan.exits) say('Ctrl-C stops everything and cleans up')
}

/** Shows how things go until the signal, a failure, or the end. */
async function watch(demo: Demo, signal: AbortSignal): Promise<RunEnd | null> {
  const { scorer, subscriber, producer, screen, plan } = demo
  const interrupted = new Promise<null>((resolve) => {
    if (signal.aborted) resolve(null)
    signal.addEventListener('abort', () => {
      resolve(null)
    })
  })
  const broken = Promise.race([
    scorer.failed.then((error) => Promise.reject(error)),
    subscriber.failed,
    producer.done.then(() => new Promise<never>(() => undefined)),
  ])
  const closeStatus = showStatus(demo)
  try {
    const sent = await Promise.race([producer.done, broken, interrupted])
    if (sent === null) return null
    screen.say(`all is sent: ${sent.transactions} transactions, ${sent.labels} labels`)
    if (!plan.exits) return await Promise.race([broken, interrupted])
    return await Promise.race([finishRun(demo, sent, signal), broken, interrupted])
  } finally {
    closeStatus()
  }
}
