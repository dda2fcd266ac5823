// One function per event of an enforcer; here it becomes metrics. Labels come from closed lists only.

import type { Registry } from 'prom-client'
import { NOT_APPLIED, type Enforced } from '../../core/active-blocks.ts'
import { REJECT_REASONS, type RejectReason } from '../../core/reject-reasons.ts'
import { RECEIPT_STATUSES } from '../../core/wire/records.ts'
import { PROBLEM_CODES, type ProblemCode } from '../http/problem.ts'
import { createProcessMetrics, type MetricDefinition } from './process-metrics.ts'

export interface EnforcerTelemetry {
  readonly registry: Registry
  readonly definitions: readonly MetricDefinition[]
  /** An alert was put in force, or not, and its receipt is in the topic. */
  receiptWritten(enforced: Enforced): void
  alertNotRead(reason: RejectReason): void
  authorised(isRefused: boolean): void
  answered(problem: ProblemCode | null): void
  stood(standing: { readonly activeBlocks: number; readonly isReady: boolean }): void
}

const ANSWERS = ['answered', ...PROBLEM_CODES] as const

/** Metrics of one enforcer. */
export function createEnforcerTelemetry(): EnforcerTelemetry {
  const make = createProcessMetrics()
  const receipts = make.counter(
    'sluice_enforcer_receipts_total',
    'Receipts written for blocks and releases, by what they say.',
    { status: RECEIPT_STATUSES.filter((status) => status !== 'unknown') },
  )
  const notApplied = make.counter(
    'sluice_enforcer_not_applied_total',
    'Blocks and releases that were refused or came too late, by reason.',
    { reason: NOT_APPLIED },
  )
  const notRead = make.counter(
    'sluice_enforcer_alerts_not_read_total',
    'Messages that are no alert this version can read.',
    { reason: REJECT_REASONS },
  )
  const authorisations = make.counter(
    'sluice_enforcer_authorisations_total',
    'Payments that were asked about, by answer.',
    { answer: ['allowed', 'refused'] },
  )
  const requests = make.counter(
    'sluice_enforcer_requests_total',
    'HTTP requests, by problem; answered without one.',
    { result: ANSWERS },
  )
  const live = make.gauge('sluice_enforcer_active_blocks', 'Blocks in force now.')
  const ready = make.gauge(
    'sluice_enforcer_ready',
    '1 once the blocks are rebuilt from the log and payments are answered.',
  )
  return {
    registry: make.registry,
    definitions: make.definitions,
    receiptWritten({ status, reason }) {
      receipts.inc({ status })
      if (reason !== null) notApplied.inc({ reason })
    },
    alertNotRead(reason) {
      notRead.inc({ reason })
    },
    authorised(isRefused) {
      authorisations.inc({ answer: isRefused ? 'refused' : 'allowed' })
    },
    answered(problem) {
      requests.inc({ result: problem ?? 'answered' })
    },
    stood({ activeBlocks, isReady }) {
      live.set(activeBlocks)
      ready.set(isReady ? 1 : 0)
    },
  }
}
