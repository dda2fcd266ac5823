// The fairness gate: does a model burden one group of genuine payers, or protect one group of victims, much less well
// than the others? Each group is compared with all rows outside it. A difference counts only when it is larger than
// the rule allows and chance does not explain it: the two intervals must not overlap.

import { SluiceError } from '../errors.ts'
import { FieldReader, readNumber } from './field-reader.ts'
import { CONFIDENCES, wilsonInterval, type Confidence, type ShareInterval } from './wilson.ts'

/** Number of values of a column that become groups of their own; further values form one group, "other". */
export const GROUP_VALUES_MAX = 64
const COLUMNS_MAX = 32
const EDGES_MAX = 32
const RATIO_MAX = 1_000

/** A column whose values define groups. */
export interface GroupColumn {
  readonly column: string
  /** Upper ends of bands, ascending, for a column of numbers; empty for a column of words. */
  readonly edges: readonly number[]
}

/** The limits, given in a file. */
export interface FairnessRule {
  readonly groups: readonly GroupColumn[]
  /** The outcome from which a row counts as alerted. */
  readonly threshold: 'flag' | 'block'
  /** Maximum ratio of a group's false-positive rate to that of all others. */
  readonly falsePositiveRatioMax: number
  /** Minimum ratio of a group's recall to that of all others. */
  readonly recallRatioMin: number
  /** A group with fewer genuine or fraudulent rows is not judged by the rate that needs them. */
  readonly genuineMin: number
  readonly fraudsMin: number
  readonly confidence: Confidence
}

/** One rate of one group, compared with all others. */
export interface RateComparison {
  readonly group: ShareInterval
  readonly others: ShareInterval
  /** group / others; null where either has no cases, or others have no hits. */
  readonly ratio: number | null
  readonly verdict: 'fair' | 'breach' | 'too_few'
}

export interface GroupFinding {
  readonly column: string
  readonly value: string
  readonly falsePositives: RateComparison
  readonly recall: RateComparison
}

export interface FairnessReport {
  readonly rows: number
  readonly findings: readonly GroupFinding[]
  /** Number of comparisons that break the rule. */
  readonly breaches: number
}

/** Applies where no rule is given. */
export const DEFAULT_FAIRNESS_RULE: FairnessRule = Object.freeze({
  groups: [
    { column: 'country', edges: [] },
    { column: 'channel', edges: [] },
    { column: 'entryMode', edges: [] },
    { column: 'amountMinor', edges: [2_000, 10_000, 50_000] },
  ],
  threshold: 'flag',
  falsePositiveRatioMax: 1.5,
  recallRatioMin: 0.8,
  genuineMin: 500,
  fraudsMin: 30,
  confidence: 0.95,
})

interface Counts {
  genuine: number
  falsePositives: number
  frauds: number
  caught: number
}

/** Checks a parsed rule file. @throws SluiceError SLUICE_INPUT_INVALID naming what is wrong. */
export function checkFairnessRule(value: unknown, path: string): FairnessRule {
  const fields = new FieldReader(value, path, invalid)
  const rule: FairnessRule = {
    groups: fields.objects('groups', COLUMNS_MAX, (group) => ({
      column: group.string('column', 64),
      edges: group.array('edges', EDGES_MAX, readNumber),
    })),
    threshold: fields.oneOf('threshold', ['flag', 'block']),
    falsePositiveRatioMax: fields.number('falsePositiveRatioMax', 1, RATIO_MAX),
    recallRatioMin: fields.number('recallRatioMin', 0, 1),
    genuineMin: fields.integer('genuineMin', 1),
    fraudsMin: fields.integer('fraudsMin', 1),
    confidence: confidenceOf(fields.number('confidence', 0, 1), path),
  }
  if (rule.groups.length === 0) throw invalid(`${path}.groups is empty`)
  fields.end()
  return rule
}

/** Counts rows by group; memory depends on the number of groups only. */
export class FairnessCounts {
  readonly #rule: FairnessRule
  readonly #groups: readonly Map<string, Counts>[]
  readonly #all: Counts = noCounts()
  #rows = 0

  constructor(rule: FairnessRule) {
    this.#rule = rule
    this.#groups = rule.groups.map(() => new Map<string, Counts>())
  }

