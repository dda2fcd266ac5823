// Dashboard "Runtime": the resources that the processes use, and the delay of their event loop.

import {
  QueryVariableBuilder,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard'
import * as units from '@grafana/grafana-foundation-sdk/units'
import { dashboard, type DashboardDefinition } from './dashboard-definition.ts'
import { DATASOURCE, lines, table, rate, sum } from './panels.ts'

const ALL = { text: 'All', value: '$__all' }
const CHOSEN = 'job=~"$job", instance=~"$instance"'
const PROCESS = '{{job}} {{instance}}'
/** Above this share of a core, one JavaScript thread starts to queue. */
const THREAD_BUSY = 0.9
const LOOP_DELAY_LIMIT_S = 0.05

function chosenBy(name: string, label: string, matcher: string): QueryVariableBuilder {
  return new QueryVariableBuilder(name)
    .label(label)
    .datasource(DATASOURCE)
    .query(`label_values(sluice_build_info${matcher}, ${name})`)
    .definition(`label_values(sluice_build_info${matcher}, ${name})`)
    .current(ALL)
    .includeAll(true)
    .allValue('.+')
    .multi(true)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.AlphabeticalAsc)
}

const work = [
  lines({
    width: 12,
    title: 'CPU',
    description:
      'CPU time per process; 100 % is one core. A scorer works on one JavaScript thread: near the dashed ' +
      'line (90 %) it queues and latency rises, so add a scorer, however many cores are idle.',
    unit: units.PercentUnit,
    limits: [THREAD_BUSY],
    queries: [
      {
        expr: sum(rate(`process_cpu_seconds_total{${CHOSEN}}`), ['job', 'instance']),
        legend: PROCESS,
      },
    ],
  }),
  lines({
    width: 12,
    title: 'Memory',
    description:
      'Resident memory per process, and its JavaScript heap (dashed). After some minutes both should stay flat. ' +
      'Resident that grows under a flat heap is native memory: tensors or buffers.',
    unit: units.BytesIEC,
    dashed: '/heap/',
    queries: [
      { expr: `process_resident_memory_bytes{${CHOSEN}}`, legend: PROCESS },
      { expr: `nodejs_heap_size_used_bytes{${CHOSEN}}`, legend: `${PROCESS} heap` },
    ],
  }),
]

const thread = [
  lines({
    width: 12,
    title: 'Event-loop delay (p99)',
    description:
      'Delay of due work on the JavaScript thread, 99th percentile since the last scrape. Above the dashed ' +
      'line (50 ms) the objective for alerts is at risk: large batches, long garbage collections, or a lack of CPU time.',
    unit: units.Seconds,
    limits: [LOOP_DELAY_LIMIT_S],
    queries: [{ expr: `nodejs_eventloop_lag_p99_seconds{${CHOSEN}}`, legend: PROCESS }],
  }),
  lines({
    width: 12,
    title: 'Garbage collection',
    description:
      'Share of time spent collecting garbage, by kind. minor is cheap and frequent. major above a few percent: the ' +
      'heap is near its limit, so check memory.',
    unit: units.PercentUnit,
    queries: [
      {
        expr: sum(rate(`nodejs_gc_duration_seconds_sum{${CHOSEN}}`), ['job', 'instance', 'kind']),
        legend: '{{job}} {{kind}}',
      },
    ],
  }),
]

const processes = [
  table({
    width: 24,
    title: 'Processes',
    description:
      'Every process of Sluice that Prometheus reaches, its version, and how long it has run. A process whose time ' +
      'keeps starting over is crashing; two versions at once are a rollout.',
    unit: units.NoUnit,
    columns: [
      ['job', 'job'],
      ['instance', 'instance'],
      ['version', 'version'],
      ['Value #B', 'running for'],
    ],
    units: { 'running for': units.Seconds },
    queries: [
      {
        expr: `max by (job, instance, version) (sluice_build_info{${CHOSEN}})`,
        legend: 'version',
      },
      {
        expr: `time() - max by (job, instance) (process_start_time_seconds{${CHOSEN}})`,
        legend: 'running for',
      },
    ],
  }),
]

export const runtime: DashboardDefinition = dashboard({
  name: 'runtime',
  title: 'Sluice: Runtime',
  description: 'Resources of the processes, and the delay of their event loop.',
  variables: [chosenBy('job', 'Job', ''), chosenBy('instance', 'Instance', '{job=~"$job"}')],
  rows: [
    { height: 8, panels: work },
    { height: 8, panels: thread },
    { height: 7, panels: processes },
  ],
})
