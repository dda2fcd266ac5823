// Panels and series for tests of the preview, with defaults for everything that a test does not set.

import type {
  Override,
  PanelModel,
  Target,
} from '../../../../../tools/dashboards/preview/dashboard-model.ts'
import type { PanelData } from '../../../../../tools/dashboards/preview/panel-data.ts'
import type { Point, Series } from '../../../../../tools/servers/prometheus-api.ts'

export function samplePanel(changes: Partial<PanelModel> = {}): PanelModel {
  return {
    id: 1,
    type: 'timeseries',
    title: 'Decisions',
    description: 'What it is. What to do.',
    place: { x: 0, y: 0, w: 12, h: 8 },
    targets: [sampleTarget()],
    unit: 'none',
    decimals: null,
    max: null,
    softMax: null,
    thresholds: [],
    showsThresholds: false,
    isStacked: false,
    words: new Map(),
    overrides: [],
    columns: [],
    exponent: 1,
    ...changes,
  }
}

export function sampleTarget(changes: Partial<Target> = {}): Target {
  return { refId: 'A', expr: 'up', legend: '{{name}}', isInstant: false, ...changes }
}

export function sampleOverride(changes: Partial<Override>): Override {
  return { matches: () => true, color: null, unit: null, isDashed: false, ...changes }
}

/** A series with the label `name`. */
export function sampleSeries(name: string, points: readonly Point[]): Series {
  return { labels: { name }, points }
}

/** One panel whose first target has these series, with one point every 10 s. */
export function sampleData(
  series: readonly Series[],
  changes: Partial<PanelModel> = {},
): PanelData {
  const panel = samplePanel(changes)
  const target = panel.targets[0] ?? sampleTarget()
  return { panel, targets: [{ target, series }], stepS: 10, problems: [] }
}
