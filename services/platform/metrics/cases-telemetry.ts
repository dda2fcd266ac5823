// One function per event of the queue and the labels; here it becomes metrics. Labels come from closed lists only.

import type { Registry } from 'prom-client'
import { PRIORITIES, type Priority } from '../../core/cases.ts'
import { NAMED_FINDINGS, type NamedFinding } from '../../core/dispositions.ts'
import { PROBLEM_CODES, type ProblemCode } from '../http/problem.ts'
import { createProcessMetrics, type MetricDefinition } from './process-metrics.ts'

export interface CasesTelemetry {
  readonly registry: Registry
  readonly definitions: readonly MetricDefinition[]
  findingSaid(finding: NamedFinding, isNew: boolean): void
  answered(problem: ProblemCode | null): void
  stood(standing: CasesStatus): void
}

export interface CasesStatus {
  /** Open cases by priority. */
  readonly cases: ReadonlyMap<Priority, number>
  readonly openAlerts: number
  /** Sum over the open alerts, minor units of the reference currency. */
  readonly expectedLossMinor: number
  readonly isFollowing: boolean
}

const ANSWERS = ['answered', ...PROBLEM_CODES] as const

/** Metrics of one service of queue and labels. */
export function createCasesTelemetry(): CasesTelemetry {
  const make = createProcessMetrics()
  const findings = make.counter(
    'sluice_findings_total',
    'What people said about transactions, by finding; repeated ones wrote nothing.',
    { finding: NAMED_FINDINGS, said: ['new', 'repeated'] },
  )
  const requests = make.counter(
    'sluice_cases_requests_total',
    'HTTP requests, by problem; answered without one.',
    { result: ANSWERS },
  )
  const cases = make.gauge('sluice_cases_open', 'Open cases by priority; 1 is looked at first.', {
    priority: PRIORITIES.map(String),
  })
  const alerts = make.gauge('sluice_cases_open_alerts', 'Alerts in the open cases.')
  const loss = make.gauge(
    'sluice_cases_expected_loss_amount_reference',
    'Score times amount, summed over the open alerts.',
  )
  const following = make.gauge(
    'sluice_cases_following',
    '1 once the queue has read all there was, and follows the topics.',
  )
  return {
    registry: make.registry,
    definitions: make.definitions,
    findingSaid(finding, isNew) {
      findings.inc({ finding, said: isNew ? 'new' : 'repeated' })
    },
    answered(problem) {
      requests.inc({ result: problem ?? 'answered' })
    },
    stood(standing) {
      for (const priority of PRIORITIES)
        cases.set({ priority: String(priority) }, standing.cases.get(priority) ?? 0)
      alerts.set(standing.openAlerts)
      loss.set(standing.expectedLossMinor / 100)
      following.set(standing.isFollowing ? 1 : 0)
    },
  }
}
