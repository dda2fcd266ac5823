// The alerts that an analyst still has to review: the newest revision of each, until it is released, its lease is over,
// a disposition or a label decides it, or it is too old. Bounded: the oldest are dropped first.

import type { Label } from './transaction.ts'
import type { Alert, Disposition } from './wire/records.ts'

export interface OpenAlertsOptions {
  /** Time that an alert stays open, from its decision on, ms. */
  readonly horizonMs: number
  readonly alertsMax: number
  /** Most transactions whose label or disposition is remembered. */
  readonly knownMax: number
}

/** Open alerts of one stream, from alerts, labels and dispositions in any order. */
export class OpenAlerts {
  readonly #options: OpenAlertsOptions
  /** By alert id, in order of arrival. */
  readonly #alerts = new Map<string, Alert>()
  readonly #byTransaction = new Map<string, string>()
  /** Transactions with a label or a disposition. */
  readonly #known = new Set<string>()
  #leftOut = 0

  constructor(options: OpenAlertsOptions) {
    this.#options = options
  }

  /** Alerts dropped for lack of room. */
  get leftOut(): number {
    return this.#leftOut
  }

  takeAlert(alert: Alert): void {
    const known = this.#alerts.get(alert.alertId)
    if (known !== undefined && known.revision >= alert.revision) return
    this.#alerts.set(alert.alertId, alert)
    this.#byTransaction.set(alert.transactionId, alert.alertId)
    if (this.#alerts.size <= this.#options.alertsMax) return
    const [oldest] = this.#alerts.values()
    if (oldest === undefined) return
    this.#forget(oldest)
    this.#leftOut += 1
  }

  takeLabel({ transactionId }: Label): void {
    this.#close(transactionId)
  }

  takeDisposition({ transactionId }: Disposition): void {
    this.#close(transactionId)
  }

  /** The alert with this id, or of this transaction; open or not, while it is remembered. */
  find(id: string): Alert | null {
    return this.#alerts.get(id) ?? this.#alerts.get(this.#byTransaction.get(id) ?? '') ?? null
  }

  /** Alerts that are open now. Removes those that are too old. */
  open(nowMs: number): readonly Alert[] {
    const open: Alert[] = []
    for (const alert of this.#alerts.values()) {
      if (alert.decidedAtMs + this.#options.horizonMs <= nowMs) this.#forget(alert)
      else if (this.#isOpen(alert, nowMs)) open.push(alert)
    }
    return open
  }

  #isOpen({ action, lease, transactionId }: Alert, nowMs: number): boolean {
    if (action !== 'flag' && action !== 'block') return false
    if (lease !== null && lease.endMs <= nowMs) return false
    return !this.#known.has(transactionId)
  }

  #close(transactionId: string): void {
    this.#known.add(transactionId)
    if (this.#known.size <= this.#options.knownMax) return
    const [oldest] = this.#known
    if (oldest !== undefined) this.#known.delete(oldest)
  }

  #forget({ alertId, transactionId }: Alert): void {
    this.#alerts.delete(alertId)
    if (this.#byTransaction.get(transactionId) === alertId)
      this.#byTransaction.delete(transactionId)
  }
}
