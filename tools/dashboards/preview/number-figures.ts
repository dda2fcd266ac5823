// Panels that show what holds now: one number, bars, a table.

import type { PanelModel } from './dashboard-model.ts'
import { coordinate, escapeHtml, safeColour } from '../../../services/cli/charts/html.ts'
import type { PanelData, TargetData } from './panel-data.ts'
import { styledSeries, thresholdColour } from './series-style.ts'
import { formatValue } from '../../../services/cli/charts/units.ts'

/** One big number as HTML; null when there is none. */
export function statFigure({ panel, targets }: PanelData): string | null {
  const value = styledSeries(panel, targets)[0]?.points.at(-1)?.[1]
  if (value === undefined || Number.isNaN(value)) return null
  const text = panel.words.get(`${value}`) ?? formatValue(value, panel.unit, panel.decimals)
  const color = thresholdColour(panel, value) ?? 'gray'
  return `<p class="big" style="--c:${safeColour(color)}">${escapeHtml(text)}</p>`
}

/** Horizontal bars as HTML, the longest of each query first; null when there are none. */
export function barsFigure({ panel, targets }: PanelData): string | null {
  const rows = targets.flatMap((target) =>
    styledSeries(panel, [target])
      .map(({ name, points }) => ({ name, value: points.at(-1)?.[1] ?? Number.NaN }))
      .filter(({ value }) => Number.isFinite(value))
      .sort((a, b) => b.value - a.value),
  )
  if (rows.length === 0) return null
  const most = Math.max(...rows.map(({ value }) => value))
  const bars = rows.map(({ name, value }) => {
    const share = coordinate(most > 0 ? (100 * Math.max(0, value)) / most : 0)
    const color = safeColour(thresholdColour(panel, value) ?? 'gray')
    return `<li><span>${escapeHtml(name)}</span><i style="--c:${color};width:${share}%"></i><b>${escapeHtml(formatValue(value, panel.unit, panel.decimals))}</b></li>`
  })
  return `<ul class="ranking">${bars.join('')}</ul>`
}

/** A table as HTML; null when no query has a row. */
export function tableFigure({ panel, targets }: PanelData): string | null {
  const rows = mergedRows(targets)
  if (rows.length === 0) return null
  const head = panel.columns.map(([, heading]) => `<th>${escapeHtml(heading)}</th>`).join('')
  const body = rows.map((row) => {
    const cells = panel.columns.map(([name, heading]) => cell(panel, row.get(name), heading))
    return `<tr>${cells.join('')}</tr>`
  })
  return `<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>${body.join('')}</tbody></table></div>`
}

function cell(panel: PanelModel, value: string | number | undefined, heading: string): string {
  if (typeof value !== 'number') return `<td>${escapeHtml(value ?? '–')}</td>`
  const unit = panel.overrides.findLast(
    ({ matches, unit }) => unit !== null && matches(heading),
  )?.unit
  return `<td class="number">${escapeHtml(formatValue(value, unit ?? panel.unit, panel.decimals))}</td>`
}

type TableRow = Map<string, string | number>

/** Rows of several queries that agree in all labels that they share become one, as Grafana merges tables. */
export function mergedRows(targets: readonly TargetData[]): readonly TableRow[] {
  const tables = targets
    .filter(({ series }) => series.length > 0)
    .map(({ target, series }) =>
      series.map(({ labels, points }): TableRow => {
        const column = targets.length === 1 ? 'Value' : `Value #${target.refId}`
        return new Map<string, string | number>([
          ...Object.entries(labels),
          [column, points.at(-1)?.[1] ?? Number.NaN],
        ])
      }),
    )
  const shared = [...(tables[0]?.[0]?.keys() ?? [])].filter((name) =>
    tables.every((rows) => rows.every((row) => row.has(name))),
  )
  const merged: TableRow[] = []
  for (const rows of tables) {
    for (const row of rows) {
      const fits = (other: TableRow): boolean =>
        shared.every((name) => other.get(name) === row.get(name)) &&
        [...row.keys()].every((name) => shared.includes(name) || !other.has(name))
      const partner = merged.find(fits)
      if (partner === undefined) merged.push(new Map(row))
      else for (const [name, value] of row) partner.set(name, value)
    }
  }
  return merged.sort((a, b) => sortKey(a, shared).localeCompare(sortKey(b, shared), 'en'))
}

function sortKey(row: TableRow, names: readonly string[]): string {
  return names.map((name) => `${row.get(name) ?? ''}`).join('\0')
}
