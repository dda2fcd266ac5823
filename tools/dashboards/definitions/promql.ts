// The few shapes of query that the dashboards are made of.

/** Per second, over the interval that Grafana finds right for the scrape interval and the zoom. */
export function rate(series: string): string {
  return `rate(${series}[$__rate_interval])`
}

/** Growth of a counter over the time range shown; for instant queries. */
export function inRange(series: string): string {
  return `increase(${series}[$__range])`
}

/** Sum over all processes, by the labels given. */
export function sum(inner: string, by: readonly string[] = []): string {
  return by.length === 0 ? `sum(${inner})` : `sum by (${by.join(', ')}) (${inner})`
}

/** Quantile of a histogram over all processes, by the labels given. */
export function quantile(q: number, histogram: string, by: readonly string[] = []): string {
  const name = /^[^{]*/.exec(histogram)?.[0] ?? histogram
  const buckets = `${name}_bucket${histogram.slice(name.length)}`
  return `histogram_quantile(${q}, ${sum(rate(buckets), ['le', ...by])})`
}

/**
 * Keeps the series that are not zero; while all of them are, one flat line named `none`. A healthy panel then
 * shows a line at zero, and an empty one means that nothing is measured.
 */
export function nonZero(by: string, rates: string): string {
  return `${sum(rates, [by])} > 0 or label_replace(sum(${rates}) == 0, "${by}", "none", "", "")`
}

/**
 * The policies in use, with the first twelve digits of the digest as label `policy`: enough to tell them apart.
 * `offset` goes back in time, such as ` offset 1m`.
 */
export function policyInfo(offset = ''): string {
  return `label_replace(sluice_policy_info${offset}, "policy", "$1", "policy_digest", "(.{12}).*")`
}
