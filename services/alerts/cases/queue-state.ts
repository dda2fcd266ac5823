// What the queue and the labels know of the stream, from its topics: open alerts, and what was found about them.

import type { Clock } from '../../core/clock.ts'
import { groupCases, prioritised, type Case, type CaseOptions } from '../../core/cases.ts'
import { DEFAULT_RATES } from '../../core/currency.ts'
import { Dispositions } from '../../core/dispositions.ts'
import { OpenAlerts } from '../../core/open-alerts.ts'
import type { Codecs } from '../../core/wire/codecs.ts'
import type { CommittedMessages } from '../../platform/kafka/committed-reader.ts'
import { topicName } from '../../platform/kafka/topics.ts'

/** Some 100 MB of alerts. */
const ALERTS_MAX = 50_000
const KNOWN_MAX = 200_000
const DISPOSITIONS_MAX = 200_000

/** The queue at one moment. */
export interface Queue {
  readonly atMs: number
  readonly openAlerts: number
  /** Alerts that were dropped since there was no room. */
  readonly leftOut: number
  /** The most urgent first. */
  readonly cases: readonly Case[]
}

export interface QueueStateOptions {
  readonly topicPrefix: string
  readonly horizonMs: number
  readonly cases: CaseOptions
  readonly clock: Clock
  readonly codecs: Pick<Codecs, 'alert' | 'decodeLabelMessage' | 'disposition'>
}

/** Topics that the state is made of. */
export const QUEUE_TOPICS = ['alerts', 'labels', 'dispositions'] as const

export class QueueState {
  readonly alerts: OpenAlerts
  readonly dispositions = new Dispositions(DISPOSITIONS_MAX)
  readonly #options: QueueStateOptions
  #unreadable = 0

  constructor(options: QueueStateOptions) {
    this.#options = options
    const { horizonMs } = options
    this.alerts = new OpenAlerts({ horizonMs, alertsMax: ALERTS_MAX, knownMax: KNOWN_MAX })
  }

  /** Messages of the topics that this version cannot read. */
  get unreadable(): number {
    return this.#unreadable
  }

  take({ topic, messages }: CommittedMessages): void {
    const { topicPrefix, codecs } = this.#options
    for (const { value } of messages) {
      if (topic === topicName(topicPrefix, 'alerts')) {
        const decoded = codecs.alert.decode(value)
        if (decoded.ok) this.alerts.takeAlert(decoded.value)
        else this.#unreadable += 1
      } else if (topic === topicName(topicPrefix, 'dispositions')) {
        const decoded = codecs.disposition.decode(value)
        if (!decoded.ok) {
          this.#unreadable += 1
          continue
        }
        this.dispositions.take(decoded.value)
        this.alerts.takeDisposition(decoded.value)
      } else {
        const read = codecs.decodeLabelMessage(value)
        if (read.kind === 'label') this.alerts.takeLabel(read.value)
        else if (read.kind === 'reject') this.#unreadable += 1
      }
    }
  }

  /** The cases that are open now. */
  queue(): Queue {
    const atMs = this.#options.clock.nowMs()
    const open = this.alerts.open(atMs).map((alert) => prioritised(alert, DEFAULT_RATES))
    const cases = groupCases(open, this.#options.cases)
    return { atMs, openAlerts: open.length, leftOut: this.alerts.leftOut, cases }
  }
}
