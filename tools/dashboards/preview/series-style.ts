// How the series of a panel are named and coloured.

import { seriesStyle } from '../../../services/cli/charts/palette.ts'
import type { PanelModel } from './dashboard-model.ts'
import { fillLegend, type TargetData } from './panel-data.ts'
import type { Point } from '../../servers/prometheus-api.ts'

export interface StyledSeries {
  readonly name: string
  readonly points: readonly Point[]
  readonly color: string
  readonly isDashed: boolean
  readonly unit: string
}

/** Names, colours and units of all series of a panel, in order of targets and then of names. */
export function styledSeries(
  panel: PanelModel,
  targets: readonly TargetData[],
): readonly StyledSeries[] {
  const named = targets.flatMap(({ target, series }) =>
    series
      .map(({ labels, points }) => ({ name: nameOf(target.legend, labels), points }))
      // As people count: partition 2 before partition 10.
      .sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true })),
  )
  let next = 0
  return named.map(({ name, points }) => {
    const fitting = panel.overrides.filter(({ matches }) => matches(name))
    const own = fitting.findLast(({ color }) => color !== null)?.color ?? null
    const place = own === null ? next++ : 0
    return {
      name,
      points,
      color: own ?? seriesStyle(place).color,
      isDashed: seriesStyle(place).isDashed || fitting.some(({ isDashed }) => isDashed),
      unit: fitting.findLast(({ unit }) => unit !== null)?.unit ?? panel.unit,
    }
  })
}

function nameOf(legend: string, labels: Readonly<Record<string, string>>): string {
  if (legend !== '') return fillLegend(legend, labels)
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')
}

/** Colour of the highest step that the value reaches; null when it reaches none. */
export function thresholdColour(panel: PanelModel, value: number): string | null {
  const reached = panel.thresholds.filter((step) => step.value === null || value >= step.value)
  return reached.at(-1)?.color ?? null
}
