// Finds the least change of a row that would have given a milder outcome: the smallest change of one feature; where no
// single feature is enough, the fewest of the strongest features, all at their baseline values. Rows of a batch are
// scored together, so a batch costs at most COUNTERFACTUAL_ROUNDS + 2 calls of the model.

import {
  beginSearch,
  contenders,
  COUNTERFACTUAL_ROUNDS,
  isMilder,
  jointChange,
  leastChange,
  narrowed,
  trialsOf,
  valueAt,
  type Answer,
  type FlipSearch,
} from '../../core/decision/counterfactual.ts'
import { type Attribution, unusualFeatures } from '../../core/decision/reasons.ts'
import type { Counterfactual } from '../../core/wire/records.ts'
import type { DecideOptions } from './decide-options.ts'
import type { Explained } from './explained.ts'
import { scoreChanged, type Change, type ChangedRow } from './what-if.ts'

/** Most features of one row that are searched between value and baseline value, strongest first. */
const SEARCHES_MAX = 2

/** Most features that are set to their baseline values together. */
const TOGETHER_MAX = 6

const ALL_RULES: ReadonlySet<string> = new Set()

type Options = Pick<DecideOptions, 'baseline' | 'score' | 'verify'>

/** One per row, in order; null where none was found. */
export async function findCounterfactuals(
  explained: readonly Explained[],
  attributions: readonly (readonly Attribution[])[],
  options: Options,
): Promise<readonly (Counterfactual | null)[]> {
  const byScore = explained.map((of, position) =>
    searchesOf(of, attributions[position] ?? [], options),
  )
  const begun = await orByRules(explained, byScore, options)
  const searches = await narrow(explained, begun, options)
  const joint = await together(
    explained.map((of, position) => (begun[position]?.length === 0 ? of : null)),
    attributions,
    options,
  )
  return explained.map(
    (_, position) => leastChange(searches[position] ?? []) ?? joint[position] ?? null,
  )
}

/** The strongest features whose baseline value is enough. */
function searchesOf(
  of: Explained,
  attributions: readonly Attribution[],
  { baseline }: Options,
): readonly FlipSearch[] {
  return attributions
    .map(({ feature, scoreAtBaseline }) => {
      const value = baseline[feature] ?? NaN
      const answer = answerOf(of, [{ feature, value }], scoreAtBaseline)
      return beginSearch(feature, of.row[feature] ?? NaN, value, answer)
    })
    .filter(({ answer }) => isMilder(answer, of.outcome))
    .slice(0, SEARCHES_MAX)
}

/**
 * For rows where no feature that lowers the score is enough: features whose baseline value changes the policy's ruling
 * at any score. They are scored as well, since the counterfactual reports both outcome and score.
 */
async function orByRules(
  explained: readonly Explained[],
  begun: readonly (readonly FlipSearch[])[],
  options: Options,
): Promise<readonly (readonly FlipSearch[])[]> {
  const changes = explained.map((of, position) =>
    begun[position]?.length === 0 ? ruledChanges(of, options.baseline) : [],
  )
  const rows = explained.flatMap(({ row, verified }, position) =>
    (changes[position] ?? []).map((change): ChangedRow => ({ row, verified, changes: [change] })),
  )
  if (rows.length === 0) return begun
  const scores = (await scoreChanged(rows, options)).values()
  return explained.map((of, position) => {
    const found = (changes[position] ?? []).map((change) => {
      const answer = answerOf(of, [change], scores.next().value ?? NaN)
      return beginSearch(change.feature, of.row[change.feature] ?? NaN, change.value, answer)
    })
    return [
      ...(begun[position] ?? []),
      ...found.filter(({ answer }) => isMilder(answer, of.outcome)),
    ]
  })
}

/** The first features whose baseline values give a milder outcome at the same score. */
function ruledChanges(of: Explained, baseline: readonly number[]): readonly Change[] {
  return unusualFeatures(of.row, baseline)
    .map((feature): Change => ({ feature, value: baseline[feature] ?? NaN }))
    .filter((change) => isMilder(answerOf(of, [change], of.score), of.outcome))
    .slice(0, SEARCHES_MAX)
}

