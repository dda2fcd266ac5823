// Compiles a policy. Order of precedence: blocks that cannot be overridden, then overrides (allow lists and approving
// rules), then the other rules according to the policy's match, then the score.

import { isScore } from '../decision/decide.ts'
import { type AlertRule, type Grade, GRADES, type Outcome, OUTCOMES } from '../wire/records.ts'
import type { ConditionViews } from './condition-views.ts'
import { type Condition, ConditionCompiler } from './condition.ts'
import type { PolicyDocument, PolicyList, PolicyRule } from './policy-document.ts'
import { corruptPolicy, ListIndex, type PolicyLists } from './policy-lists.ts'
import { compileReason } from './reason-text.ts'
import { modeOfSegment, type Ruleset } from './ruleset.ts'
import type { CompiledPolicy, PolicyInput, PolicyAnnotation, Ruling } from './ruling.ts'
import { cautionOf, outcomeByScore, type BlockBasis, thresholdsFor } from './score-ruling.ts'

const SCORE_BASIS: BlockBasis = { onScore: true, onFeatures: [] }
const SEGMENT_PREFIX = 'segment/'
const NONE: ReadonlySet<string> = new Set()

/**
 * Compiles a policy with its lists and modes.
 * @throws SluiceError SLUICE_POLICY_CORRUPT when this build refuses a condition.
 */
export function compilePolicy(
  policy: PolicyDocument,
  lists: PolicyLists,
  modes: Pick<Ruleset, 'mode' | 'segmentModes'>,
): CompiledPolicy {
  return new PolicyRuler(policy, lists, modes)
}

/** A list or rule that matched. */
interface Fired {
  readonly step: Step
  readonly rule: AlertRule
  /** Its outcome; a block on a doubtful basis becomes a flag. */
  readonly outcome: Outcome
  readonly isWithheld: boolean
}

interface CautiousOutcome {
  readonly outcome: Outcome
  readonly isWithheld: boolean
}

class PolicyRuler implements CompiledPolicy {
  readonly #policy: PolicyDocument
  readonly #modes: Pick<Ruleset, 'mode' | 'segmentModes'>
  readonly #segments: readonly { readonly name: string; readonly condition: Condition | null }[]
  readonly #steps: Steps
  readonly #views: ConditionViews
  /** Event time of the current transaction. */
  #eventTimeMs = 0
  #without = NONE

