// Figures as the demo prints them.

/** Seconds with one digit, for people. */
export function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`
}

/** A latency for people. */
export function milliseconds(value: number | null): string {
  return value === null ? 'none' : `${count(value)} ms`
}

/** A count for people. */
export function count(value: number): string {
  return value.toLocaleString('en-US')
}
