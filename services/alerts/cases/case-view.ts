// A case as programs see it: `GET /queue` and `sluice queue --json`.

import type { Case } from '../../core/cases.ts'

/** Alerts that are listed of one case; the count tells how many there are. */
const ALERTS_LISTED_MAX = 100

/** The case without what only the scorer needs. */
export function caseView({ alerts, ...rest }: Case) {
  return {
    ...rest,
    alertCount: alerts.length,
    alerts: alerts.slice(0, ALERTS_LISTED_MAX).map(({ alert, expectedLossMinor, priority }) => ({
      alertId: alert.alertId,
      transactionId: alert.transactionId,
      action: alert.action,
      card: alert.card,
      terminal: alert.terminal,
      merchant: alert.merchant,
      eventTimeMs: alert.eventTimeMs,
      amountMinor: alert.amountMinor,
      currency: alert.currency,
      score: alert.score,
      expectedLossMinor,
      priority,
      reason: alert.reasons[0]?.text ?? null,
    })),
  }
}
