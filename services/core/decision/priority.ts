// How urgent an alert is: by the money that is lost on average when nothing is done.

/** Least expected loss of priorities 1 to 4, in minor units of the reference currency; below it is 5. */
export const PRIORITY_LOSS_MINOR = [50_000, 10_000, 2_500, 500] as const

/** Score times amount, rounded, in minor units of the reference currency; null when there is no score. */
export function expectedLossMinorOf(score: number | null, amountMinor: number): number | null {
  return score === null ? null : Math.round(score * amountMinor)
}

/** 1, the most urgent, to 5; 0 when the loss is not known. */
export function priorityOf(expectedLossMinor: number | null): number {
  if (expectedLossMinor === null) return 0
  const place = PRIORITY_LOSS_MINOR.findIndex((least) => expectedLossMinor >= least)
  return place === -1 ? PRIORITY_LOSS_MINOR.length + 1 : place + 1
}
