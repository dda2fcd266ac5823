// Alerts as CloudEvents 1.0 in structured JSON mode, and the filter of a target. Structured, since a signature covers the
// body: in binary mode the attributes are headers, which a proxy could change.

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

/** Name in a list of segments for alerts that belong to none. */
export const NO_SEGMENT = 'none'

/** Every condition must hold; null holds always. */
export interface AlertFilter {
  readonly actions: readonly ForwardedAction[]
  readonly scoreMin: number | null
  readonly segments: readonly string[] | null
  /** By currency, in its minor units; other currencies are not limited, since amounts of two are never compared. */
  readonly amountMinorMin: Readonly<Record<string, number>> | null
}

/**
 * True when the target wants the alert. Score and amount do not keep back a release, or a block would stand at the
 * target whose release it never sees; nor does a score that is absent count as a low one.
 */
export function isWanted(alert: Alert, filter: AlertFilter): boolean {
  const { action, score, currency, amountMinor } = alert
  if (!isForwarded(action) || !filter.actions.includes(action)) return false
  const segment = alert.segment ?? NO_SEGMENT
  if (filter.segments !== null && !filter.segments.includes(segment)) return false
  if (action === 'release') return true
  if (filter.scoreMin !== null && score !== null && score < filter.scoreMin) return false
  const amountMin = filter.amountMinorMin?.[currency]
  return amountMin === undefined || amountMinor >= amountMin
}
