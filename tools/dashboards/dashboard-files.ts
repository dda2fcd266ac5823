// All dashboards, in the order in which people read them.

import { join } from 'node:path'
import { connections } from './definitions/connections.ts'
import type { DashboardDefinition } from './definitions/dashboard-definition.ts'
import { fraud } from './definitions/fraud.ts'
import { models } from './definitions/models.ts'
import { runtime } from './definitions/runtime.ts'
import { stateAndModels } from './definitions/state-and-models.ts'
import { stream } from './definitions/stream.ts'

export const DASHBOARDS: readonly DashboardDefinition[] = [
  fraud,
  stream,
  stateAndModels,
  models,
  connections,
  runtime,
]

// The committed JSON files of the dashboards: their folder and their expected content.

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
