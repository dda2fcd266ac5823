// The lists and rules of a policy, each made into a question that can be asked of a transaction.

import type { AlertRule, Grade, Outcome } from '../wire/records.ts'
import type { Condition, ConditionCompiler } from './condition.ts'
import type { ConditionViews } from './condition-views.ts'
import type { ListIndex } from './list-index.ts'
import type { PolicyDocument, PolicyList, PolicyRule } from './policy-document.ts'
import { corruptPolicy } from './policy-lists.ts'
import { compileReason } from './reason-text.ts'
import type { PolicyInput } from './ruling.ts'
import type { Rests } from './score-ruling.ts'

/** Rules, lists and segments are named in decisions and metrics; a list with this in front. */
export const LIST_PREFIX = 'list/'

/** A list or a rule as it is asked. */
export interface Step {
  /** Place in the policy: lists first, then rules. */
  readonly order: number
  readonly name: string
  readonly outcome: Outcome
  readonly grade: Grade
  readonly leaseMs: number
  readonly rests: Rests
  /** Only in this segment; null in all. */
  readonly segment: string | null
  /** Whether it applies, and then why, for a person; null when it does not. @throws where a condition fails. */
  readonly ask: (input: PolicyInput, views: ConditionViews) => AlertRule | null
}

/** Steps by their place in the order of override. */
export interface Steps {
  /** Blocks that nothing overrides. */
  readonly firm: readonly Step[]
  readonly overrides: readonly Step[]
  /** Blocks that can be overridden, and flags. */
  readonly rest: readonly Step[]
}

/** All steps of a policy. @throws SluiceError SLUICE_POLICY_CORRUPT when a condition is none of this build. */
export function stepsOf(
  policy: PolicyDocument,
  lists: ReadonlyMap<string, ListIndex>,
  conditions: ConditionCompiler,
): Steps {
  const steps: { readonly step: Step; readonly isFirm: boolean }[] = []
  for (const list of policy.lists) {
    const step = listStep(list, lists.get(list.name), steps.length, policy)
    if (step !== null) steps.push({ step, isFirm: step.outcome === 'block' && !list.overridable })
  }
  for (const rule of policy.rules) {
    const step = ruleStep(rule, conditionOf(rule.when, conditions), steps.length, policy)
    steps.push({ step, isFirm: step.outcome === 'block' && !rule.overridable })
  }
  const pick = (isFirm: boolean, isOverride: boolean): readonly Step[] =>
    steps
      .filter((one) => one.isFirm === isFirm && (one.step.outcome === 'approve') === isOverride)
      .map(({ step }) => step)
  return { firm: pick(true, false), overrides: pick(false, true), rest: pick(false, false) }
}

/** A condition of a policy that was checked. @throws SluiceError SLUICE_POLICY_CORRUPT */
export function conditionOf(when: string, conditions: ConditionCompiler): Condition {
  const compiled = conditions.compile(when)
  if (compiled.ok) return compiled.condition
  const [fault] = compiled.faults
  throw corruptPolicy(`the condition ${JSON.stringify(when)} is refused: ${fault?.message ?? ''}`)
}

/** Null for a list that only conditions use, or that has no entries yet. */
function listStep(
  { name, field, effect }: PolicyList,
  index: ListIndex | undefined,
  order: number,
  { leaseMs }: PolicyDocument,
): Step | null {
  if (field === null || effect === 'condition' || index === undefined) return null
  const outcome = effect === 'block' ? 'block' : 'approve'
  const ruleName = `${LIST_PREFIX}${name}`
  return {
    order,
    name: ruleName,
    outcome,
    // A person has put the value there.
    grade: 'confirmed',
    leaseMs,
    rests: { onScore: false, onFeatures: [] },
    segment: null,
    ask: ({ transaction }) => {
      const value = transaction[field]
      if (value === null) return null
      const entry = index.find(value, transaction.eventTimeMs)
      if (entry === null) return null
      return { name: ruleName, outcome, text: `${entry.reason} (list ${name}, ${entry.author})` }
    },
  }
}

function ruleStep(
  { name, outcome, grade, leaseMs, segment, reason }: PolicyRule,
  { holds, uses }: Condition,
  order: number,
  policy: PolicyDocument,
): Step {
  const textOf = compileReason(reason)
  return {
    order,
    name,
    outcome,
    grade,
    leaseMs: leaseMs ?? policy.leaseMs,
    rests: { onScore: uses.usesScore, onFeatures: [...uses.features] },
    segment,
    ask: (input, views) => (holds(views) ? { name, outcome, text: textOf(input) } : null),
  }
}
