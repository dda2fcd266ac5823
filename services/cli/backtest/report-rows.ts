// The comparison as rows of text: one row per figure, one column per policy. The table and the page share them.

import type { CardCount } from '../../core/backtest/tallies.ts'
import type { ShareInterval } from '../../core/scoring/wilson.ts'
import type { BacktestReport, ReportedPolicy } from './run-backtest.ts'
import { configuredRates } from '../../platform/config/rates-setting.ts'

interface ComparedRow {
  readonly title: string
  /** One for live, then one for each policy. */
  readonly cells: readonly string[]
}

/** Rows under one heading. */
interface ComparedGroup {
  readonly title: string
  readonly rows: readonly ComparedRow[]
}

/** Headings of the columns. */
export function columnNames({ live, policies }: BacktestReport): readonly string[] {
  return [live.name, ...policies.map(({ name }) => name)]
}

export function comparedGroups(report: BacktestReport): readonly ComparedGroup[] {
  const all = [report.live, ...report.policies]
  const row = (title: string, cell: (policy: ReportedPolicy) => string): ComparedRow => ({
    title,
    cells: all.map(cell),
  })
  return [
    {
      title: 'outcomes',
      rows: (['approve', 'flag', 'block'] as const).map((outcome) =>
        row(outcome, ({ outcomes }) => count(outcomes[outcome].count)),
      ),
    },
    { title: 'against live', rows: changeRows(report) },
    { title: 'alerts', rows: loadRows(report, row) },
    ...(report.live.labelled === null ? [] : labelledGroups(report, row)),
  ]
}

type MakeRow = (title: string, cell: (policy: ReportedPolicy) => string) => ComparedRow

function changeRows({ policies }: BacktestReport): readonly ComparedRow[] {
  const row = (
    title: string,
    cell: (policy: BacktestReport['policies'][number]) => string,
  ): ComparedRow => ({ title, cells: ['-', ...policies.map(cell)] })
  return [
    row('stricter', ({ changes }) => count(changes.stricter.count)),
    row('  of them fraud', ({ changes }) => count(changes.stricter.frauds)),
    row('milder', ({ changes }) => count(changes.milder.count)),
    row('  of them fraud', ({ changes }) => count(changes.milder.frauds)),
    ...(policies.some(({ trips }) => trips > 0)
      ? [row('breaker trips', ({ trips }) => count(trips))]
      : []),
  ]
}

function known(value: number | null): string {
  return value === null ? '-' : decimal(value)
}

function loadRows({ analysts }: BacktestReport, row: MakeRow): readonly ComparedRow[] {
  return [
    row('a day', ({ load }) => decimal(load.meanPerDay)),
    row('busiest day', ({ load }) =>
      load.maxDay === null ? '-' : `${count(load.maxPerDay)} (${dayText(load.maxDay)})`,
    ),
    ...(analysts === null
      ? []
      : [
          row('a day and analyst', ({ load }) => known(load.meanPerAnalystDay)),
          row('busiest day, an analyst', ({ load }) => known(load.maxPerAnalystDay)),
        ]),
  ]
}

function labelledGroups(_: BacktestReport, row: MakeRow): readonly ComparedGroup[] {
  const told =
    (tell: (labelled: NonNullable<ReportedPolicy['labelled']>) => string) =>
    ({ labelled }: ReportedPolicy): string =>
      labelled === null ? '-' : tell(labelled)
  return [
    {
      title: 'of mature transactions (95% intervals)',
      rows: [
        row(
          'precision of alerts',
          told(({ alerts }) => interval(alerts.precision)),
        ),
        row(
          'precision of blocks',
          told(({ blocks }) => interval(blocks.precision)),
        ),
        row(
          'recall of alerts',
          told(({ alerts }) => interval(alerts.recall)),
        ),
        row(
          'recall of blocks',
          told(({ blocks }) => interval(blocks.recall)),
        ),
        row(
          'recall of fraud money',
          told(({ alerts }) => percent(alerts.valueRecall)),
        ),
        row(
          'good customers blocked',
          told((known) => cards(known.blockedGoodCards)),
        ),
        row(
          'good customers blocked or flagged',
          told((known) => cards(known.alertedGoodCards)),
        ),
      ],
    },
    {
      title: `money of mature transactions, ${reportCurrency()}`,
      rows: [
        row(
          'fraud blocked',
          told(({ value }) => money(value.blockedFraudMinor)),
        ),
        row(
          'fraud flagged',
          told(({ value }) => money(value.flaggedFraudMinor)),
        ),
        row(
          '  saved by flags',
          told(({ value }) => money(value.flagSavesMinor)),
        ),
        row(
          'cost of alerts',
          told(({ value }) => money(value.alertCostMinor)),
        ),
        row(
          'cost of wrong blocks',
          told(({ value }) => money(value.wrongBlockCostMinor)),
        ),
        row(
          'value saved',
          told(({ value }) => money(value.savedMinor)),
        ),
      ],
    },
  ]
}

