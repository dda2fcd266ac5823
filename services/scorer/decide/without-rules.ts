// Counterfactuals of rows for which no change of features gives a milder outcome: the lists and rules that would have
// to be absent. A rule may read something that is no feature, such as a country or a list. When the score alone would
// also give the outcome, both have to change.

import { alsoWithoutRules, isMilderThan, withoutRules } from '../../core/decision/counterfactual.ts'
import type { Attribution } from '../../core/decision/reasons.ts'
import type { Counterfactual, Outcome } from '../../core/wire/records.ts'
import type { DecideOptions } from './decide-options.ts'
import type { Explained } from './explained.ts'
import { findCounterfactuals } from './find-counterfactuals.ts'

/** Most lists and rules in one counterfactual. An alert that rests on more has none. */
const RULES_MAX = 8

/** The rules that prevent a milder outcome, and the outcome without them. */
interface InTheWay {
  readonly names: readonly string[]
  readonly outcome: Outcome
}

/** Fills the gaps of `found` with counterfactuals that name rules, in order. */
export async function orWithoutRules(
  explained: readonly Explained[],
  found: readonly (Counterfactual | null)[],
  attributions: readonly (readonly Attribution[])[],
  options: Pick<DecideOptions, 'baseline' | 'score' | 'verify'>,
): Promise<readonly (Counterfactual | null)[]> {
  const inTheWay = explained.map((of, position) =>
    (found[position] ?? null) === null ? rulesInTheWay(of) : null,
  )
  const byScoreToo: number[] = []
  const all = explained.map((of, position) => {
    const rules = inTheWay[position] ?? null
    if (rules === null) return found[position] ?? null
    if (isMilderThan(rules.outcome, of.outcome)) {
      return withoutRules(rules.names, { score: of.score, outcome: rules.outcome })
    }
    byScoreToo.push(position)
    return null
  })
  if (byScoreToo.length === 0) return all
  const again = await findCounterfactuals(
    byScoreToo.flatMap((position) => {
      const [of, rules] = [explained[position], inTheWay[position] ?? null]
      return of === undefined || rules === null ? [] : [askedWithout(of, rules.names)]
    }),
    byScoreToo.map((position) => attributions[position] ?? []),
    options,
  )
  for (const [place, position] of byScoreToo.entries()) {
    const changed = again[place] ?? null
    const names = inTheWay[position]?.names ?? []
    all[position] = changed === null ? null : alsoWithoutRules(names, changed)
  }
  return all
}

/**
 * The counterfactual of a row without a score, which no change of features can make milder; null when no rule prevents
 * a milder outcome.
 */
export function unscoredWithoutRules(of: Explained): Counterfactual | null {
  const rules = rulesInTheWay(of)
  if (rules === null || !isMilderThan(rules.outcome, of.outcome)) return null
  return withoutRules(rules.names, { score: NaN, outcome: rules.outcome })
}

/** Null when no rule is the cause, or when more than RULES_MAX are. */
function rulesInTheWay({ row, score, outcome, ask }: Explained): InTheWay | null {
  const names = new Set<string>()
  for (;;) {
    const said = ask(row, score, names)
    if (isMilderThan(said.outcome, outcome)) return fewest({ row, score, outcome, ask }, names)
    // Under first-match rules, the next match appears only once the earlier one is removed.
    const more = said.rules.filter(
      ({ name, outcome: own }) => !isMilderThan(own, outcome) && !names.has(name),
    )
    if (more.length === 0) return names.size === 0 ? null : { names: [...names], outcome }
    for (const { name } of more) names.add(name)
    if (names.size > RULES_MAX) return null
  }
}

/** Removes names that are not needed: a rule that was left out may have had no effect. */
function fewest(
  { row, score, outcome, ask }: Pick<Explained, 'row' | 'score' | 'outcome' | 'ask'>,
  names: ReadonlySet<string>,
): InTheWay {
  const needed = new Set(names)
  for (const name of names) {
    needed.delete(name)
    if (!isMilderThan(ask(row, score, needed).outcome, outcome)) needed.add(name)
  }
  return { names: [...needed], outcome: ask(row, score, needed).outcome }
}

function askedWithout(of: Explained, names: readonly string[]): Explained {
  const without = new Set(names)
  return { ...of, ask: (row, score) => of.ask(row, score, without) }
}
