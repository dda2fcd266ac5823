// Values with their units, as people read them: 12 ms, 3.4 MiB, 99.2 %, 210 /s, € 1.2 k.

/** How values of one magnitude are written: divided, then with these letters around. */
export interface UnitScale {
  readonly divisor: number
  readonly before: string
  readonly after: string
}

type Steps = readonly (readonly [from: number, divisor: number, after: string])[]

const THOUSANDS: Steps = [
  [1e9, 1e9, ' G'],
  [1e6, 1e6, ' M'],
  [1e4, 1e3, ' k'],
  [0, 1, ''],
]
const STEPS: Readonly<Record<string, Steps>> = {
  s: [
    [2 * 86_400, 86_400, ' d'],
    [2 * 3_600, 3_600, ' h'],
    [120, 60, ' min'],
    [1, 1, ' s'],
    [0.001, 0.001, ' ms'],
    [0, 0.000_001, ' µs'],
  ],
  bytes: [
    [1024 ** 3, 1024 ** 3, ' GiB'],
    [1024 ** 2, 1024 ** 2, ' MiB'],
    [1024, 1024, ' KiB'],
    [0, 1, ' B'],
  ],
  percentunit: [[0, 0.01, ' %']],
  none: [[0, 1, '']],
}
const BEFORE: Readonly<Record<string, string>> = { currencyEUR: '€ ' }
const AFTER: Readonly<Record<string, string>> = { eps: ' /s', mps: ' /s', cps: ' /s' }

/** The scale that suits values up to `magnitude`. Units that are not known are written as plain numbers. */
export function unitScale(unit: string, magnitude: number): UnitScale {
  const steps = STEPS[unit] ?? THOUSANDS
  const size = Math.abs(magnitude)
  const isNothing = size === 0 || !Number.isFinite(size)
  // Zero has no magnitude; it is written in the plain unit.
  const step = isNothing
    ? steps.find(([, divisor]) => divisor <= 1)
    : steps.find(([from]) => size >= from)
  const [, divisor, after] = step ?? [0, 1, '']
  return { divisor, before: BEFORE[unit] ?? '', after: `${after}${AFTER[unit] ?? ''}` }
}

/** A value in the scale that suits it, with three significant digits or so, or with the decimals given. */
export function formatValue(value: number, unit: string, decimals: number | null = null): string {
  if (Number.isNaN(value)) return '–'
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '-∞'
  const scale = unitScale(unit, value)
  return formatInScale(value, scale, decimals ?? usefulDecimals(value / scale.divisor))
}

/** A value in a given scale, with exactly these decimals; for ticks, which belong together. */
export function formatInScale(value: number, scale: UnitScale, decimals: number): string {
  const text = (value / scale.divisor).toFixed(decimals)
  // -0.0 is zero, too.
  return `${scale.before}${/^-0\.?0*$/.test(text) ? text.slice(1) : text}${scale.after}`
}

function usefulDecimals(value: number): number {
  const size = Math.abs(value)
  if (size >= 100 || Number.isInteger(value)) return 0
  return size >= 10 ? 1 : 2
}