  constructor(
    policy: PolicyDocument,
    lists: PolicyLists,
    modes: Pick<Ruleset, 'mode' | 'segmentModes'>,
  ) {
    this.#policy = policy
    this.#modes = modes
    const indexes = new Map<string, ListIndex>()
    for (const { name } of policy.lists) {
      const content = lists.get(name)
      if (content !== undefined) indexes.set(name, new ListIndex(content))
    }
    const conditions = new ConditionCompiler(
      policy,
      (list, value) => (indexes.get(list)?.find(value, this.#eventTimeMs) ?? null) !== null,
    )
    this.#views = conditions.createViews()
    this.#segments = policy.segments.map(({ name, when }) => ({
      name,
      condition: when === null ? null : conditionOf(when, conditions),
    }))
    this.#steps = stepsOf(policy, indexes, conditions)
  }

  get leaseMs(): number {
    return this.#policy.leaseMs
  }

  rule(input: PolicyInput, without: ReadonlySet<string> = NONE): Ruling {
    this.#views.look(input)
    this.#eventTimeMs = input.transaction.eventTimeMs
    this.#without = without
    const failed: string[] = []
    const segment = this.#segmentOf(failed)
    const firm = this.#ask(this.#steps.firm, input, segment, failed, false)
    const overrides =
      firm.length > 0 ? [] : this.#ask(this.#steps.overrides, input, segment, failed, false)
    const isFirst = this.#policy.match === 'first'
    const rest =
      isFirst && firm.length > 0
        ? []
        : this.#ask(this.#steps.rest, input, segment, failed, isFirst && overrides.length === 0)
    const byScore = this.#byScore(input)
    const decided = this.#decide(firm, overrides, rest, byScore)
    const outcome = failed.length === 0 ? decided : stricter(decided, this.#policy.onFailure)
    const fired = [...firm, ...overrides, ...rest].sort((a, b) => a.step.order - b.step.order)
    const blocks = fired.filter((one) => one.outcome === 'block')
    return {
      outcome,
      mode: modeOfSegment(this.#modes, segment),
      segment,
      rules: fired.map(({ rule }) => rule),
      grade: strongest(blocks.map(({ step }) => step.grade)),
      leaseMs:
        blocks.length === 0
          ? this.#policy.leaseMs
          : Math.max(...blocks.map(({ step }) => step.leaseMs)),
      annotations: annotationsOf(outcome, failed, overrides, [...firm, ...rest, byScore]),
      failed,
      threshold: this.#thresholdReached(input, outcome),
    }
  }

  #decide(
    firm: readonly Fired[],
    overrides: readonly Fired[],
    rest: readonly Fired[],
    byScore: CautiousOutcome,
  ): Outcome {
    if (firm.length === 0 && overrides.length > 0) return 'approve'
    if (this.#policy.match === 'strictest') return strictest([...firm, ...rest, byScore])
    if (firm.length > 0) return strictest(firm)
    return rest[0]?.outcome ?? byScore.outcome
  }

  #segmentOf(failed: string[]): string | null {
    for (const { name, condition } of this.#segments) {
      try {
        if (condition === null || condition.holds(this.#views)) return name
      } catch {
        failed.push(`${SEGMENT_PREFIX}${name}`)
      }
    }
    return null
  }

  /** The steps that match, in order. A condition that fails is recorded and does not match. */
  #ask(
    steps: readonly Step[],
    input: PolicyInput,
    segment: string | null,
    failed: string[],
    stopsAtFirst: boolean,
  ): readonly Fired[] {
    const fired: Fired[] = []
    for (const step of steps) {
      if (step.segment !== null && step.segment !== segment) continue
      if (this.#without.size > 0 && this.#without.has(step.name)) continue
      try {
        const rule = step.ask(input, this.#views)
        if (rule === null) continue
        const { outcome, isWithheld } = this.#withCaution(step.outcome, step.basis, input)
        fired.push({ step, rule: isWithheld ? { ...rule, outcome } : rule, outcome, isWithheld })
        if (stopsAtFirst) break
      } catch {
        failed.push(step.name)
      }
    }
    return fired
  }

  #byScore(input: PolicyInput): CautiousOutcome {
    return this.#withCaution(outcomeByScore(input, this.#policy), SCORE_BASIS, input)
  }

  #withCaution(outcome: Outcome, basis: BlockBasis, input: PolicyInput): CautiousOutcome {
    if (outcome !== 'block') return { outcome, isWithheld: false }
    const isWithheld = cautionOf(basis, input, this.#policy.allowBlockOn) !== null
    return { outcome: isWithheld ? 'flag' : 'block', isWithheld }
  }

  #thresholdReached(input: PolicyInput, outcome: Outcome): number | null {
    if (outcome === 'approve' || !isScore(input.score)) return null
    const byScore = outcomeByScore(input, this.#policy)
    if (byScore === 'approve') return null
    const { flag, block } = thresholdsFor(input, this.#policy)
    return outcome === 'block' && byScore === 'block' ? block : flag
  }
}

function annotationsOf(
  outcome: Outcome,
  failed: readonly string[],
  overrides: readonly Fired[],
  others: readonly CautiousOutcome[],
): readonly PolicyAnnotation[] {
  const annotations: PolicyAnnotation[] = []
  if (failed.length > 0) annotations.push('policy_failed')
  if (outcome === 'flag' && others.some(({ isWithheld }) => isWithheld))
    annotations.push('block_withheld')
  const hasBlock = others.some(({ outcome: other }) => other === 'block')
  if (overrides.length > 0 && hasBlock) annotations.push('overridden')
  return annotations
}

function strictest(outcomes: readonly CautiousOutcome[]): Outcome {
  return outcomes.reduce<Outcome>((found, { outcome }) => stricter(found, outcome), 'approve')
}

function stricter(one: Outcome, other: Outcome): Outcome {
  return OUTCOMES.indexOf(one) >= OUTCOMES.indexOf(other) ? one : other
}

function strongest(grades: readonly Grade[]): Grade {
  return grades.reduce<Grade>(
    (found, grade) => (GRADES.indexOf(grade) > GRADES.indexOf(found) ? grade : found),
    'suspected',
  )
}

// Steps: the lists and rules of a policy, each compiled to a test of one transaction.

/** Prefix of the names of lists in decisions and metrics. */
export const LIST_PREFIX = 'list/'

/** A compiled list or rule. */
export interface Step {
  /** Position in the policy: lists first, then rules. */
  readonly order: number
  readonly name: string
  readonly outcome: Outcome
  readonly grade: Grade
  readonly leaseMs: number
  readonly basis: BlockBasis
  /** Only in this segment; null for all. */
  readonly segment: string | null
  /** The rule with its reason when it matches; otherwise null. @throws when a condition fails. */
  readonly ask: (input: PolicyInput, views: ConditionViews) => AlertRule | null
}

/** Steps by precedence. */
export interface Steps {
  /** Blocks that cannot be overridden. */
  readonly firm: readonly Step[]
  readonly overrides: readonly Step[]
  /** Blocks that can be overridden, and flags. */
  readonly rest: readonly Step[]
}

/** All steps of a policy. @throws SluiceError SLUICE_POLICY_CORRUPT when this build refuses a condition. */
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

/** Compiles a condition of a checked policy. @throws SluiceError SLUICE_POLICY_CORRUPT */
export function conditionOf(when: string, conditions: ConditionCompiler): Condition {
  const compiled = conditions.compile(when)
  if (compiled.ok) return compiled.condition
  const [fault] = compiled.faults
  throw corruptPolicy(`the condition ${JSON.stringify(when)} is refused: ${fault?.message ?? ''}`)
}

/** Null for a list that only conditions use, or that has no content yet. */
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
    // Entries are added by operators.
    grade: 'confirmed',
    leaseMs,
    basis: { onScore: false, onFeatures: [] },
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
    basis: { onScore: uses.usesScore, onFeatures: [...uses.features] },
    segment,
    ask: (input, views) => (holds(views) ? { name, outcome, text: textOf(input) } : null),
  }
}
