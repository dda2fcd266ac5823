// Which alerts a person still has to look at: the newest revision of each, until it is taken back, its lease is over, a
// person or a label has said what it was, or it is too old. Bounded: of too many, the oldest go first.

import type { Label } from './transaction.ts'
import type { Alert, Disposition } from './wire/records.ts'

export interface OpenAlertsOptions {
  /** Time that an alert stays open, from its decision on, ms. */
  readonly horizonMs: number
  readonly alertsMax: number
  /** Transactions of which it is remembered what they were, at most. */
  readonly knownMax: number
}

/** Open alerts of one stream, from alerts, labels and dispositions in whatever order the topics give them. */
export class OpenAlerts {
  readonly #options: OpenAlertsOptions
  /** By alert id, in the order in which they came. */
  readonly #alerts = new Map<string, Alert>()
  readonly #byTransaction = new Map<string, string>()
  /** Transactions that were labelled or found about. */
  readonly #known = new Set<string>()
  #leftOut = 0

  constructor(options: OpenAlertsOptions) {
    this.#options = options
  }

  /** Alerts that were dropped since there was no room. */
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

  /** The alert with this id, or of this transaction; open or not, as long as it is remembered. */
  find(id: string): Alert | null {
    return this.#alerts.get(id) ?? this.#alerts.get(this.#byTransaction.get(id) ?? '') ?? null
  }

  /** Alerts that are open now. Forgets those that are too old. */
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
