// Puts the ruleset that the control topic names into force. It fetches the ruleset by digest, checks and compiles it
// beside the partitions, then switches, so that the next batch of every partition uses it. When a ruleset is refused,
// an error is logged and the old one stays in force.

import type { Deployment } from '../../core/control/deployment.ts'
import type { LoadedRuleset } from '../../core/policy/loaded-ruleset.ts'
import type { Closable } from '../../platform/lifecycle.ts'
import type { Logger } from '../../platform/log.ts'
import {
  type ModelRole,
  type PolicyEvents,
  policyRefusalOf,
} from '../../platform/metrics/deployment-metrics.ts'
import { firstOpened, DeploymentController, type Wanted } from './deployment-controller.ts'
import type { PolicyShadow } from './policy-shadow.ts'

export interface PolicySwitchDeps {
  /** Fetches, checks and compiles a ruleset. */
  readonly open: (digest: string) => Promise<LoadedRuleset>
  /** Puts a ruleset in force from the next batch on; null is the built-in policy. */
  readonly serve: (ruleset: LoadedRuleset | null, position: number | null) => void
  /** The same ruleset, named by another message. */
  readonly confirm: (position: number) => void
  readonly shadow: Pick<PolicyShadow, 'digest' | 'set'>
  readonly telemetry: PolicyEvents
  readonly log: Logger
}

export class PolicySwitch implements Closable {
  readonly #deps: PolicySwitchDeps
  readonly #switch: DeploymentController
  /** Null is the built-in policy. */
  #active: string | null = null

  constructor(deps: PolicySwitchDeps) {
    this.#deps = deps
    this.#switch = new DeploymentController({
      serve: (role, wanted) =>
        role === 'active' ? this.#serveActive(wanted) : this.#serveShadow(wanted),
      judged: (role, error, wanted) => {
        this.#judged(role, error, wanted)
      },
    })
  }

  /** Requests a ruleset. Returns at once. */
  want(deployment: Deployment, position: number): void {
    this.#switch.want(deployment, position)
  }

  /** Resolves when every requested ruleset is in force or refused. */
  settled(): Promise<void> {
    return this.#switch.settled()
  }

  /**
   * Used at the start of a process. If the ruleset is refused, the last earlier one that can be opened serves instead.
   */
  async startWith(deployment: Deployment, position: number): Promise<void> {
    this.want(deployment, position)
    await this.settled()
    if (deployment.active === this.#active) return
    const before = await firstOpened(deployment.earlier, () => false, this.#deps.open)
    const { log } = this.#deps
    if (before === null) {
      log.warn(
        { digest: deployment.active },
        'The built-in policy decides instead of the refused one.',
      )
      return
    }
    const { digest, ruleset } = before
    log.warn(
      { digest, version: ruleset.version },
      'The previous policy decides instead of the refused one.',
    )
    this.#serve(before, null)
  }

  close(): Promise<void> {
    return this.#switch.close()
  }

  async #serveActive({ deployment: { active }, position }: Wanted): Promise<void> {
    if (active === this.#active) {
      this.#deps.confirm(position)
      return
    }
    const ruleset = active === null ? null : await this.#deps.open(active)
    if (this.#switch.isClosed) return
    this.#serve(ruleset, position)
    this.#deps.telemetry.policySwitched('active')
    const version = ruleset?.ruleset.version ?? 0
    this.#deps.log.info({ digest: active, version, position }, 'Active policy replaced.')
  }

  async #serveShadow({ deployment: { shadow: wanted } }: Wanted): Promise<void> {
    const { shadow, telemetry, log, open } = this.#deps
    if (wanted === shadow.digest) return
    const ruleset = wanted === null ? null : await open(wanted)
    if (this.#switch.isClosed) return
    shadow.set(ruleset)
    telemetry.policySwitched('shadow')
    telemetry.policyServes('shadow', servedOf(ruleset))
    if (wanted === null) log.info({}, 'Shadow policy removed.')
    else log.info({ digest: wanted }, 'Shadow policy replaced.')
  }

  #serve(ruleset: LoadedRuleset | null, position: number | null): void {
    this.#active = ruleset?.digest ?? null
    this.#deps.serve(ruleset, position)
    this.#deps.telemetry.policyServes('active', servedOf(ruleset))
  }

  #judged(role: ModelRole, error: unknown, { deployment, position }: Wanted): void {
    const { telemetry, log } = this.#deps
    const reason = error === null ? null : policyRefusalOf(error)
    telemetry.policyJudged(role, reason)
    if (reason === null) return
    const digest = role === 'active' ? deployment.active : deployment.shadow
    log.error({ role, reason, digest, position, error }, 'A policy is refused.')
  }
}

function servedOf(ruleset: LoadedRuleset | null) {
  return ruleset === null ? null : { digest: ruleset.digest, version: ruleset.ruleset.version }
}
