// The watched part of a demo: it starts Prometheus, makes the fault, and writes the dashboards.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleepMs } from 'node:timers/promises'
import { SluiceError } from '../../../services/core/errors.ts'
import { systemClock } from '../../../services/platform/clock.ts'
import { openKafka } from '../../../services/platform/kafka/kafka-client.ts'
import type { KafkaConnection } from '../../../services/platform/kafka/kafka-connection.ts'
import { closeAll, type Closable } from '../../../services/platform/lifecycle.ts'
import { stackPaths } from '../../servers/stack-record.ts'
import { repositoryRoot } from '../../../services/cli/command.ts'
import type { DemoPlan } from '../demo-plan.ts'
import type { RestartableScorer } from '../scorer-process.ts'
import type { Screen } from '../screen.ts'
import { tellFault, type AlertStory } from './alert-story.ts'
import { faultOf, type FaultName, type RedisGate } from './fault.ts'
import { openObservation, RULES_SHORTENED_BY, type Observation } from './observation.ts'

/** Ordinary traffic before the fault, so that the dashboards show what it changes. */
const BEFORE_FAULT_MS = 30_000
/** Ordinary traffic after the alert has cleared. */
const AFTER_FAULT_MS = 15_000

export interface WatchedRun extends Closable {
  /** Null without a fault. Rejects with the signal's reason. */
  readonly story: Promise<AlertStory> | null
  /** Writes the dashboards of the run so far, where the plan wants them. */
  writeDashboards(): Promise<void>
}

/** The parts of the demo that are observed. */
export interface Watched extends KafkaConnection {
  readonly plan: DemoPlan
  readonly topicPrefix: string
  readonly scorer: RestartableScorer
  readonly subscriberPort: number
  readonly gate: RedisGate | null
  readonly screen: Screen
  /** Full path of Prometheus. */
  readonly prometheus: string
}

/** Starts Prometheus, the page of dashboards, and the fault where one is planned. */
export async function openWatchedRun(watched: Watched, signal: AbortSignal): Promise<WatchedRun> {
  const { plan, scorer, screen, subscriberPort } = watched
  const startedAtMs = systemClock.nowMs()
  const observation = await openObservation({
    program: watched.prometheus,
    scorerPort: scorer.metricsPort,
    subscriberPort,
    folder: join(stackPaths(repositoryRoot()).state, `demo-prometheus-${plan.id}`),
    signal,
  })
  screen.say(
    `Prometheus: ${observation.prometheus.url}/alerts (times of the rules divided by ${RULES_SHORTENED_BY})`,
  )
  screen.say(`dashboards:     ${observation.page.url}`)
  const stop = new AbortController()
  const story =
    plan.fault === null
      ? null
      : tell(plan.fault, watched, observation, AbortSignal.any([signal, stop.signal]))
  // The rejection is seen where the story is awaited.
  story?.catch(() => undefined)
  return {
    story,
    writeDashboards: async () => {
      if (plan.dashboardsFile === null) return
      writeDashboardsFile(plan.dashboardsFile, await observation.page.render(startedAtMs))
      screen.say(`dashboards written to ${plan.dashboardsFile}`)
    },
    close: async () => {
      stop.abort()
      await story?.catch(() => undefined)
      await observation.close()
    },
  }
}

async function tell(
  name: FaultName,
  watched: Watched,
  { prometheus }: Observation,
  signal: AbortSignal,
): Promise<AlertStory> {
  const { scorer, gate, topicPrefix, screen } = watched
  const opened: Closable[] = []
  try {
    await sleepMs(BEFORE_FAULT_MS, undefined, { signal })
    const producer = openKafka(watched, { clientId: 'sluice-demo-fault' }).producer({
      allowAutoTopicCreation: false,
    })
    await producer.connect()
    opened.push({ close: () => producer.disconnect() })
    const fault = faultOf(name, { scorer, gate, producer, topicPrefix })
    const story = await tellFault(fault, prometheus, screen, signal)
    await sleepMs(AFTER_FAULT_MS, undefined, { signal })
    return story
  } finally {
    await closeAll(opened)
  }
}

function writeDashboardsFile(file: string, html: string): void {
  try {
    writeFileSync(file, html)
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error)
    throw new SluiceError(
      'SLUICE_USAGE',
      `--dashboards ${file} cannot be written (${problem}); give a file in a folder that exists.`,
      { cause: error },
    )
  }
}
