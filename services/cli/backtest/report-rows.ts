// The comparison as rows of text: one row a figure, one column a policy. The table and the page show the same.

import type { BacktestReport, ReportedPolicy } from './run-backtest.ts'
import {
  cards,
  count,
  dayText,
  decimal,
  interval,
  money,
  percent,
  timeText,
  CURRENCY,
} from './report-words.ts'

export interface ComparedRow {
  readonly title: string
  /** One for live, then one for each policy. */
  readonly cells: readonly string[]
}

/** Rows under one heading. */
export interface ComparedGroup {
  readonly title: string
  readonly rows: readonly ComparedRow[]
}

/** What the columns are called. */
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

function loadRows({ analysts }: BacktestReport, row: MakeRow): readonly ComparedRow[] {
  return [
    row('a day', ({ load }) => decimal(load.meanPerDay)),
    row('busiest day', ({ load }) =>
      load.maxDay === null ? '-' : `${count(load.maxPerDay)} (${dayText(load.maxDay)})`,
    ),
    ...(analysts === null
      ? []
      : [
          row('a day and analyst', ({ load }) => decimal(load.meanPerAnalystDay ?? 0)),
          row('busiest day, an analyst', ({ load }) => decimal(load.maxPerAnalystDay ?? 0)),
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
      title: `money of mature transactions, ${CURRENCY}`,
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

/** What the figures rest on, one sentence a line. */
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
    `${source}: ${count(rows)} transactions of ${money(facts.minor)} ${CURRENCY}` +
      (firstMs === null || lastMs === null
        ? ''
        : `, ${timeText(firstMs)} to ${timeText(lastMs)} UTC`),
    ...(left.length === 0 ? [] : [`left out: ${left.join(', ')}`]),
    `${maturity}; ${count(labelled)} rows with a label`,
    `${count(frauds.count)} frauds of ${money(frauds.minor)} ${CURRENCY}, ${count(lateFrauds)} of them labelled later than ${days} days` +
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
