// The end of a demo with --exit: waits until everything is decided, then recounts it from the topics.

import { setTimeout as sleepMs } from 'node:timers/promises'
import type { Admin } from 'kafkajs'
import type { Codecs } from '../../services/core/wire/codecs.ts'
import { systemClock } from '../../services/platform/clock.ts'
import { readToEnd } from '../../services/platform/kafka/committed-reader.ts'
import type { KafkaConnection } from '../../services/platform/kafka/kafka-connection.ts'
import { readLogEnds } from '../../services/platform/kafka/log-ends.ts'
import { topicName } from '../../services/platform/kafka/topics.ts'
import type { Summary } from '../../services/producer/index.ts'
import { pollUntil } from '../servers/run-program.ts'
import type { DemoPlan } from './demo-plan.ts'
import { demoName } from './demo-record.ts'
import type { Screen } from './screen.ts'
import type { Subscriber } from './subscriber.ts'
import { type DemoSummary, summarize } from './summary.ts'
import { type TalliedTopic, type TallyResult, TopicTally } from './topic-tally.ts'
import type { AlertStory } from './watch/alert-story.ts'

const SUBSCRIBER_WAIT_MS = 5_000
const SUBSCRIBER_POLL_MS = 20

/** Outcome of a run with an end. */
export interface RunEnd {
  readonly summary: DemoSummary
}

/** Inputs to the verdict on a run. */
export interface FinishedRun extends KafkaConnection {
  readonly plan: DemoPlan
  readonly topicPrefix: string
  readonly startedAtMs: number
  readonly admin: Admin
  readonly codecs: Codecs
  readonly subscriber: Subscriber
  readonly screen: Screen
}

/** @throws SluiceError when the topics cannot be read, or the signal's reason. */
export async function finishRun(
  run: FinishedRun,
  sent: Summary,
  fault: AlertStory | null,
  signal: AbortSignal,
): Promise<RunEnd> {
  const { admin, plan, topicPrefix, subscriber, screen } = run
  const isDecided = await waitUntilDecided(admin, demoName(plan.id), topicPrefix, signal)
  const finishedAtMs = systemClock.nowMs()
  screen.say('all is decided; counting what is in the topics')
  const tally = await tallyTopics(run, topicPrefix, run.codecs, signal)
  const { flag, block, release, unknown } = tally.alerts
  const received = (): number => subscriber.counts.received + subscriber.counts.notRead
  // The subscriber may be a fetch behind; an alert that it still lacks afterwards is reported.
  await pollUntil(() => received() >= flag + block + release + unknown + tally.laterWords, {
    limitMs: SUBSCRIBER_WAIT_MS,
    everyMs: SUBSCRIBER_POLL_MS,
    signal,
  })
  const summary = summarize(tally, {
    source: plan.source.kind,
    startedAtMs: run.startedAtMs,
    finishedAtMs,
    sent: { ...sent, transactions: sent.transactions + (fault?.messagesAdded ?? 0) },
    fault,
    isDecided,
    received: {
      alerts: subscriber.counts.received,
      notRead: subscriber.counts.notRead,
      p50Ms: subscriber.all.percentileMs(0.5),
      p99Ms: subscriber.all.percentileMs(0.99),
    },
  })
  return { summary }
}

// Reads the topics of a run from beginning to end with a committed reader that is independent of the scorer, and waits
// until nothing is left to decide.

const TALLIED: readonly TalliedTopic[] = ['transactions', 'decisions', 'alerts', 'dead-letters']
const POLL_MS = 100
/** Long enough for a restart of the scorer and a session time-out. A longer standstill means that it hangs. */
const STANDSTILL_MS_MAX = 60_000

/** Counts everything in the topics with this prefix. */
export async function tallyTopics(
  { brokers, security }: KafkaConnection,
  topicPrefix: string,
  codecs: Codecs,
  signal: AbortSignal,
): Promise<TallyResult> {
  const tally = new TopicTally(codecs)
  const byName = new Map(TALLIED.map((topic) => [topicName(topicPrefix, topic), topic]))
  await readToEnd(
    {
      brokers,
      security,
      name: 'sluice-demo-check',
      topics: [...byName.keys()],
      startAt: 'beginning',
    },
    ({ topic, partition, messages }) => {
      const tallied = byName.get(topic)
      if (tallied === undefined) return
      for (const { offset, timestamp, value } of messages) {
        const position = { partition, offset: Number(offset), timestampMs: Number(timestamp) }
        tally.add(tallied, { ...position, value })
      }
    },
    signal,
  )
  return tally.result()
}

/**
 * Waits until the group has committed everything that both input topics hold at the call. False when progress stops
 * before that. @throws the signal's reason.
 */
export async function waitUntilDecided(
  admin: Admin,
  groupId: string,
  topicPrefix: string,
  signal: AbortSignal,
): Promise<boolean> {
  const topics = (['transactions', 'labels'] as const).map((topic) => topicName(topicPrefix, topic))
  const ends = new Map<string, number>()
  for (const topic of topics) {
    for (const [partition, { high }] of await readLogEnds(admin, topic)) {
      ends.set(`${topic}/${partition}`, high)
    }
  }
  let leftBefore = Number.POSITIVE_INFINITY
  let movedMs = performance.now()
  for (;;) {
    signal.throwIfAborted()
    const left = await leftToCommit(admin, groupId, topics, ends)
    if (left === 0) return true
    if (left < leftBefore) movedMs = performance.now()
    leftBefore = left
    if (performance.now() - movedMs > STANDSTILL_MS_MAX) return false
    await sleepMs(POLL_MS)
  }
}

async function leftToCommit(
  admin: Admin,
  groupId: string,
  topics: readonly string[],
  ends: ReadonlyMap<string, number>,
): Promise<number> {
  let left = 0
  for (const { topic, partitions } of await admin.fetchOffsets({ groupId, topics: [...topics] })) {
    for (const { partition, offset } of partitions) {
      // -1 means that nothing is committed yet.
      left += Math.max(0, (ends.get(`${topic}/${partition}`) ?? 0) - Math.max(0, Number(offset)))
    }
  }
  return left
}
