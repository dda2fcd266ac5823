// Reads the text of /metrics, for tests.

/** Value of the series whose labels are exactly these; undefined when there is none. */
export function sampleOf(
  text: string,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  return samplesOf(text, name).find(
    (sample) =>
      Object.keys(sample.labels).length === Object.keys(labels).length &&
      Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
  )?.value
}

/** All series of one name. */
export function samplesOf(
  text: string,
  name: string,
): readonly { readonly labels: Readonly<Record<string, string>>; readonly value: number }[] {
  return text.split('\n').flatMap((line) => {
    const found = /^([a-z_0-9]+)(?:\{(.*)\})? (\S+)$/.exec(line)
    if (found?.[1] !== name) return []
    const pairs = [...(found[2] ?? '').matchAll(/(\w+)="([^"]*)"/g)]
    const labels = Object.fromEntries(pairs.map(([, label = '', value = '']) => [label, value]))
    return [{ labels, value: Number(found[3]) }]
  })
}
