// Alert rules with all their times shortened by one factor, so that a demo or a test need not wait as long as
// an operator would. Expressions stay the same otherwise.

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}
/** A rate needs several scrapes in its range. */
const RANGE_MS_MIN = 5_000

const DURATION = /^(\d+)(ms|s|m|h|d|w)$/
/** `for: 5m`, `keep_firing_for: 5m` as lines; `[5m]` and `offset 1h` in expressions. */
const TIMES = /(\b(?:for|keep_firing_for): |\boffset |\[)(\d+(?:ms|s|m|h|d|w))\b/g

/** The rule file's text with every waiting time, range and offset divided by `factor`. */
export function shortenRules(text: string, factor: number): string {
  return text.replaceAll(TIMES, (_, before: string, duration: string) => {
    const scaledMs = Math.round(durationMs(duration) / factor)
    const ms = before === '[' ? Math.max(RANGE_MS_MIN, scaledMs) : scaledMs
    return `${before}${ms}ms`
  })
}

function durationMs(text: string): number {
  const [, amount = '0', unit = 's'] = DURATION.exec(text) ?? []
  return Number(amount) * (UNIT_MS[unit] ?? 1_000)
}
