// Colours of series in charts.

/**
 * Colours for series that have none of their own; told apart by lightness too, and readable on light and dark.
 * Red comes last, since elsewhere it means bad. From the ninth series on they repeat, dashed.
 */
const PALETTE = [
  '#3b82c4',
  '#d98200',
  '#0e9f78',
  '#b65fa8',
  '#4fb0d8',
  '#8a7d00',
  '#7a7f87',
  '#c0392b',
] as const

/** The look of the series at this place among those without a colour of their own. */
export function seriesStyle(place: number): { readonly color: string; readonly isDashed: boolean } {
  return { color: PALETTE[place % PALETTE.length] ?? 'gray', isDashed: place >= PALETTE.length }
}
