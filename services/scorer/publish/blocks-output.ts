// Alerts and leases of a partition as they are written, with or without a micro-batch, and the offsets beside them.

import type { HeldLease } from '../../core/decision/leases.ts'
import {
  encodeMetadata,
  type CommitMetadata,
  type Frontier,
} from '../../core/stream/partition-progress.ts'
import type { Codecs } from '../../core/wire/codecs.ts'
import type { Alert } from '../../core/wire/records.ts'
import type { InputOffset } from '../../platform/kafka/transaction-offsets.ts'

export interface OutputMessage {
  readonly key: string
  /** Null is a tombstone. */
  readonly value: Buffer | null
  readonly partition?: number
  readonly headers?: Record<string, string>
}

/**
 * Alerts in their order, and one record per card whose lease has changed. Both are keyed by card; their topics have as
 * many partitions as the input, so a card's are here. A lease has the headers of its alert.
 */
export function encodeBlocks(
  published: readonly Alert[],
  leases: ReadonlyMap<string, HeldLease | null>,
  partition: number,
  { alert: alertCodec, lease: leaseCodec }: Pick<Codecs, 'alert' | 'lease'>,
  headersOf: (alert: Alert) => Pick<OutputMessage, 'headers'>,
): { readonly alerts: OutputMessage[]; readonly leases: OutputMessage[] } {
  const written = new Map<Alert, OutputMessage & { readonly value: Buffer }>()
  for (const alert of published) {
    const value = alertCodec.encode(alert)
    written.set(alert, { key: alert.card, value, partition, ...headersOf(alert) })
  }
  const records = [...leases].map(([card, lease]): OutputMessage => {
    if (lease === null) return { key: card, value: null, partition }
    const { alert, ...record } = lease
    const own = written.get(alert)
    const value = leaseCodec.encode({ ...record, alert: own?.value ?? alertCodec.encode(alert) })
    return { key: card, value, partition, ...(own?.headers && { headers: own.headers }) }
  })
  return { alerts: [...written.values()], leases: records }
}

/** What is committed: where the partition stands beside one offset, what it remembers of its blocks beside the other. */
export function offsetsOf(
  partition: number,
  topics: { readonly transactions: string; readonly labels: string },
  { nextOffset, labelNextOffset }: Frontier,
  place: CommitMetadata,
  kept: string | null,
): readonly InputOffset[] {
  const metadata = encodeMetadata(place)
  return [
    { topic: topics.transactions, partition, offset: nextOffset, metadata },
    { topic: topics.labels, partition, offset: labelNextOffset, metadata: kept },
  ]
}
