// What an observed system does not run: the processes that act on alerts, and the writer of the lake. Their own tests
// read their metrics.

import { listMetrics, type MetricJob } from '../../services/platform/metrics/metric-names.ts'

/** In queries: receipts.test.ts and lake-service.test.ts in test/integration read these. */
export const OF_ABSENT_JOBS =
  /sluice_(time_to_block|decision_to_block|block_objective|receipts?_|blocks_|lake_)/

/** Nobody answers with receipts here. */
export const RECORDED_OF_RECEIPTS = /^job:sluice_block(s_late|_results):/
const JOBS_ABSENT: ReadonlySet<MetricJob> = new Set([
  'sluice-enforcer',
  'sluice-receipts',
  'sluice-cases',
  'sluice-lake',
])
const METRICS_ABSENT = listMetrics()
  .filter(({ job, isDefault }) => JOBS_ABSENT.has(job) && !isDefault)
  .map(({ name }) => name)

/** A metric, or a series of a histogram, of a process that does not run here. */
export function isOfAbsentJob(name: string): boolean {
  return METRICS_ABSENT.some((metric) => name === metric || name.startsWith(`${metric}_`))
}
