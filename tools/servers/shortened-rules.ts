// Divides all durations of a rule file, so that a fault in a demo or test raises within seconds an alert that takes
// minutes in production. Thresholds and expressions are unchanged.

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const
const DURATION = '(?:\\d+(?:ms|[smhdw]))+'

/** The divisor of durations, and the shortest range that still holds enough samples for a rate. */
export interface Shortening {
  readonly factor: number
  readonly rangeMsMin: number
}

/**
 * Divides every `for` and `interval`, every range (`[5m]`, `[1h:1m]`) and every `offset` of a rule file by the factor. Ranges do
 * not go below `rangeMsMin`, since a rate needs at least two scrapes: four scrape intervals are safe.
 */
export function shortenRules(text: string, { factor, rangeMsMin }: Shortening): string {
  const shorter = (duration: string): number => Math.round(durationMs(duration) / factor)
  const range = (duration: string): string => `${Math.max(rangeMsMin, shorter(duration))}ms`
  return text
    .replace(
      new RegExp(`^(\\s*(?:for|interval): )(${DURATION})$`, 'gm'),
      (_, key: string, duration: string) => `${key}${shorter(duration)}ms`,
    )
    .replace(
      new RegExp(`\\[(${DURATION})(?::(${DURATION}))?\\]`, 'g'),
      (_, whole: string, step: string | undefined) =>
        step === undefined
          ? `[${range(whole)}]`
          : `[${range(whole)}:${Math.max(1, shorter(step))}ms]`,
    )
    .replace(
      new RegExp(`\\boffset (${DURATION})`, 'g'),
      (_, duration: string) => `offset ${shorter(duration)}ms`,
    )
}

/** Milliseconds of a duration as Prometheus writes it, such as 1h30m. */
function durationMs(text: string): number {
  let sumMs = 0
  for (const [, amount, unit] of text.matchAll(/(\d+)(ms|[smhdw])/g)) {
    sumMs += Number(amount) * UNIT_MS[unit as keyof typeof UNIT_MS]
  }
  return sumMs
}
