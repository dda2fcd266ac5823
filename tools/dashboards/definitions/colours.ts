// Colours that mean something on the dashboards; everything else takes the palette of Grafana.
//
// Outcomes keep their colour everywhere. The hues differ in lightness as well, so that they can be told apart
// with every kind of colour blindness and on both themes; a test holds the distances.

export const COLOURS = {
  approve: '#009e73',
  flag: '#e69f00',
  block: '#c0392b',
  /** What was there before, for comparison. */
  before: '#8b949e',
  good: '#009e73',
  warning: '#e69f00',
  bad: '#c0392b',
  neutral: '#3b82c4',
} as const

/** Fixed colours by the label value that the series are named after. */
export const OUTCOME_COLOURS: Readonly<Record<string, string>> = {
  approve: COLOURS.approve,
  flag: COLOURS.flag,
  block: COLOURS.block,
}
