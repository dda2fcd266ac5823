// The demo's producer: runs in the demo's own process until its source ends or it is closed.

import type { KafkaConnection } from '../../services/platform/kafka/kafka-connection.ts'
import type { Codecs } from '../../services/core/wire/codecs.ts'
import { systemClock } from '../../services/platform/clock.ts'
import type { Closable } from '../../services/platform/lifecycle.ts'
import { runProducer, type ColumnMapping, type Summary } from '../../services/producer/index.ts'
import type { DemoPlan } from './demo-plan.ts'

export interface DemoProducer extends Closable {
  /** Counts of sent messages, once all are acknowledged. Rejects when it cannot continue. */
  readonly done: Promise<Summary>
  /** The event time up to which it has sent; null at the start. */
  readonly eventTimeMs: number | null
}

/** Starts sending. */
export function openProducer(
  plan: DemoPlan,
  target: KafkaConnection & {
    readonly topicPrefix: string
    readonly codecs: Codecs
  },
  onMapping: (file: string, mapping: ColumnMapping) => void,
): DemoProducer {
  const stop = new AbortController()
  let eventTimeMs: number | null = null
  const { brokers, security, topicPrefix, codecs } = target
  const done = runProducer(
    {
      source: plan.source,
      target: { kind: 'kafka', kafka: { brokers, security, topicPrefix }, codecs },
      pace: plan.pace,
      watermarks: plan.isAligned,
      durationMs: plan.durationMs,
    },
    {
      clock: systemClock,
      signal: stop.signal,
      onProgress: (progress) => {
        eventTimeMs = progress.lastEventTimeMs
      },
      onMapping,
    },
  )
  // It may fail before anybody awaits `done`; a later await still rejects.
  done.catch(() => undefined)
  return {
    done,
    get eventTimeMs() {
      return eventTimeMs
    },
    close: async () => {
      stop.abort()
      await done.catch(() => undefined)
    },
  }
}
