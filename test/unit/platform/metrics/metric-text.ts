// Reads the text of /metrics, for tests.

import { seriesOf } from '../../../../services/cli/metrics-page.ts'

/** Value of the series whose labels are exactly these; undefined when there is none. */
export function sampleOf(
  text: string,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  return seriesOf(text, name).find(
    (sample) =>
      Object.keys(sample.labels).length === Object.keys(labels).length &&
      Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
  )?.value
}