/** The basis of the figures, one sentence per line. */
export function aboutLines(report: BacktestReport): readonly string[] {
  const { source, facts, leftOut, asOfMs, maturityMs, costs, costsFrom, breakerResetMs, lists } =
    report
  const { rows, firstMs, lastMs, mature, frauds, lateFrauds, earlyFrauds, labelled } = facts
  const days = maturityMs / 86_400_000
  const left = Object.entries(leftOut).map(([reason, number]) => `${count(number)} ${reason}`)
  const minor = (value: number): string => money(BigInt(Math.round(value)))
  const maturity =
    asOfMs === null
      ? 'labels are final, so all rows are mature'
      : `labels as of ${timeText(asOfMs)} UTC; mature after ${days} days: ${count(mature)} rows, ${percent(mature / rows)} of them`
  return [
    `${source}: ${count(rows)} transactions of ${money(facts.minor)} ${reportCurrency()}` +
      (firstMs === null || lastMs === null
        ? ''
        : `, ${timeText(firstMs)} to ${timeText(lastMs)} UTC`),
    ...(left.length === 0 ? [] : [`left out: ${left.join(', ')}`]),
    `${maturity}; ${count(labelled)} rows with a label`,
    `${count(frauds.count)} frauds of ${money(frauds.minor)} ${reportCurrency()}, ${count(lateFrauds)} of them labelled later than ${days} days` +
      (earlyFrauds === 0
        ? ''
        : `; ${count(earlyFrauds)} frauds more are known of rows that are not mature, and count nowhere`),
    `costs (${costsFrom}): alert ${minor(costs.alertMinor)}, wrong block ${minor(costs.wrongBlockFixedMinor)} and ` +
      `${percent(costs.wrongBlockShare)} of the amount; a flag saves ${percent(costs.flagSavesShare)}`,
    ...lists.map(({ name, from }) => `list ${name}: ${from}`),
    breakerResetMs === null
      ? 'outcomes are those of the policies, before breaker, control group and the limit of alerts a day'
      : 'outcomes are those after breaker, control group and the limit of alerts a day, of one partition; a breaker that has ' +
        `tripped is reset after ${breakerResetMs / 3_600_000} hours`,
  ]
}

// Formats figures for the table and the page.

/** Reference currency of all money in a report. */
export function reportCurrency(): string {
  return configuredRates().reference
}
const MINOR_DIGITS = 2

/** `12345678` minor units as `123,456.78`. */
export function money(minor: bigint): string {
  const [sign, size] = minor < 0n ? ['-', -minor] : ['', minor]
  const digits = String(size).padStart(MINOR_DIGITS + 1, '0')
  const whole = digits.slice(0, -MINOR_DIGITS).replaceAll(/\B(?=(\d{3})+$)/g, ',')
  return `${sign}${whole}.${digits.slice(-MINOR_DIGITS)}`
}

/** `1234567` as `1,234,567`. */
export function count(value: number): string {
  return String(Math.round(value)).replaceAll(/\B(?=(\d{3})+$)/g, ',')
}

/** `0.1234` as `12.3%`; a hyphen when it is not known. */
export function percent(share: number | null): string {
  return share === null ? '-' : `${(100 * share).toFixed(1)}%`
}

/** `12.3% (8.1-17.9)`. */
export function interval({ share, low, high }: ShareInterval): string {
  if (share === null) return '-'
  return `${percent(share)} (${(100 * low).toFixed(1)}-${(100 * high).toFixed(1)})`
}

/** `1,234`, or `~1,234` where it is an estimate. */
function cards({ cards: number, isExact }: CardCount): string {
  return `${isExact ? '' : '~'}${count(number)}`
}

/** A small number with one decimal. */
function decimal(value: number): string {
  return value >= 100 ? count(value) : value.toFixed(1)
}

/** A UTC day, counted from 1970. */
function dayText(day: number): string {
  return new Date(day * 86_400_000).toISOString().slice(0, 10)
}

export function timeText(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 19).replace('T', ' ')
}

// The report as JSON: times in ISO 8601, money in minor units.

const FORMAT = 1
const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000

/** Converts a value to JSON. Money beyond 2^53 becomes text, since a number would not be exact. */
export function reportJson(report: BacktestReport): unknown {
  const { facts, asOfMs, maturityMs, costs, costsFrom, breakerResetMs, live, policies, ...rest } =
    report
  const { firstMs, lastMs, days, ...counts } = facts
  return plain({
    format: FORMAT,
    ...rest,
    currency: reportCurrency(),
    isBeforeBreaker: breakerResetMs === null,
    breakerResetHours: breakerResetMs === null ? null : breakerResetMs / HOUR_MS,
    firstTime: isoOrNull(firstMs),
    lastTime: isoOrNull(lastMs),
    labelsAsOf: isoOrNull(asOfMs),
    labelMaturityDays: maturityMs / DAY_MS,
    costs: { ...costs, from: costsFrom },
    facts: { ...counts, matureShare: counts.mature / counts.rows, days: named(days) },
    live: policyJson(live),
    policies: policies.map(policyJson),
  })
}

function policyJson<Policy extends ReportedPolicy>({ days, load, ...rest }: Policy) {
  const maxDay = load.maxDay === null ? null : dayText(load.maxDay)
  return { ...rest, load: { ...load, maxDay }, days: named(days) }
}

function named<Day extends { readonly day: number }>(days: readonly Day[]) {
  return days.map(({ day, ...counts }) => ({ day: dayText(day), ...counts }))
}

function isoOrNull(timeMs: number | null): string | null {
  return timeMs === null ? null : new Date(timeMs).toISOString()
}

function plain(value: unknown): unknown {
  if (typeof value === 'bigint') {
    return Number.isSafeInteger(Number(value)) ? Number(value) : String(value)
  }
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, held]) => [name, plain(held)]))
}
