// Alerts as CloudEvents 1.0 in structured JSON mode. Structured, since a signature covers the body: in binary mode the
// attributes are headers, which anybody on the way could change.

import type { Alert, AlertAction } from '../../core/wire/records.ts'

export const EVENT_CONTENT_TYPE = 'application/cloudevents+json; charset=utf-8'

/** Actions that are forwarded. */
export const FORWARDED_ACTIONS = ['flag', 'block', 'release'] as const
export type ForwardedAction = (typeof FORWARDED_ACTIONS)[number]

/** An alert as it goes out. */
export interface AlertEvent {
  /** The same for every repeat of this revision of the alert. */
  readonly id: string
  readonly body: string
}

/** True for actions that this version can forward; later versions may have more. */
export function isForwarded(action: AlertAction): action is ForwardedAction {
  return FORWARDED_ACTIONS.some((forwarded) => forwarded === action)
}

/** Stable id of one revision of an alert. */
export function eventIdOf({ alertId, revision }: Pick<Alert, 'alertId' | 'revision'>): string {
  return `${alertId}.${revision}`
}

/** The event of an alert. The same alert gives the same bytes, whoever sends it and however often. */
export function alertEvent(alert: Alert): AlertEvent {
  const id = eventIdOf(alert)
  const event = {
    specversion: '1.0',
    id,
    source: `/sluice/${encodeURIComponent(alert.source.streamId)}`,
    type: `dev.sluice.alert.${alert.action}.v1`,
    subject: alert.card,
    time: new Date(alert.decidedAtMs).toISOString(),
    datacontenttype: 'application/json',
    data: alert,
  }
  return { id, body: JSON.stringify(event) }
}
