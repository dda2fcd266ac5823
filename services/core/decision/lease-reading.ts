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
    const decoded = this.#codecs.lease.decode(value)
    if (!decoded.ok) {
      this.#unreadable += 1
      return
    }
    const { alert: bytes, ...lease } = decoded.value
    const alert = bytes === null ? null : this.#codecs.alert.decode(bytes)
    if (alert?.ok === false) this.#unreadable += 1
    // Version 1 took a block back by a lease without length.
    if (lease.endMs <= lease.startMs) return
    this.#byCard.set(card, { ...lease, card, alert: alert?.ok === true ? alert.value : null })
  }

  get live(): readonly HeldLease[] {
    return [...this.#byCard.values()]
  }

  /** Records, or alerts in them, that cannot be read: their blocks end by the time in their alerts, unannounced. */
  get unreadable(): number {
    return this.#unreadable
  }
}
