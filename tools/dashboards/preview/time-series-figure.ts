// A panel of lines or stacked areas over time.

import { linesFigure } from '../../../services/cli/charts/lines-figure.ts'
import type { MarkedMoment } from '../../../services/cli/charts/plot-frame.ts'
import { formatValue } from '../../../services/cli/charts/units.ts'
import type { TimeRange } from '../../../services/cli/charts/axes.ts'
import type { PanelData } from './panel-data.ts'
import { styledSeries } from './series-style.ts'

/** The figure and its legend as HTML; null when no series has a value. */
export function timeSeriesFigure(
  { panel, targets, stepS }: PanelData,
  range: TimeRange,
  moments: readonly MarkedMoment[],
  heightPx: number,
): string | null {
  const series = styledSeries(panel, targets).map((each) => ({
    ...each,
    valueText: (value: number) => formatValue(value, each.unit, panel.decimals),
  }))
  const limits = panel.thresholds.flatMap(({ value, color }) =>
    value === null ? [] : [{ value, color, text: formatValue(value, panel.unit) }],
  )
  const { title, isStacked, unit, max, softMax } = panel
  return linesFigure({
    ...{ title, series, isStacked, unit, max, softMax, range, stepS, moments, heightPx },
    limits: panel.showsThresholds ? limits : [],
  })
}
