// A policy made ready to be asked, in the order of override: a block that may not be overridden beats an override (an
// allow list, an approving rule), which beats all else; then the rules by the policy's match; then the score.

import { isScore } from '../decision/decide.ts'
import { GRADES, OUTCOMES, type AlertRule, type Grade, type Outcome } from '../wire/records.ts'
import { ConditionCompiler, type Condition } from './condition.ts'
import { ConditionViews } from './condition-views.ts'
import { ListIndex } from './list-index.ts'
import type { PolicyDocument } from './policy-document.ts'
import type { PolicyLists } from './policy-lists.ts'
import { conditionOf, stepsOf, type Step, type Steps } from './policy-steps.ts'
import { modeOfSegment, type Ruleset } from './ruleset.ts'
import type { CompiledPolicy, PolicyInput, PolicyMark, Ruling } from './ruling.ts'
import { cautionOf, outcomeByScore, thresholdsFor, type Rests } from './score-ruling.ts'

const SCORE_RESTS: Rests = { onScore: true, onFeatures: [] }
const SEGMENT_PREFIX = 'segment/'
const NONE: ReadonlySet<string> = new Set()

/**
 * Compiles a policy with its lists and modes.
 * @throws SluiceError SLUICE_POLICY_CORRUPT when a condition is none of this build.
 */
export function compilePolicy(
  policy: PolicyDocument,
  lists: PolicyLists,
  modes: Pick<Ruleset, 'mode' | 'segmentModes'>,
): CompiledPolicy {
  return new PolicyRuler(policy, lists, modes)
}

/** A list or rule that applied. */
interface Fired {
  readonly step: Step
  readonly rule: AlertRule
  /** Its outcome, unless its block rests on something doubtful. */
  readonly outcome: Outcome
  readonly isWithheld: boolean
}

interface Said {
  readonly outcome: Outcome
  readonly isWithheld: boolean
}

class PolicyRuler implements CompiledPolicy {
  readonly #policy: PolicyDocument
  readonly #modes: Pick<Ruleset, 'mode' | 'segmentModes'>
  readonly #segments: readonly { readonly name: string; readonly condition: Condition | null }[]
  readonly #steps: Steps
  readonly #views = new ConditionViews()
  /** Of the transaction that is asked about. */
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
      policy.lists.map(({ name }) => name),
      (list, value) => (indexes.get(list)?.find(value, this.#eventTimeMs) ?? null) !== null,
    )
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
      marks: marksOf(outcome, failed, overrides, [...firm, ...rest, byScore]),
      failed,
      threshold: this.#thresholdReached(input, outcome),
    }
  }

  #decide(
    firm: readonly Fired[],
    overrides: readonly Fired[],
    rest: readonly Fired[],
    byScore: Said,
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

  /** What applies of these steps, in order. A condition that fails is noted, and is no answer. */
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
        const { outcome, isWithheld } = this.#withCaution(step.outcome, step.rests, input)
        fired.push({ step, rule: isWithheld ? { ...rule, outcome } : rule, outcome, isWithheld })
        if (stopsAtFirst) break
      } catch {
        failed.push(step.name)
      }
    }
    return fired
  }

  #byScore(input: PolicyInput): Said {
    return this.#withCaution(outcomeByScore(input, this.#policy), SCORE_RESTS, input)
  }

  #withCaution(outcome: Outcome, rests: Rests, input: PolicyInput): Said {
    if (outcome !== 'block') return { outcome, isWithheld: false }
    const isWithheld = cautionOf(rests, input, this.#policy.allowBlockOn) !== null
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

function marksOf(
  outcome: Outcome,
  failed: readonly string[],
  overrides: readonly Fired[],
  others: readonly Said[],
): readonly PolicyMark[] {
  const marks: PolicyMark[] = []
  if (failed.length > 0) marks.push('policy_failed')
  if (outcome === 'flag' && others.some(({ isWithheld }) => isWithheld))
    marks.push('block_withheld')
  const tookBack = others.some(({ outcome: other }) => other === 'block')
  if (overrides.length > 0 && tookBack) marks.push('overridden')
  return marks
}

function strictest(said: readonly Said[]): Outcome {
  return said.reduce<Outcome>((found, { outcome }) => stricter(found, outcome), 'approve')
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
