// Applies a shadow policy to decided transactions. It runs after the commit, one slice per turn of the event loop, from
// a bounded queue. Decisions that find no room are counted and left out; no partition ever waits for it.

import type { Thresholds } from '../../core/decision/decide.ts'
import { shownAnnotations } from '../../core/decision/shown-annotations.ts'
import type { LoadedRuleset } from '../../core/policy/loaded-ruleset.ts'
import type { CompiledPolicy } from '../../core/policy/ruling.ts'
import type { Outcome } from '../../core/wire/records.ts'
import type { Closable } from '../../platform/lifecycle.ts'
import type { Logger } from '../../platform/log.ts'
import type { ModelRole, PolicyEvents } from '../../platform/metrics/deployment-metrics.ts'
import type { DecidedBatch } from '../batch/micro-batch.ts'
import { RowInput } from '../decide/rule-batch.ts'
import { ShadowQueue } from './shadow-queue.ts'

/** Most decisions that wait, over all partitions: a few seconds of a busy scorer. */
export const SHADOW_DECISIONS_MAX = 16_384
/** Decisions per turn, few enough that no partition notices. */
const SLICE = 64

interface Waiting {
  readonly decided: DecidedBatch
  readonly thresholds: Thresholds
}

export interface PolicyShadowOptions {
  readonly telemetry: Pick<PolicyEvents, 'policyShadowed' | 'policyShadowDropped'>
  readonly log: Logger
}

export class PolicyShadow implements Closable {
  readonly #options: PolicyShadowOptions
  #ruleset: LoadedRuleset | null = null
  #policy: CompiledPolicy | null = null
  readonly #queue: ShadowQueue<Waiting>

  constructor(options: PolicyShadowOptions) {
    this.#options = options
    this.#queue = new ShadowQueue({
      rowsMax: SHADOW_DECISIONS_MAX,
      sliceRows: SLICE,
      step: (waiting, from, to) => {
        if (this.#policy !== null) this.#rule(this.#policy, waiting, from, to)
      },
      failed: (error, decisions) => {
        options.telemetry.policyShadowDropped(decisions)
        options.log.warn({ error }, 'The shadow policy has failed; waiting decisions are dropped.')
      },
    })
  }

  get digest(): string | null {
    return this.#ruleset?.digest ?? null
  }

  /** A ruleset without a policy of its own cannot run as a shadow. */
  set(ruleset: LoadedRuleset | null): void {
    this.#ruleset = ruleset
    this.#policy = ruleset?.policy?.compiled ?? null
    this.forget()
  }

  /** Called when the active policy or model changes: queued decisions come from the earlier one. */
  forget(): void {
    this.#queue.empty()
  }

  offer(decided: DecidedBatch, thresholds: Thresholds): void {
    if (this.#policy === null) return
    const count = decided.decisions.length
    if (!this.#queue.hasRoomFor(count)) {
      this.#options.telemetry.policyShadowDropped(count)
      return
    }
    this.#queue.push({ decided, thresholds }, count)
  }

  async close(): Promise<void> {
    const resting = this.#queue.rest()
    this.set(null)
    await resting
  }

  #rule(policy: CompiledPolicy, { decided, thresholds }: Waiting, from: number, to: number): void {
    const pairs: Readonly<Record<ModelRole, Outcome>>[] = []
    let failed = 0
    const matrix = { ...decided, modelThresholds: thresholds }
    for (let index = from; index < to; index += 1) {
      const decision = decided.decisions[index]
      // Duplicates are not ruled on, and a revision's transaction was ruled on before.
      if (decision === undefined) continue
      if (decision.duplicateOfOffset !== null || decision.revision > 0) continue
      const annotations = shownAnnotations(decision.annotations)
      const input = new RowInput(matrix, index, decision.score ?? NaN, annotations)
      const ruling = policy.rule(input)
      pairs.push({ active: decision.outcome, shadow: ruling.outcome })
      if (ruling.failed.length > 0) failed += 1
    }
    this.#options.telemetry.policyShadowed(pairs, failed)
  }
}
