// One function per event of the receipts' watch; here it becomes metrics. Labels come from closed lists only.

import type { Registry } from 'prom-client'
import {
  BLOCK_RESULTS,
  RECEIPT_FAULTS,
  type BlockResult,
  type ReceiptFault,
} from '../../core/receipt-join.ts'
import { RECEIPT_STATUSES, type ReceiptStatus } from '../../core/wire/records.ts'
import { blockBucketsAround } from './buckets.ts'
import { createProcessMetrics, type MetricDefinition, type MetricMaker } from './process-metrics.ts'

export interface ReceiptsTelemetry {
  readonly registry: Registry
  readonly definitions: readonly MetricDefinition[]
  receiptCounted(action: ReceiptAction, status: ReceiptStatus): void
  /** A block was applied: from the record of its transaction, and from its decision. */
  blockApplied(sinceRecordMs: number, sinceDecisionMs: number): void
  receiptRepeated(): void
  receiptRefused(fault: ReceiptFault): void
  /** Receipts, or alerts, that this version cannot read. */
  receiptsUnreadable(count: number): void
  alertsNotRead(count: number): void
  blockJudged(result: BlockResult): void
  blockResent(): void
  blockLapsed(): void
  alertForgotten(): void
  stood(standing: ReceiptsStatus): void
}

export interface ReceiptsStatus {
  readonly waiting: number
  readonly overdue: number
  readonly alerts: number
  readonly isFollowing: boolean
}

const ACTIONS = ['block', 'release', 'flag'] as const
type ReceiptAction = (typeof ACTIONS)[number]

/** Metrics of one watch over the receipts. The objective is an edge of the buckets. */
export function createReceiptsTelemetry(objectiveMs: number): ReceiptsTelemetry {
  const make = createProcessMetrics()
  const receipts = make.counter(
    'sluice_receipts_total',
    'Receipts, each (alert, revision, subscriber) once, by what the alert asked for and what the receipt says.',
    { action: ACTIONS, status: RECEIPT_STATUSES.filter((status) => status !== 'unknown') },
  )
  const faults = make.counter(
    'sluice_receipt_faults_total',
    'Receipts that do not count and became dead letters, by what is wrong with them.',
    { fault: RECEIPT_FAULTS },
  )
  const repeated = make.counter(
    'sluice_receipts_repeated_total',
    'Receipts that said again what their subscriber had said; they do not count.',
  )
  const results = make.counter(
    'sluice_block_results_total',
    'Blocks by how they ended for the objective: applied in time or late, refused, too late, or without receipt.',
    { result: BLOCK_RESULTS },
  )
  make
    .gauge(
      'sluice_block_objective_seconds',
      'Within how long a block should be applied; 99 % should be.',
    )
    .set(objectiveMs / 1_000)
  return {
    registry: make.registry,
    definitions: make.definitions,
    ...blockMetrics(make, objectiveMs),
    ...statusMetrics(make),
    receiptCounted(action, status) {
      receipts.inc({ action, status })
    },
    receiptRepeated() {
      repeated.inc()
    },
    receiptRefused(fault) {
      faults.inc({ fault })
    },
    receiptsUnreadable(count) {
      faults.inc({ fault: 'unreadable' }, count)
    },
    blockJudged(result) {
      results.inc({ result })
    },
  }
}

function blockMetrics(
  make: MetricMaker,
  objectiveMs: number,
): Pick<
  ReceiptsTelemetry,
  'blockApplied' | 'alertsNotRead' | 'blockResent' | 'blockLapsed' | 'alertForgotten'
> {
  const sinceRecord = make.histogram(
    'sluice_time_to_block_seconds',
    'From the record of the transaction to the moment at which a subscriber applied its block.',
    blockBucketsAround(objectiveMs),
  )
  const sinceDecision = make.histogram(
    'sluice_decision_to_block_seconds',
    'From the decision to the moment at which a subscriber applied its block.',
    blockBucketsAround(objectiveMs),
  )
  const notRead = make.counter(
    'sluice_receipts_alerts_not_read_total',
    'Messages that are no alert this version can read; their blocks are watched by nobody.',
  )
  const resent = make.counter(
    'sluice_blocks_resent_total',
    'Blocks and releases that were sent again.',
  )
  const lapsed = make.counter(
    'sluice_blocks_lapsed_total',
    'Blocks and releases without receipt about which nothing more is done.',
  )
  const forgotten = make.counter(
    'sluice_receipts_alerts_forgotten_total',
    'Alerts that were forgotten before their time, since there was no room.',
  )
  return {
    blockApplied(sinceRecordMs, sinceDecisionMs) {
      sinceRecord.observe(sinceRecordMs / 1_000)
      sinceDecision.observe(sinceDecisionMs / 1_000)
    },
    alertsNotRead(count) {
      notRead.inc(count)
    },
    blockResent() {
      resent.inc()
    },
    blockLapsed() {
      lapsed.inc()
    },
    alertForgotten() {
      forgotten.inc()
    },
  }
}

function statusMetrics(make: MetricMaker): Pick<ReceiptsTelemetry, 'stood'> {
  const waiting = make.gauge(
    'sluice_blocks_waiting',
    'Blocks and releases that wait for a receipt.',
  )
  const overdue = make.gauge(
    'sluice_blocks_without_receipt',
    'Of those, the ones that have waited longer than they may.',
  )
  const alerts = make.gauge(
    'sluice_receipts_alerts',
    'Alerts that are remembered for their receipts.',
  )
  const following = make.gauge(
    'sluice_receipts_following',
    '1 once the watch has read all there was, and follows the topics.',
  )
  return {
    stood(standing) {
      waiting.set(standing.waiting)
      overdue.set(standing.overdue)
      alerts.set(standing.alerts)
      following.set(standing.isFollowing ? 1 : 0)
    },
  }
}
