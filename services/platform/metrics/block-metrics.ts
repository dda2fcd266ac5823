// Leases and breakers of the partitions of one scorer.

import { BREAKER_CAPS, type BreakerCap } from '../../core/decision/breaker.ts'
import { ALERT_CAUSES, type AlertCause } from '../../core/wire/records.ts'
import type { MetricMaker } from './process-metrics.ts'

/** What one committed batch, or a turn between batches, has done to the blocks of a partition. */
export interface BlocksReport {
  readonly live: number
  readonly extended: number
  readonly released: ReadonlyMap<AlertCause, number>
  readonly trips: readonly BreakerCap[]
  readonly openBreakers: number
}

export interface BlockEvents {
  /** A partition has read what its leases are. */
  leasesRead(partition: number, live: number, unreadable: number): void
  blocksCommitted(partition: number, report: BlocksReport): void
  /** The partition is no longer ours: its series end. */
  blocksUnknown(partition: number): void
}

/** Makes the metrics of blocks. */
export function createBlockMetrics(make: MetricMaker): BlockEvents {
  const partition = { partition: 'partitions of this process' }
  const live = make.gauge(
    'sluice_leases_live',
    'Cards with an active block, by partition.',
    partition,
  )
  const extended = make.counter(
    'sluice_leases_extended_total',
    'Leases that new evidence has extended, or given a higher grade.',
  )
  const released = make.counter(
    'sluice_leases_released_total',
    'Leases that have ended, by cause.',
    {
      cause: ALERT_CAUSES,
    },
  )
  const open = make.gauge(
    'sluice_breakers_open',
    'Breakers of the partition that make flags of blocks until a person resets them.',
    partition,
  )
  const trips = make.counter(
    'sluice_breaker_trips_total',
    'Breakers that have tripped, by the cap that the next block would have exceeded.',
    { cap: BREAKER_CAPS },
  )
  const unreadable = make.counter(
    'sluice_leases_unreadable_total',
    'Records of the lease topic that could not be read at the start of a partition.',
  )
  return {
    leasesRead(partition, count, unreadableCount) {
      live.set({ partition }, count)
      if (unreadableCount > 0) unreadable.inc(unreadableCount)
    },
    blocksCommitted(partition, report) {
      live.set({ partition }, report.live)
      open.set({ partition }, report.openBreakers)
      if (report.extended > 0) extended.inc(report.extended)
      for (const [cause, count] of report.released) released.inc({ cause }, count)
      for (const cap of report.trips) trips.inc({ cap })
    },
    blocksUnknown(partition) {
      live.remove({ partition })
      open.remove({ partition })
    },
  }
}
