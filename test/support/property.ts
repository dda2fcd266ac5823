// Runs property tests: with the failing assertion in the report, and ten times as long in the full run.

import fc from 'fast-check'

/** Fails with the smallest counter-example, its seed and the error. `runs` is multiplied in the full run. */
export function holds<Values extends [unknown, ...unknown[]]>(
  runs: number,
  property: fc.IProperty<Values>,
): void {
  check(runs, property, false)
}

/** The same for streams so long that shrinking a counter-example takes longer than the test may. */
export function holdsForLong<Values extends [unknown, ...unknown[]]>(
  runs: number,
  property: fc.IProperty<Values>,
): void {
  check(runs, property, true)
}

function check<Values extends [unknown, ...unknown[]]>(
  runs: number,
  property: fc.IProperty<Values>,
  endOnFailure: boolean,
): void {
  const numRuns = process.env['SLUICE_FULL'] === '1' ? 10 * runs : runs
  fc.assert(property, { numRuns, includeErrorInReport: true, endOnFailure })
}
