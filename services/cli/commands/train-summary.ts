// What `sluice train` prints when the model is written.

import { totalMinor, type CostFigures } from '../../core/scoring/alert-costs.ts'
import { SEED_FIGURES, skipText, spreadOf } from '../../trainer/index.ts'
import type { TrainSummary } from '../../trainer/index.ts'
import { printLine } from '../command.ts'
import { printTable } from '../table.ts'

/** For people; programs take --json. */
export function printSummary(summary: TrainSummary): void {
  const { metrics, thresholds, periods, costs, bySeed, seed } = summary
  const percent = (share: number): string => `${(share * 100).toFixed(2)} %`
  printLine(
    `Model ${summary.version} in ${summary.out} (${(summary.bytes / 1024).toFixed(0)} KiB).`,
  )
  printLine(
    `Trained on ${periods.train.transactions} transactions with ${periods.train.frauds} frauds, ` +
      `${summary.epochs[0] ?? 0} epochs of the draft and ${summary.epochs[1] ?? 0} of the target, ${summary.backend}.`,
  )
  const leftOut = skipText(summary.skipped)
  if (leftOut !== null) printLine(`Of the history ${leftOut}.`)
  for (const [name, of] of [
    ['validation', metrics.validation],
    ['test', metrics.test],
  ] as const) {
    printLine(
      `${name}: average precision ${of.averagePrecision.toFixed(3)}, recall at 0.1 % false positives ` +
        `${of.recallAtFalsePositives01Percent.toFixed(3)}; flags ${percent(of.flag.alertShare)} with precision ` +
        `${of.flag.precision.toFixed(2)}, blocks ${percent(of.block.alertShare)} with ${of.block.precision.toFixed(2)}.`,
    )
  }
  printLine(
    `Flag at ${thresholds.flag.toFixed(4)}, block at ${thresholds.block.toFixed(4)}: ${thresholds.rule}.`,
  )
  printLine(
    `Of the value of frauds ${savedText(costs.validation)} saved on validation, ${savedText(costs.test)} on test.`,
  )
  if (bySeed.length > 1) printSeeds(bySeed, seed)
}

function printSeeds(bySeed: TrainSummary['bySeed'], kept: number): void {
  printLine(
    `${bySeed.length} seeds, mean and standard deviation on validation and test; seed ${kept} is kept:`,
  )
  const rows = Object.entries(SEED_FIGURES).map(([name, read]) => {
    const cells = (['validation', 'test'] as const).map((period) => {
      const { mean, deviation } = spreadOf(bySeed.map((of) => read(of[period])))
      return `${mean.toFixed(4)} +/- ${deviation.toFixed(4)}`
    })
    return [name, ...cells]
  })
  printTable(rows, { indent: '  ' })
}

/** Less what alerts and wrong blocks cost. */
function savedText(figures: CostFigures): string {
  if (figures.fraudMinor === 0) return 'nothing (no frauds)'
  return `${((1 - totalMinor(figures) / figures.fraudMinor) * 100).toFixed(1)} %`
}
