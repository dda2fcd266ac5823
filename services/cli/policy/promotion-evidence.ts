// What a stream's topics, the store and the skew meter say of a policy: read once, counted, and nothing of it kept.

import type { Mode, DecisionBlock, DecisionRecord } from '../../core/wire/records.ts'
import { FairnessCounts, type FairnessRule } from '../../core/scoring/fairness.ts'
import { isSluiceError } from '../../core/errors.ts'
import type { PromotionEvidence } from '../../core/policy/promotion-gates.ts'
import { modeOfSegment, type Ruleset } from '../../core/policy/ruleset.ts'
import type { ControlAccess } from '../../platform/kafka/control-topic.ts'
import { checkModel, findModel } from '../../platform/model-store.ts'
import { findRuleset } from '../../platform/policy-store.ts'
import { printProgress } from '../command.ts'
import { readBlocks } from '../features/read-blocks.ts'
import { fieldsOf, readFrauds, readGroups } from '../model/evaluation-topics.ts'

const DAY_MS = 86_400_000

export interface EvidenceSource {
  readonly access: ControlAccess
  readonly store: string
  /** Folder of the model that scorers are configured with. */
  readonly configuredModel: string
  readonly inForce: Ruleset
  readonly segment: string | null
  readonly to: Mode
  readonly matureMs: number
  readonly fairnessRule: FairnessRule | null
  /** Text of the metrics page of the skew meter; null where nobody gave one. */
  readonly skewPage: string | null
}

/** Gathers what the gates ask. */
export async function gatherEvidence(
  source: EvidenceSource,
  signal: AbortSignal,
): Promise<PromotionEvidence> {
  const { access, fairnessRule, skewPage } = source
  const fields = fairnessRule === null ? [] : fieldsOf(fairnessRule)
  const frauds = await readFrauds(access, signal)
  const { groups, newestMs } = await readGroups(access, fields, signal)
  const counts = fairnessRule === null ? null : new FairnessCounts(fairnessRule)
  const tally = new DecisionTally(
    source,
    newestMs - source.matureMs,
    (decision, partition, isFraud) => {
      const values = groups.get(`${partition}/${decision.offset}`)
      if (values === undefined || counts === null) return
      counts.add(values, isFraud, isAlertedFor(source.to, decision))
    },
  )
  const read = await readBlocks(
    access,
    () => true,
    (block) => tally.count(block, frauds),
    printProgress,
    signal,
  )
  printProgress(
    `${read.blocks} decision blocks read, ${tally.decisions} decisions of this policy in this mode`,
  )
  const report = counts?.report() ?? null
  return {
    days: tally.days,
    precision: tally.precision,
    agreementAtLeast: await agreementOf(tally.modelDigest, source),
    skew: skewPage === null ? null : skewOf(skewPage),
    fairness:
      report === null
        ? null
        : {
            judged: report.findings.some(
              ({ falsePositives, recall }) =>
                falsePositives.verdict !== 'too_few' || recall.verdict !== 'too_few',
            ),
            breaches: report.breaches,
          },
  }
}

/** What the next mode would publish for this decision. */
function isAlertedFor(to: Mode, { outcome }: DecisionRecord): boolean {
  return to === 'enforce' ? outcome === 'block' : outcome !== 'approve'
}

/** Counts decisions of the policy in force, made in the mode that its segment has now. */
class DecisionTally {
  readonly #source: EvidenceSource
  readonly #matureEndMs: number
  readonly #onMature: (decision: DecisionRecord, partition: number, isFraud: boolean) => void
  readonly #rulesets = new Map<string, boolean>()
  decisions = 0
  /** Of the newest block that counts. */
  modelDigest: string | null = null
  #firstMs = Infinity
  #lastMs = -Infinity
  #otherMs = -Infinity
  #mature = 0
  #alerts = 0
  #frauds = 0

  constructor(
    source: EvidenceSource,
    matureEndMs: number,
    onMature: (decision: DecisionRecord, partition: number, isFraud: boolean) => void,
  ) {
    this.#source = source
    this.#matureEndMs = matureEndMs
    this.#onMature = onMature
  }

  async count(block: DecisionBlock, frauds: ReadonlySet<string>): Promise<void> {
    const { segment, to } = this.#source
    const { decidedAtMs, partition } = block
    if (!(await this.#isOfPolicy(block.policyDigest))) {
      this.#otherMs = Math.max(this.#otherMs, decidedAtMs)
      return
    }
    this.#firstMs = Math.min(this.#firstMs, decidedAtMs)
    if (decidedAtMs >= this.#lastMs) this.modelDigest = block.modelDigest
    this.#lastMs = Math.max(this.#lastMs, decidedAtMs)
    for (const decision of block.decisions) {
      if (decision.revision !== 0 || decision.duplicateOfOffset !== null) continue
      if (segment !== null && decision.segment !== segment) continue
      this.decisions += 1
      if (decision.eventTimeMs > this.#matureEndMs) continue
      const isFraud = frauds.has(decision.transactionId)
      this.#mature += 1
      this.#onMature(decision, partition, isFraud)
      if (!isAlertedFor(to, decision)) continue
      this.#alerts += 1
      if (isFraud) this.#frauds += 1
    }
  }

  /** Since the last decision of another policy or mode; partitions may overlap for a moment. */
  get days(): number | null {
    if (this.decisions === 0) return null
    return Math.max(0, this.#lastMs - Math.max(this.#firstMs, this.#otherMs)) / DAY_MS
  }

  get precision(): PromotionEvidence['precision'] {
    return this.#mature === 0 ? null : { alerts: this.#alerts, frauds: this.#frauds }
  }

  async #isOfPolicy(digest: string): Promise<boolean> {
    const known = this.#rulesets.get(digest)
    if (known !== undefined) return known
    const { store, inForce, segment } = this.#source
    const ruleset = await findRuleset(store, digest).catch(() => null)
    const isOf =
      ruleset !== null &&
      ruleset.policy === inForce.policy &&
      modeOfSegment(ruleset, segment) === modeOfSegment(inForce, segment)
    this.#rulesets.set(digest, isOf)
    return isOf
  }
}

/** As the model that decided states it; null when it cannot be read. */
async function agreementOf(
  digest: string | null,
  { store, configuredModel }: EvidenceSource,
): Promise<number | null> {
  if (digest === null) return null
  const readers = [() => findModel(store, digest), () => checkModel(configuredModel)]
  for (const read of readers) {
    const model = await read().catch((error: unknown) => {
      if (isSluiceError(error)) return null
      throw error
    })
    if (model?.digest !== digest) continue
    const { target } = model.manifest
    return target === null ? 1 : target.agreement.overallAtLeast
  }
  return null
}

/** Counters of the skew meter from its metrics page. */
function skewOf(page: string): PromotionEvidence['skew'] {
  const sum = (name: string): number =>
    page
      .split('\n')
      .filter((line) => line.startsWith(`${name}{`))
      .reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
  return {
    compared: sum('sluice_skew_values_compared_total'),
    mismatches: sum('sluice_skew_mismatches_total'),
  }
}
