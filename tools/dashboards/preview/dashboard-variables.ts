// What Grafana would put in place of the variables in a query.

import type { TimeRange } from '../../../services/cli/charts/axes.ts'

/** Seconds between the points of a query, for a panel that can show `pointsMax` of them. */
export function stepSeconds({ fromS, toS }: TimeRange, pointsMax: number): number {
  return Math.max(1, Math.ceil((toS - fromS) / pointsMax))
}

/** A demo is scraped every second; rates over four of them would make a comb of rare alerts. */
const RATE_INTERVAL_S_MIN = 15

/** As Grafana has it: four scrapes at least, and never less than what lies between two points; 15 s at least. */
export function rateIntervalSeconds(stepS: number, scrapeIntervalS: number): number {
  return Math.ceil(Math.max(RATE_INTERVAL_S_MIN, 4 * scrapeIntervalS, stepS + scrapeIntervalS))
}

/** Fills in the rate interval and the time range shown (whole seconds); chosen labels become "all of them". */
export function fillVariables(expr: string, rateIntervalS: number, rangeS: number): string {
  return expr
    .replaceAll('$__rate_interval', `${rateIntervalS}s`)
    .replaceAll('$__range', `${rangeS}s`)
    .replaceAll(/\$(?:job|instance)\b/g, '.+')
}