  /** `values` are those of the rule's columns, in order; an empty string where a row has none. */
  add(values: readonly string[], isFraud: boolean, isAlerted: boolean): void {
    this.#rows += 1
    count(this.#all, isFraud, isAlerted)
    for (const [index, { edges }] of this.#rule.groups.entries()) {
      const groups = this.#groups[index]
      if (groups !== undefined)
        count(groupOf(groups, bandOf(values[index] ?? '', edges)), isFraud, isAlerted)
    }
  }

  report(): FairnessReport {
    const findings = this.#rule.groups.flatMap(({ column }, index) =>
      [...(this.#groups[index] ?? [])]
        .sort(([one], [other]) => one.localeCompare(other))
        .map(([value, counts]) => ({ column, value, ...this.#compare(counts) })),
    )
    const breaches = findings
      .flatMap(({ falsePositives, recall }) => [falsePositives, recall])
      .filter(({ verdict }) => verdict === 'breach').length
    return { rows: this.#rows, findings, breaches }
  }

  #compare(group: Counts): Pick<GroupFinding, 'falsePositives' | 'recall'> {
    const { confidence, falsePositiveRatioMax, recallRatioMin, genuineMin, fraudsMin } = this.#rule
    const all = this.#all
    const interval = (hits: number, cases: number) => wilsonInterval(hits, cases, confidence)
    return {
      falsePositives: compared(
        interval(group.falsePositives, group.genuine),
        interval(all.falsePositives - group.falsePositives, all.genuine - group.genuine),
        genuineMin,
        (inGroup, others) =>
          inGroup.low > others.high && inGroup.share > falsePositiveRatioMax * others.share,
      ),
      recall: compared(
        interval(group.caught, group.frauds),
        interval(all.caught - group.caught, all.frauds - group.frauds),
        fraudsMin,
        (inGroup, others) =>
          inGroup.high < others.low && inGroup.share < recallRatioMin * others.share,
      ),
    }
  }
}

function compared(
  group: ShareInterval,
  others: ShareInterval,
  casesMin: number,
  isBreach: (group: KnownShare, others: KnownShare) => boolean,
): RateComparison {
  if (!hasCases(group) || !hasCases(others))
    return { group, others, ratio: null, verdict: 'too_few' }
  const ratio = others.share === 0 ? null : group.share / others.share
  if (group.cases < casesMin || others.cases < casesMin) {
    return { group, others, ratio, verdict: 'too_few' }
  }
  return { group, others, ratio, verdict: isBreach(group, others) ? 'breach' : 'fair' }
}

interface KnownShare extends ShareInterval {
  readonly share: number
}

function hasCases(interval: ShareInterval): interval is KnownShare {
  return interval.share !== null
}

/** The band of a number, such as "<= 50" or "> 200"; a word is its own group. */
function bandOf(value: string, edges: readonly number[]): string {
  if (value === '') return 'none'
  const last = edges.at(-1)
  if (last === undefined) return value
  const number = Number(value)
  if (!Number.isFinite(number)) return 'none'
  const edge = edges.find((end) => number <= end)
  return edge === undefined ? `> ${last}` : `<= ${edge}`
}

function groupOf(groups: Map<string, Counts>, value: string): Counts {
  const name = groups.has(value) || groups.size < GROUP_VALUES_MAX ? value : 'other'
  const counts = groups.get(name) ?? noCounts()
  groups.set(name, counts)
  return counts
}

function count(counts: Counts, isFraud: boolean, isAlerted: boolean): void {
  if (isFraud) {
    counts.frauds += 1
    if (isAlerted) counts.caught += 1
  } else {
    counts.genuine += 1
    if (isAlerted) counts.falsePositives += 1
  }
}

function noCounts(): Counts {
  return { genuine: 0, falsePositives: 0, frauds: 0, caught: 0 }
}

function confidenceOf(value: number, path: string): Confidence {
  const known = CONFIDENCES.find((confidence) => confidence === value)
  if (known !== undefined) return known
  throw invalid(`${path}.confidence is ${value}, but must be one of ${CONFIDENCES.join(', ')}`)
}

function invalid(problem: string): SluiceError {
  return new SluiceError(
    'SLUICE_INPUT_INVALID',
    `The fairness rule cannot be used: ${problem}. docs/models.md shows one.`,
  )
}
