// The counterfactual of a flag or a block: the least change of one feature that would have given a milder outcome, with
// all other features unchanged; or of several features, when no single one is enough. The path from the value to the
// baseline is divided into COUNTERFACTUAL_PARTS. The end of a search always gives a milder outcome, and the point one
// part before it does not: both were scored. Each round tries several points at once, so that the model is called
// COUNTERFACTUAL_ROUNDS times and not once per bisection step.

import assert from 'node:assert/strict'
import { CODE_UNIT } from '../features/catalogue/feature-definition.ts'
import { FEATURES } from '../features/catalogue/feature-list.ts'
import { LIST_PREFIX } from '../policy/compile-policy.ts'
import { OUTCOMES, type Counterfactual, type FeatureChange, type Outcome } from '../wire/records.ts'
import { scoreInWords, valuesInWords } from './reasons.ts'

/** Parts of the path from a value to its baseline. */
export const COUNTERFACTUAL_PARTS = 64
/** Points tried in one round; each round leaves one of POINTS + 1 intervals. */
const POINTS = 3
/** Rounds after which one part is left: 4 to the power of 3 is 64. */
export const COUNTERFACTUAL_ROUNDS = 3

const VALUE_DIGITS = 4
const MINOR_PER_UNIT = 100
const WHOLE_UNITS: ReadonlySet<string> = new Set([
  'payments',
  'attempts',
  'merchants',
  'terminals',
  'countries',
  'devices',
  'cards',
  'frauds',
])

/** Units without intermediate values. */
const STEP_UNITS: ReadonlySet<string> = new Set(['0 or 1', CODE_UNIT])

/** Result of a changed row. */
export interface Answer {
  readonly score: number
  readonly outcome: Outcome
}

/** A feature whose baseline value gives a milder outcome, and the interval of the path that contains the change. */
export interface FlipSearch {
  readonly feature: number
  readonly value: number
  readonly baseline: number
  /** A part that is not enough. */
  readonly low: number
  /** A part that is enough, with its answer. */
  readonly high: number
  readonly answer: Answer
}

/** Starts the search, once the baseline value is known to be enough. */
export function beginSearch(
  feature: number,
  value: number,
  baseline: number,
  answer: Answer,
): FlipSearch {
  // There is no path from an absent value, between yes and no, or between codes: the baseline value is the only change.
  const isStep = Number.isNaN(value) || STEP_UNITS.has(FEATURES[feature]?.unit ?? '')
  const low = isStep ? COUNTERFACTUAL_PARTS - 1 : 0
  return { feature, value, baseline, low, high: COUNTERFACTUAL_PARTS, answer }
}

/** Parts to try next, nearest to the value first; none when the search is over. */
export function trialsOf({ low, high }: FlipSearch): readonly number[] {
  const step = Math.floor((high - low) / (POINTS + 1))
  return step === 0 ? [] : Array.from({ length: POINTS }, (_, index) => low + (index + 1) * step)
}

/** The value at this part of the path, rounded for display: whole, in cents or to four digits. */
export function valueAt({ feature, value, baseline }: FlipSearch, part: number): number {
  if (part === 0) return value
  if (part === COUNTERFACTUAL_PARTS) return baseline
  const exact = value + ((baseline - value) * part) / COUNTERFACTUAL_PARTS
  const unit = FEATURES[feature]?.unit ?? ''
  const isUp = baseline > value
  if (unit === 'EUR') return Math.round(exact * MINOR_PER_UNIT) / MINOR_PER_UNIT
  if (!WHOLE_UNITS.has(unit)) return Number(exact.toPrecision(VALUE_DIGITS))
  // Rounds towards the baseline value and not past it.
  return isUp ? Math.min(Math.ceil(exact), baseline) : Math.max(Math.floor(exact), baseline)
}

/** The search after its trials were answered; NaN as a score does not count as an answer. */
export function narrowed(
  search: FlipSearch,
  own: Outcome,
  trials: readonly number[],
  answers: readonly Answer[],
): FlipSearch {
  let low = search.low
  for (const [index, part] of trials.entries()) {
    const answer = answers[index]
    if (answer !== undefined && isMilder(answer, own)) return { ...search, low, high: part, answer }
    low = part
  }
  return { ...search, low }
}

/** True when the answer is a score whose outcome is milder than `own`. */
export function isMilder({ score, outcome }: Answer, own: Outcome): boolean {
  return !Number.isNaN(score) && isMilderThan(outcome, own)
}

