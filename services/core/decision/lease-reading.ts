// From the messages of a lease topic to the leases that are live.

import type { Codecs } from '../wire/codecs.ts'
import type { HeldLease } from './leases.ts'

/** Takes messages in the order of the log; the last one of each card counts. */
export class LeaseReading {
  readonly #codecs: Pick<Codecs, 'alert' | 'lease'>
  readonly #byCard = new Map<string, HeldLease>()
  #unreadable = 0

  constructor(codecs: Pick<Codecs, 'alert' | 'lease'>) {
    this.#codecs = codecs
  }

  accept(key: Buffer | null, value: Buffer | null): void {
    const card = key?.toString() ?? ''
    this.#byCard.delete(card)
    if (value === null) return
    const lease = this.#codecs.lease.decode(value)
    const alert = lease.ok ? this.#codecs.alert.decode(lease.value.alert) : lease
    if (lease.ok && alert.ok) this.#byCard.set(card, { ...lease.value, card, alert: alert.value })
    else this.#unreadable += 1
  }

  get live(): readonly HeldLease[] {
    return [...this.#byCard.values()]
  }

  /** Records that cannot be read, or whose alert cannot: their blocks end by the time in their alerts, unannounced. */
  get unreadable(): number {
    return this.#unreadable
  }
}
