// Durations as people write them: 500ms, 45s, 30m, 12h, 7d.

const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** Milliseconds, or null when the text is no duration. */
export function parseDurationMs(text: string): number | null {
  const match = /^(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h|d)$/.exec(text)
  if (match === null) return null
  const unitMs = UNITS_MS[match[2] ?? ''] ?? 0
  return Math.round(Number(match[1]) * unitMs)
}
