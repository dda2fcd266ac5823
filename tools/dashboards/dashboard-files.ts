// The committed JSON of the dashboards: what it must be, and where it lies.

import { join } from 'node:path'
import { DASHBOARDS } from './definitions/index.ts'

export const DASHBOARDS_FOLDER = join(import.meta.dirname, '../../infra/grafana/dashboards')

/** File name to text for every dashboard. The same dashboards give the same bytes: keys are sorted. */
export function dashboardFiles(): ReadonlyMap<string, string> {
  return new Map(
    DASHBOARDS.map(({ name, dashboard }) => [
      `${name}.json`,
      // Through JSON first: the builders leave functions and undefined in their objects.
      `${JSON.stringify(sorted(JSON.parse(JSON.stringify(dashboard)) as unknown), null, 2)}\n`,
    ]),
  )
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (value === null || typeof value !== 'object') return value
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([key, entry]) => [key, sorted(entry)]))
}
