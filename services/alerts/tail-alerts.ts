// The reference subscriber: follows the alerts topic with committed reads, decodes, and passes on alerts. Messages that
// it cannot decode are counted and reported, and never stop it: later versions may send alerts that this one does not
// know.

import type { Clock } from '../core/clock.ts'
import type { RejectReason } from '../core/dead-letters.ts'
import type { Codecs } from '../core/wire/codecs.ts'
import type { Alert } from '../core/wire/records.ts'
import type { KafkaConnection } from '../platform/kafka/kafka-connection.ts'
import { follow, type CommittedMessages } from '../platform/kafka/committed-reader.ts'
import { topicName } from '../platform/kafka/topics.ts'
import type { AlertsTelemetry } from '../platform/metrics/alerts-telemetry.ts'

export interface TailOptions extends KafkaConnection {
  readonly topicPrefix: string
  readonly codecs: Pick<Codecs, 'alert'>
  readonly startAt: 'beginning' | 'now'
  readonly clock: Clock
  readonly telemetry: AlertsTelemetry
  /** Called once the subscriber's position is fixed: from then on no alert is missed. */
  readonly onReady?: () => void
  readonly onNotRead?: (message: UnreadMessage) => void
}

/** An alert and the context of its message. */
export interface ReceivedAlert {
  readonly alert: Alert
  readonly partition: number
  readonly offset: number
  readonly receivedAtMs: number
}

/** A message of the topic that this version cannot read as an alert. */
export interface UnreadMessage {
  readonly partition: number
  readonly offset: number
  readonly reason: RejectReason
  readonly field: string | null
}

/**
 * Follows the alerts topic until the signal is aborted. `onAlert` is called for one alert at a time, and its promise is
 * awaited. @throws SluiceError SLUICE_BROKER_UNAVAILABLE or SLUICE_TOPICS_INVALID, or errors of `onAlert`.
 */
export async function tailAlerts(
  options: TailOptions,
  onAlert: (received: ReceivedAlert) => void | Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const { telemetry } = options
  const reader = {
    brokers: options.brokers,
    security: options.security,
    name: 'sluice-alerts-tail',
    topics: [topicName(options.topicPrefix, 'alerts')],
    startAt: options.startAt,
  }
  try {
    await follow(
      reader,
      (batch) => receive(batch, options, onAlert, signal),
      signal,
      () => {
        telemetry.following(true)
        options.onReady?.()
      },
    )
  } finally {
    telemetry.following(false)
  }
}

async function receive(
  { partition, messages }: CommittedMessages,
  options: TailOptions,
  onAlert: (received: ReceivedAlert) => void | Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const receivedAtMs = options.clock.nowMs()
  for (const { value, offset: offsetText } of messages) {
    if (signal.aborted) return
    const offset = Number(offsetText)
    const decoded = options.codecs.alert.decode(value)
    if (!decoded.ok) {
      options.telemetry.alertNotRead(decoded.reason)
      const { reason, field } = decoded
      options.onNotRead?.({ partition, offset, reason, field })
      continue
    }
    const alert = decoded.value
    options.telemetry.alertSeen(alert.action, receivedAtMs - alert.source.timestampMs)
    await onAlert({ alert, partition, offset, receivedAtMs })
  }
}
