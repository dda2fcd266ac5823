// Which alerts a target gets.

import type { Alert } from '../../core/wire/records.ts'
import { isForwarded, type ForwardedAction } from './cloud-event.ts'

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
