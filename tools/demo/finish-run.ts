// The end of a demo with --exit: waits until all is decided, then counts it again from the topics.

import type { KafkaConnection } from '../../services/platform/kafka/kafka-connection.ts'
import type { Admin } from 'kafkajs'
import type { Codecs } from '../../services/core/wire/codecs.ts'
import { systemClock } from '../../services/platform/clock.ts'
import { pollUntil } from '../servers/poll.ts'
import type { Summary } from '../../services/producer/index.ts'
import type { DemoPlan } from './demo-plan.ts'
import { demoName } from './demo-record.ts'
import { tallyTopics, waitUntilDecided } from './read-tally.ts'
import type { Screen } from './screen.ts'
import type { Subscriber } from './subscriber.ts'
import { summarize, type DemoSummary } from './summary.ts'
import type { AlertStory } from './watch/alert-story.ts'

const SUBSCRIBER_WAIT_MS = 5_000
const SUBSCRIBER_POLL_MS = 20

/** How a run with an end came out. */
export interface RunEnd {
  readonly summary: DemoSummary
}

/** What the end of a run is judged by. */
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
  // The subscriber may be a fetch behind; what it has not got after that is a finding.
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
