// What a stream's topics, the lake, the store, scorers and the skew meter say of a policy: read once, counted, and nothing
// of it kept. What one source cannot say is asked of the next, and every figure names its source.

import { type Choice, sinceWhen } from '../../core/control/deployment.ts'
import type { PolicyDocument } from '../../core/policy/policy-document.ts'
import type {
  Evidence,
  FoundFairness,
  PromotionEvidence,
} from '../../core/policy/promotion-gates.ts'
import type { Ruleset } from '../../core/policy/ruleset.ts'
import {
  FairnessCounts,
  type FairnessReport,
  type FairnessRule,
} from '../../core/scoring/fairness.ts'
import type { Mode } from '../../core/wire/records.ts'
import { readDeployments, type ControlAccess } from '../../platform/kafka/control-topic.ts'
import { findRuleset } from '../../platform/policy-store.ts'
import { printProgress } from '../command.ts'
import { readBatches } from '../features/read-batches.ts'
import { fieldsOf, readFrauds, readGroups } from '../model/evaluation-topics.ts'
import { agreementEvidence } from './agreement-evidence.ts'
import { lakeFairness } from './lake-fairness.ts'
import { DecisionTally, isAlertedFor } from './promotion-tally.ts'
import { skewEvidence } from './skew-evidence.ts'

export interface EvidenceSource {
  readonly access: ControlAccess
  readonly store: string
  /** Folder of the model that scorers are configured with. */
  readonly configuredModel: string
  /** Digest of what is in force. */
  readonly active: string
  readonly inForce: Ruleset
  readonly document: PolicyDocument
  readonly segment: string | null
  readonly to: Mode
  readonly matureMs: number
  readonly fairnessRule: FairnessRule
  /** Where the rule is from, in words. */
  readonly fairnessRuleFrom: string
  /** Folder of a lake; null for none. */
  readonly lake: string | null
  /** Address of the metrics page of a skew meter; null for none. */
  readonly meter: string | null
  /** Addresses of metrics pages of scorers. */
  readonly scorers: readonly string[]
  /** As the scorer has it. */
  readonly eventAheadMsMax: number
  /** Messages that are read at most to recompute features. */
  readonly messagesMax: number
}

const TOPICS = 'decisions topic'

/** Gathers what the gates ask. @throws SluiceError of Kafka, or SLUICE_INPUT_INVALID for what cannot be read. */
export async function gatherEvidence(
  source: EvidenceSource,
  signal: AbortSignal,
): Promise<PromotionEvidence> {
  const { access, store, configuredModel, active, scorers, meter } = source
  const { eventAheadMsMax, messagesMax } = source
  const { tally, report } = await readTopics(source, signal)
  const decidedFromMs = await beganAtMs(source)
  const { days, precision, modelDigest } = tally
  return {
    days:
      days === null
        ? { found: null, why: 'no decision of this policy in this mode was found' }
        : { found: days, source: TOPICS },
    precision:
      precision === null
        ? { found: null, why: 'no decision is old enough to be judged' }
        : { found: precision, source: `${TOPICS} and labels` },
    agreement: await agreementEvidence({ store, configuredModel, scorers, active, modelDigest }),
    skew: await skewEvidence(
      { access, meter, eventAheadMsMax, decidedFromMs, messagesMax },
      signal,
    ),
    fairness: await fairnessEvidence(source, report, decidedFromMs, signal),
  }
}

async function readTopics(
  source: EvidenceSource,
  signal: AbortSignal,
): Promise<{ readonly tally: DecisionTally; readonly report: FairnessReport }> {
  const { access, fairnessRule, matureMs, to, eventAheadMsMax } = source
  const frauds = await readFrauds(access, signal)
  const { held, newestMs } = await readGroups(
    access,
    { fields: fieldsOf(fairnessRule), eventAheadMsMax },
    signal,
  )
  const counts = new FairnessCounts(fairnessRule)
  const tally = new DecisionTally(source, newestMs - matureMs, (decision, partition, isFraud) => {
    const values = held.at(`${partition}/${decision.offset}`)?.values
    if (values !== undefined) counts.add(values, isFraud, isAlertedFor(to, decision.outcome))
  })
  const { blocks } = await readBatches(
    access,
    () => true,
    (block) => tally.count(block, frauds),
    printProgress,
    signal,
  )
  printProgress(
    `${blocks} decision batches read, ${tally.decisions} decisions of this policy in this mode`,
  )
  return { tally, report: counts.report() }
}

/** Of topics and lake the one that has more of the policy's decisions to judge; the lake goes back further. */
async function fairnessEvidence(
  source: EvidenceSource,
  topics: FairnessReport,
  decidedFromMs: number,
  signal: AbortSignal,
): Promise<Evidence<FoundFairness>> {
  const { lake, fairnessRule: rule, fairnessRuleFrom } = source
  const asked =
    lake === null
      ? null
      : await lakeFairness({ ...source, folder: lake, rule, decidedFromMs }, signal)
  const isLake = asked !== null && asked.report !== null && asked.report.rows > topics.rows
  const { report, from } = isLake
    ? { report: asked.report, from: asked.source }
    : { report: topics, from: `${TOPICS} and labels` }
  if (report.rows === 0) {
    const more =
      asked === null
        ? 'give a lake that goes back further with --lake'
        : asked.report === null
          ? asked.why
          : 'nor has the lake one'
    return {
      found: null,
      why: `the topics have no decision that is old enough to be judged; ${more}`,
    }
  }
  return {
    found: {
      rows: report.rows,
      isJudged: report.findings.some(isJudged),
      breaches: report.breaches,
    },
    source: `${from}, by ${fairnessRuleFrom}`,
  }
}

function isJudged({ falsePositives, recall }: FairnessReport['findings'][number]): boolean {
  return falsePositives.verdict !== 'too_few' || recall.verdict !== 'too_few'
}

/** When the policy began, in the shadow or active, by the clock of who said so; -Infinity where that is not known. */
async function beganAtMs({ access, store, inForce }: EvidenceSource): Promise<number> {
  const deployments = await readDeployments(access, 'policy')
  const policies = new Map<string, string | null>()
  for (const { deployment } of deployments) {
    for (const digest of [deployment.active, deployment.shadow]) {
      if (digest === null || policies.has(digest)) continue
      const ruleset = await findRuleset(store, digest).catch(() => null)
      policies.set(digest, ruleset?.policy ?? null)
    }
  }
  const isOf = (choice: Choice): boolean =>
    choice !== null && policies.get(choice) === inForce.policy
  const since = sinceWhen(
    deployments,
    ({ active, shadow }) => (isOf(active) || isOf(shadow) ? inForce.policy : null),
    (choice) => choice,
  )
  return since?.atMs ?? -Infinity
}
