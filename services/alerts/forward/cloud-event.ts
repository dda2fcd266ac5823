// Alerts as CloudEvents 1.0 in structured JSON mode, and the filter of a target. Structured mode, because the signature
// covers the body: in binary mode the attributes are headers, which a proxy could change.

import type { Alert, AlertAction } from '../../core/wire/records.ts'

export const EVENT_CONTENT_TYPE = 'application/cloudevents+json; charset=utf-8'

/** Actions that are forwarded. */
export const FORWARDED_ACTIONS = ['flag', 'block', 'release'] as const
export type ForwardedAction = (typeof FORWARDED_ACTIONS)[number]

/** The event of an alert. */
export interface AlertEvent {
  /** Equal for every repeat of this revision of the alert. */
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

/** The event of an alert. The same alert always gives the same bytes. */
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

/** All conditions must hold; null matches everything. */
export interface AlertFilter {
  readonly actions: readonly ForwardedAction[]
  readonly scoreMin: number | null
  readonly segments: readonly string[] | null
  /**
   * By currency, in its minor units. Other currencies have no limit, since amounts of two currencies are never
   * compared.
   */
  readonly amountMinorMin: Readonly<Record<string, number>> | null
}

/**
 * True when the alert matches the target's filter. Score and amount never hold back a release, or its block would
 * remain at the target. An absent score does not count as a low one.
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
