// Times of rates: a day, which begins at midnight UTC, or an instant in UTC.

const DAY = /^\d{4}-\d{2}-\d{2}$/
const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{3})?Z$/
const MIDNIGHT = 'T00:00:00.000Z'

/** Milliseconds of `2026-01-31` or `2026-01-31T16:00:00Z`; null for any other text. */
export function parseInstant(text: string): number | null {
  if (!DAY.test(text) && !INSTANT.test(text)) return null
  const timeMs = Date.parse(text)
  // A day such as 2026-02-30 is not moved into the next month.
  return Number.isNaN(timeMs) || !new Date(timeMs).toISOString().startsWith(text.slice(0, 10))
    ? null
    : timeMs
}

/** The shortest text that `parseInstant` reads as this time. */
export function instantText(timeMs: number): string {
  const text = new Date(timeMs).toISOString()
  return text.endsWith(MIDNIGHT) ? text.slice(0, 10) : text.replace('.000Z', 'Z')
}
