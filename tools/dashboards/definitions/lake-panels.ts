// Panels of the dashboard "Stream" about the lake: whether its writer keeps up with the topics, what it writes, and whether
// its checks pass.

import * as units from '@grafana/grafana-foundation-sdk/units'
import { COLOURS } from './colours.ts'
import { lines } from './panels.ts'
import { nonZero, rate, sum } from './promql.ts'

/** From how far behind somebody is told. */
const LAKE_BEHIND_S = 900

export const lake = [
  lines({
    width: 8,
    title: 'Lake behind its topics',
    description:
      'Since the oldest message that no file of the lake has was sent, by table; the worst partition counts. Up to the ' +
      'time between two flushes (a minute) is good. One that climbs: the writer is away, too slow, or a batch fails ' +
      'its checks. The dashed line is where an alert is raised.',
    unit: units.Seconds,
    limits: [LAKE_BEHIND_S],
    queries: [{ expr: 'max by (table) (sluice_lake_lag_seconds)', legend: '{{table}}' }],
  }),
  lines({
    width: 8,
    title: 'Written to the lake',
    description:
      'Rows per second that were written and committed, by table. It comes in steps, one a flush. Nothing while there ' +
      'is traffic: see whether the writer follows, and what is behind.',
    unit: units.EventsPerSecond,
    isStacked: true,
    queries: [{ expr: sum(rate('sluice_lake_rows_total'), ['table']), legend: '{{table}}' }],
  }),
  lines({
    width: 8,
    title: 'Failed checks of the lake',
    description:
      'Checks per second that failed and kept a batch out, by check; "none" at zero is the only good picture, and ' +
      'nothing at all means that no writer runs. The batch is taken from the topics again; docs/lake.md has what ' +
      'each check looks at.',
    unit: units.Short,
    colours: { none: COLOURS.before },
    queries: [
      {
        expr: nonZero('check', rate('sluice_lake_checks_total{status="failed"}')),
        legend: '{{check}}',
      },
    ],
  }),
]

export const lakeFiles = [
  lines({
    width: 12,
    title: 'Newest file of the lake',
    description:
      'Since the newest file of each table was made. Labels and dead letters may be rare; transactions and decisions ' +
      'get a file a minute while there is traffic.',
    unit: units.Seconds,
    queries: [
      { expr: 'min by (table) (sluice_lake_newest_file_age_seconds)', legend: '{{table}}' },
    ],
  }),
  lines({
    width: 12,
    title: 'Files of the lake',
    description:
      'Files by table. They grow by a few a flush and fall when days are compacted; a steady rise wants ' +
      '--compact-every, or sluice lake compact from time to time.',
    unit: units.Short,
    queries: [{ expr: 'max by (table) (sluice_lake_files)', legend: '{{table}}' }],
  }),
]
