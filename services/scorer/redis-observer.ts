// Asks Redis at intervals how much memory it has left, since a full Redis ends the state of every partition.

import type { Closable } from '../platform/lifecycle.ts'
import type { ScorerTelemetry } from '../platform/metrics/scorer-telemetry.ts'
import type { PartitionStore } from '../platform/redis/partition-store-contract.ts'

const INTERVAL_MS = 10_000

/** Begins at once and continues until closed. Commands time out within the interval, so none pile up. */
export function observeRedis(
  store: Pick<PartitionStore, 'readServerInfo'>,
  telemetry: Pick<ScorerTelemetry, 'redisObserved'>,
): Closable {
  const observe = async (): Promise<void> => {
    telemetry.redisObserved(await store.readServerInfo().catch(() => null))
  }
  void observe()
  const timer = setInterval(() => void observe(), INTERVAL_MS)
  return {
    close: () => {
      clearInterval(timer)
      return Promise.resolve()
    },
  }
}