export function isMilderThan(outcome: Outcome, own: Outcome): boolean {
  return OUTCOMES.indexOf(outcome) < OUTCOMES.indexOf(own)
}

/** The searches of one row that may still have the shortest path: the others cannot beat the upper end of another. */
export function contenders(searches: readonly FlipSearch[]): readonly FlipSearch[] {
  return searches.filter(({ low }) => searches.every(({ high }) => high > low))
}

/** The search with the shortest path; null for none. */
export function leastChange(searches: readonly FlipSearch[]): Counterfactual | null {
  const [first, ...others] = searches
  if (first === undefined) return null
  const least = others.reduce((best, each) => (each.high < best.high ? each : best), first)
  return counterfactualOf(least)
}

/** Several features at their baseline values, strongest first, where no single one was enough. */
export function jointChange(
  row: Float64Array,
  changes: readonly { readonly feature: number; readonly value: number }[],
  answer: Answer,
): Counterfactual | null {
  const changed = changes.map(({ feature, value }) => {
    const own = row[feature]
    assert(own !== undefined, 'A row has every feature.')
    return changeOf(feature, own, value)
  })
  const [first, ...also] = changed
  if (first === undefined) return null
  return told(first, also, answer)
}

function counterfactualOf(search: FlipSearch): Counterfactual {
  const { feature, value, answer, high } = search
  return told(changeOf(feature, value, valueAt(search, high)), [], answer)
}

/**
 * Lists and rules that would have to be absent, with the outcome then; the score stays. Each is a change from 1 (it
 * applied) to 0. `names` are those of the policy, at least one.
 */
export function withoutRules(names: readonly string[], { score, outcome }: Answer): Counterfactual {
  const [first, ...also] = names.map(ruleChange)
  if (first === undefined) throw new Error('A counterfactual changes something.')
  const scored = Number.isNaN(score) ? '' : ` with its score of ${scoreInWords(score)}`
  return {
    ...first,
    scoreThen: Number.isNaN(score) ? null : score,
    outcomeThen: outcome,
    text: `${withoutWords(names)} it would have come${scored} to: ${outcome}`,
    also,
  }
}

/** A change of features that is enough when these lists and rules are absent. */
export function alsoWithoutRules(
  names: readonly string[],
  counterfactual: Counterfactual,
): Counterfactual {
  return {
    ...counterfactual,
    text: `${withoutWords(names)} and ${counterfactual.text}`,
    also: [...counterfactual.also, ...names.map(ruleChange)],
  }
}

/** Prefix of rule names in a counterfactual; lists have their own prefix. */
export const RULE_PREFIX = 'rule/'

function ruleChange(name: string): FeatureChange {
  const feature = name.startsWith(LIST_PREFIX) ? name : `${RULE_PREFIX}${name}`
  return { feature, value: 1, changedTo: 0 }
}

function withoutWords(names: readonly string[]): string {
  const words = names.map((name) =>
    name.startsWith(LIST_PREFIX)
      ? `without its entry in list "${name.slice(LIST_PREFIX.length)}"`
      : `without rule "${name}"`,
  )
  const last = words.length > 1 ? ` and ${words.pop() ?? ''}` : ''
  return `${words.join(', ')}${last}`
}

interface ToldChange extends FeatureChange {
  readonly words: string
}

function changeOf(feature: number, value: number, changedTo: number): ToldChange {
  const { name = '', sentence = '' } = FEATURES[feature] ?? {}
  const [to, from] = valuesInWords(feature, changedTo, value)
  return {
    feature: name,
    value: Number.isNaN(value) ? null : value,
    changedTo: Number.isNaN(changedTo) ? null : changedTo,
    words: `${sentence} at ${to} instead of ${from}`,
  }
}

function told(
  { words, ...first }: ToldChange,
  also: readonly ToldChange[],
  { score, outcome }: Answer,
): Counterfactual {
  const all = [words, ...also.map((each) => each.words)]
  const last = all.length > 1 ? ` and ${all.pop() ?? ''}` : ''
  return {
    ...first,
    scoreThen: score,
    outcomeThen: outcome,
    text: `with ${all.join(', ')}${last} it would have scored ${scoreInWords(score)}: ${outcome}`,
    also: also.map(({ feature, value, changedTo }) => ({ feature, value, changedTo })),
  }
}
