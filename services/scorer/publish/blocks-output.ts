// Encodes the alerts and leases of a partition, with or without a micro-batch, and the offsets committed with them.

import type { CardLease } from '../../core/decision/leases.ts'
import {
  encodeMetadata,
  type CommitMetadata,
  type Frontier,
} from '../../core/stream/partition-progress.ts'
import type { Codecs } from '../../core/wire/codecs.ts'
import type { Alert } from '../../core/wire/records.ts'
import type { InputOffset, OutgoingMessage } from '../../platform/kafka/log-client.ts'

/**
 * Alerts in order, and one record per card whose lease has changed. Both are keyed by card. Their topics have as many
 * partitions as the input, so a card has the same partition in each. A lease has the headers of its alert.
 */
export function encodeBlocks(
  published: readonly Alert[],
  leases: ReadonlyMap<string, CardLease | null>,
  { alert: alertCodec, lease: leaseCodec }: Pick<Codecs, 'alert' | 'lease'>,
  place: { readonly partition: number; readonly topics: { alerts: string; leases: string } },
  headersOf: (alert: Alert) => Pick<OutgoingMessage, 'headers'>,
): { readonly alerts: readonly OutgoingMessage[]; readonly leases: readonly OutgoingMessage[] } {
  const { partition, topics } = place
  const written = new Map<Alert, OutgoingMessage & { readonly value: Buffer }>()
  for (const alert of published) {
    const value = alertCodec.encode(alert)
    const message = { topic: topics.alerts, partition, key: alert.card, value, ...headersOf(alert) }
    written.set(alert, message)
  }
  const records = [...leases].map(([card, lease]): OutgoingMessage => {
    const message = { topic: topics.leases, partition, key: card }
    // A tombstone.
    if (lease === null) return { ...message, value: null }
    const { alert, ...record } = lease
    const own = written.get(alert)
    const value = leaseCodec.encode({ ...record, alert: own?.value ?? alertCodec.encode(alert) })
    return { ...message, value, ...(own?.headers && { headers: own.headers }) }
  })
  return { alerts: [...written.values()], leases: records }
}

/**
 * The offsets to commit. The metadata of one holds the partition's position; that of the other holds the state of its
 * blocks.
 */
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
