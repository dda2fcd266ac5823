// Follows the control topic: first to its end, so that a scorer starts with the deployments in force, then while the
// scorer runs. The topic is small and compacted; every start reads it from its beginning.

import { setTimeout as sleepMs } from 'node:timers/promises'
import {
  type DeploymentKind,
  type PositionedDeployment,
  readControlMessage,
} from '../../core/control/deployment.ts'
import type { Codecs } from '../../core/wire/codecs.ts'
import type { Control } from '../../core/wire/records.ts'
import {
  follow,
  placeKey,
  readToEnd,
  type CommittedMessages,
} from '../../platform/kafka/committed-reader.ts'
import type { KafkaConnection } from '../../platform/kafka/kafka-connection.ts'
import type { Closable } from '../../platform/lifecycle.ts'
import type { Logger } from '../../platform/log.ts'
import type { ModelEvents } from '../../platform/metrics/deployment-metrics.ts'

/** Waits before the topic is read again after a failure, doubling. */
const RETRY_FIRST_MS = 500
const RETRY_MS_MAX = 30_000
/** The control topic has one partition, so that operators' messages have one order. */
const PARTITION = 0

export interface ControlFollowerOptions extends KafkaConnection {
  readonly topic: string
  /** Consumer group of the scorers; the group that reads the control topic is named after it. */
  readonly groupId: string
  readonly codecs: Codecs
  readonly telemetry: ModelEvents
  readonly log: Logger
  /** Called for each message that concerns neither models nor policies. */
  readonly onOther: (control: Control) => void
}

export class ControlFollower implements Closable {
  readonly #options: ControlFollowerOptions
  readonly #stop = new AbortController()
  #next = 0
  #following: Promise<void> = Promise.resolve()

  constructor(options: ControlFollowerOptions) {
    this.#options = options
  }

  /** Reads to the current end of the topic. Returns the newest message about each kind of deployment. */
  async readInForce(): Promise<ReadonlyMap<DeploymentKind, PositionedDeployment>> {
    const newest = new Map<DeploymentKind, PositionedDeployment>()
    await readToEnd(this.#reader('beginning'), (batch) => {
      this.#accept(batch, (placed) => {
        newest.set(placed.about, placed)
      })
    })
    return newest
  }

  /** Continues from there; `onDeployment` is called for each message about models or policies. */
  start(onDeployment: (placed: PositionedDeployment) => void): void {
    this.#following = this.#follow(onDeployment)
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#following
  }

  async #follow(onDeployment: (placed: PositionedDeployment) => void): Promise<void> {
    const { telemetry, log, topic } = this.#options
    const { signal } = this.#stop
    let waitMs = RETRY_FIRST_MS
    while (!signal.aborted) {
      try {
        const startAt = new Map([[placeKey(topic, PARTITION), this.#next]])
        await follow(
          this.#reader(startAt),
          (batch) => {
            this.#accept(batch, onDeployment)
          },
          signal,
          () => {
            waitMs = RETRY_FIRST_MS
            telemetry.controlLost(false)
          },
        )
      } catch (error) {
        telemetry.controlLost(true)
        log.warn({ error, waitMs }, 'The control topic cannot be followed; trying again.')
        await sleepMs(waitMs, undefined, { signal }).catch(() => undefined)
        waitMs = Math.min(2 * waitMs, RETRY_MS_MAX)
      }
    }
  }

  #reader(startAt: 'beginning' | ReadonlyMap<string, number>) {
    const { brokers, security, topic, groupId } = this.#options
    return { brokers, security, name: `${groupId}-control`, topics: [topic], startAt }
  }

  #accept(
    { messages }: CommittedMessages,
    onDeployment: (placed: PositionedDeployment) => void,
  ): void {
    const { codecs, telemetry, log, onOther } = this.#options
    for (const message of messages) {
      const position = Number(message.offset)
      this.#next = position + 1
      const read = readControlMessage(message, codecs.control)
      telemetry.controlRead(
        read.kind === 'fault' ? read.fault : read.kind === 'deployment' ? 'followed' : 'for_others',
      )
      if (read.kind === 'deployment') onDeployment(read.placed)
      if (read.kind === 'for_others' && read.control !== null) onOther(read.control)
      if (read.kind === 'fault') {
        log.error({ position, fault: read.fault }, 'A control message cannot be followed.')
      }
    }
  }
}
