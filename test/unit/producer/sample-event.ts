// Minimal events for tests.

import type { StreamEvent } from '../../../services/producer/index.ts'

/** A transaction at this time. */
export function transactionAt(eventTimeMs: number, id = `tx-${eventTimeMs}`): StreamEvent {
  return {
    kind: 'transaction',
    fraudPattern: null,
    transaction: {
      id,
      card: 'card-1',
      eventTimeMs,
      amountMinor: 100,
      currency: 'EUR',
      merchant: null,
      merchantCategory: null,
      terminal: null,
      country: null,
      latitude: null,
      longitude: null,
      utcOffsetMinutes: null,
      device: null,
      ipNetwork: null,
      channel: null,
      entryMode: null,
      authorisation: null,
      intentId: null,
      attributes: null,
    },
  }
}

/** A label known at this time. */
export function labelAt(knownAtMs: number): StreamEvent {
  return {
    kind: 'label',
    label: {
      transactionId: 'tx-1',
      card: 'card-1',
      eventTimeMs: 0,
      knownAtMs,
      verdict: 'fraud',
      source: 'replay',
      merchant: null,
      terminal: null,
      device: null,
      ipNetwork: null,
    },
  }
}
