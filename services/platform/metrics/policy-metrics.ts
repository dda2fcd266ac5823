// Which policies are in service, what came of those that were asked for, and how a policy in the shadow does beside the
// one that decides.

import { isSluiceError } from '../../core/errors.ts'
import { OUTCOMES, type Outcome } from '../../core/wire/records.ts'
import { MODEL_ROLES, type ModelRole } from './model-metrics.ts'
import type { MetricMaker } from './process-metrics.ts'

/** Why a ruleset that was asked for is not in force. */
export const POLICY_REFUSALS = ['not_found', 'corrupt', 'not_opened'] as const
export type PolicyRefusal = (typeof POLICY_REFUSALS)[number]

const SHADOW_RESULTS = ['ruled', 'dropped', 'failed'] as const

/** Conditions are named by people: as many as a policy may have. */
const CONDITIONS = 'rules by name, segments as segment/name; at most those of one policy'

/** A policy in service. */
export interface PolicyServed {
  readonly digest: string
  readonly version: number
}

export interface PolicyEvents {
  /** Null: none serves in this role. */
  policyServes(role: ModelRole, policy: PolicyServed | null): void
  policySwitched(role: ModelRole): void
  /** What was asked for serves, or why it does not. */
  policyJudged(role: ModelRole, refusal: PolicyRefusal | null): void
  /** Conditions that failed, by name. */
  policyFailed(failures: ReadonlyMap<string, number>): void
  /** Another policy decides: what failed in the last one is over. */
  policyFailuresEnd(): void
  /** Decisions that both policies have ruled. */
  policyShadowed(pairs: readonly Readonly<Record<ModelRole, Outcome>>[], failed: number): void
  /** Decisions that the shadow left out, since it had too many waiting. */
  policyShadowDropped(decisions: number): void
}

/** Why a ruleset was refused, as a metric label. */
export function policyRefusalOf(error: unknown): PolicyRefusal {
  if (isSluiceError(error, 'SLUICE_POLICY_NOT_FOUND')) return 'not_found'
  return isSluiceError(error, 'SLUICE_POLICY_CORRUPT') ? 'corrupt' : 'not_opened'
}

/** Makes the metrics of policies in service. */
export function createPolicyMetrics(make: MetricMaker): PolicyEvents {
  const version = make.gauge(
    'sluice_policy_version',
    'Version of the ruleset in each role; 0 is the built-in policy, or no shadow.',
    { role: MODEL_ROLES },
  )
  const switches = make.counter(
    'sluice_policy_switches_total',
    'Times another ruleset began to serve, since the start of the process.',
    { role: MODEL_ROLES },
  )
  const refused = make.gauge(
    'sluice_policy_refused',
    '1 while a ruleset that the control topic asks for is refused and another one is in force, by reason.',
    { role: MODEL_ROLES, reason: POLICY_REFUSALS },
  )
  const failures = make.counter(
    'sluice_policy_failures_total',
    'Conditions of the policy in force that could not be answered; the decision is at least a flag.',
    { condition: CONDITIONS },
  )
  return {
    ...shadowEvents(make),
    policyServes(role, policy) {
      version.set({ role }, policy?.version ?? 0)
    },
    policySwitched(role) {
      switches.inc({ role })
    },
    policyJudged(role, refusal) {
      for (const reason of POLICY_REFUSALS) {
        refused.set({ role, reason }, reason === refusal ? 1 : 0)
      }
    },
    policyFailed(counts) {
      for (const [condition, count] of counts) failures.inc({ condition }, count)
    },
    policyFailuresEnd() {
      failures.reset()
    },
  }
}

function shadowEvents(
  make: MetricMaker,
): Pick<PolicyEvents, 'policyShadowed' | 'policyShadowDropped'> {
  const decisions = make.counter(
    'sluice_policy_shadow_decisions_total',
    'Decisions offered to the policy in the shadow, by what came of them; failed: a condition could not be answered.',
    { result: SHADOW_RESULTS },
  )
  const outcomes = make.counter(
    'sluice_policy_shadow_outcomes_total',
    'Decisions that both policies have ruled, by the outcome of each.',
    { active: OUTCOMES, shadow: OUTCOMES },
  )
  return {
    policyShadowed(pairs, failed) {
      decisions.inc({ result: 'ruled' }, pairs.length)
      decisions.inc({ result: 'failed' }, failed)
      for (const { active, shadow } of pairs) outcomes.inc({ active, shadow })
    },
    policyShadowDropped(count) {
      decisions.inc({ result: 'dropped' }, count)
    },
  }
}