/**
 * Scores only values that can decide: none twice, such as between adjacent whole values of a count, and none for a
 * search that has lost.
 */
async function narrow(
  explained: readonly Explained[],
  begun: readonly (readonly FlipSearch[])[],
  options: Options,
): Promise<readonly (readonly FlipSearch[])[]> {
  let searches = begun
  const answers = begun.map(
    (of) => new Map(of.map((each) => [keyOf(each, each.baseline), each.answer])),
  )
  for (let round = 0; round < COUNTERFACTUAL_ROUNDS; round += 1) {
    const asked = searches.map((of, position) => unanswered(of, answers[position]))
    const rows = explained.flatMap(({ row, verified }, position) =>
      [...(asked[position]?.values() ?? [])].map((change): ChangedRow => {
        return { row, verified, changes: [change] }
      }),
    )
    if (rows.length > 0) {
      const scores = (await scoreChanged(rows, options)).values()
      for (const [position, of] of explained.entries()) {
        for (const [key, change] of asked[position] ?? []) {
          answers[position]?.set(key, answerOf(of, [change], scores.next().value ?? NaN))
        }
      }
    }
    searches = explained.map(({ outcome }, position) => {
      const known = answers[position]
      const further = (searches[position] ?? []).map((each) => {
        const trials = trialsOf(each)
        const found = trials.map((part) => known?.get(keyOf(each, valueAt(each, part))) ?? UNSCORED)
        return narrowed(each, outcome, trials, found)
      })
      return contenders(further)
    })
  }
  return searches
}

/** Never read: every trial has an answer. */
const UNSCORED: Answer = { score: NaN, outcome: 'block' }

/** The next trials of a row's searches that have no answer yet, by key. */
function unanswered(
  searches: readonly FlipSearch[],
  answers: ReadonlyMap<string, Answer> | undefined,
): ReadonlyMap<string, Change> {
  const asked = new Map<string, Change>()
  for (const each of searches) {
    for (const part of trialsOf(each)) {
      const change = { feature: each.feature, value: valueAt(each, part) }
      const key = keyOf(each, change.value)
      if (answers?.has(key) !== true) asked.set(key, change)
    }
  }
  return asked
}

function keyOf({ feature }: FlipSearch, value: number): string {
  return `${feature} ${value}`
}

/** The fewest of the strongest features that are enough together; null for rows that were not asked about. */
async function together(
  wanted: readonly (Explained | null)[],
  attributions: readonly (readonly Attribution[])[],
  { baseline, ...options }: Options,
): Promise<readonly (Counterfactual | null)[]> {
  const rows: ChangedRow[] = []
  const groups = wanted.map((of, position) => {
    if (of === null) return []
    const strongest = (attributions[position] ?? [])
      .slice(0, TOGETHER_MAX)
      .map(({ feature }): Change => {
        return { feature, value: baseline[feature] ?? NaN }
      })
    const own = strongest.slice(1).map((_, index) => strongest.slice(0, index + 2))
    for (const changes of own) rows.push({ row: of.row, verified: of.verified, changes })
    return own
  })
  if (rows.length === 0) return []
  const scores = (await scoreChanged(rows, options)).values()
  return wanted.map((of, position) => {
    const answers = (groups[position] ?? []).map((changes) => ({
      changes,
      score: scores.next().value ?? NaN,
    }))
    if (of === null) return null
    for (const { changes, score } of answers) {
      const answer = answerOf(of, changes, score)
      if (isMilder(answer, of.outcome)) return jointChange(of.row, changes, answer)
    }
    return null
  })
}

function answerOf(of: Explained, changes: readonly Change[], score: number): Answer {
  const row = of.row.slice()
  for (const { feature, value } of changes) row[feature] = value
  return { score, outcome: of.ask(row, score, ALL_RULES).outcome }
}
