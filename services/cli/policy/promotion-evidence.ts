// Gathers evidence about a policy from the topics, the lake, the store, scorers and the skew meter. Everything is read
// once and counted, not kept. When one source lacks a figure, the next is asked, and every figure names its source.

import { truthOf } from '../../core/backtest/backtest-row.ts'
import { compiledByLists } from '../../core/backtest/guarded-policy.ts'
import { sinceWhen } from '../../core/control/deployment.ts'
import type { Choice } from '../../core/control/deployment.ts'
import { isSluiceError } from '../../core/errors.ts'
import type { PolicyDocument } from '../../core/policy/policy-document.ts'
import type {
  Evidence,
  FoundAgreement,
  FoundFairness,
  PromotionEvidence,
  PromotionLimits,
} from '../../core/policy/promotion-gates.ts'
import { type Ruleset, modeOfSegment } from '../../core/policy/ruleset.ts'
import {
  FairnessCounts,
  type FairnessReport,
  type FairnessRule,
} from '../../core/scoring/fairness.ts'
import type { DecisionBatch, DecisionRecord, Mode, Outcome } from '../../core/wire/records.ts'
import { EnvReader } from '../../platform/config/env-reader.ts'
import { type ControlAccess, readDeployments } from '../../platform/kafka/control-topic.ts'
import { checkModel, type ModelStore } from '../../platform/model-store.ts'
import { findRuleset } from '../../platform/policy-store.ts'
import type { Stores } from '../../platform/stores/stores.ts'
import { measureSkew } from '../../skew/index.ts'
import { openLakeSource } from '../backtest/row-source.ts'
import { ListsOfRows, ModelThresholds, featuresOf } from '../backtest/load-policies.ts'
import { printProgress } from '../command.ts'
import { readBatches } from '../features/export-rows.ts'
import { fetchMetricsPage, metricsUrl, seriesOf, sumOfSeries } from '../metrics-page.ts'
import { fieldsOf, readFrauds, readGroups, textOf } from '../model/candidate-rows.ts'
import { statusOn } from './policy-status.ts'
import { recordedRates } from '../../platform/config/rates-setting.ts'
import { storesOf } from '../model/model-stream.ts'

interface EvidenceSource {
  readonly access: ControlAccess
  readonly stores: Stores
  /** Folder of the model configured for the scorers. */
  readonly configuredModel: string
  /** Digest of the ruleset in force. */
  readonly active: string
  readonly inForce: Ruleset
  readonly document: PolicyDocument
  readonly segment: string | null
  readonly to: Mode
  readonly matureMs: number
  readonly fairnessRule: FairnessRule
  /** Origin of the rule, in words. */
  readonly fairnessRuleFrom: string
  /** Folder of a lake; null for none. */
  readonly lake: string | null
  /** Address of the metrics page of a skew meter; null for none. */
  readonly meter: string | null
  /** Addresses of metrics pages of scorers. */
  readonly scorers: readonly string[]
  /** Equals the scorer's setting. */
  readonly eventAheadMsMax: number
  /** Most messages read to recompute features. */
  readonly messagesMax: number
}

const TOPICS = 'decisions topic'

/**
 * Gathers the evidence that the gates need. @throws SluiceError of Kafka, or SLUICE_INPUT_INVALID for an unreadable
 * source.
 */
export async function gatherEvidence(
  source: EvidenceSource,
  signal: AbortSignal,
): Promise<PromotionEvidence> {
  const { access, stores, configuredModel, active, scorers, meter } = source
  const store = stores.models
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

/** Takes topics or lake, whichever holds more of the policy's mature decisions; the lake goes back further. */
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

/**
 * Time at which the policy began, as shadow or active, by the clock of the operator who published it; -Infinity when it
 * is not known.
 */
async function beganAtMs({ access, stores, inForce }: EvidenceSource): Promise<number> {
  const deployments = await readDeployments(access, 'policy')
  const policies = new Map<string, string | null>()
  for (const { deployment } of deployments) {
    for (const digest of [deployment.active, deployment.shadow]) {
      if (digest === null || policies.has(digest)) continue
      const ruleset = await findRuleset(stores.policies, digest).catch(() => null)
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

// Counts decisions of one policy in one mode, batch by batch, without keeping them.

const DAY_MS = 86_400_000

/** True when the next mode would publish this outcome. */
function isAlertedFor(to: Mode, outcome: Outcome): boolean {
  return to === 'enforce' ? outcome === 'block' : outcome !== 'approve'
}

/**
 * True when promoting this segment (null: all without a mode of their own) changes the treatment of traffic of `own`.
 */
export function isPromoted(
  { segmentModes }: Pick<Ruleset, 'segmentModes'>,
  segment: string | null,
  own: string | null,
): boolean {
  if (segment !== null) return own === segment
  return own === null || !Object.hasOwn(segmentModes, own)
}

interface TallySource {
  readonly stores: Pick<Stores, 'policies'>
  readonly inForce: Ruleset
  readonly segment: string | null
  readonly to: Mode
}

/** Called for each decision that is old enough to be judged. */
type OnMature = (decision: DecisionRecord, partition: number, isFraud: boolean) => void

/** Counts decisions of the policy in force that were made in its segment's current mode. */
class DecisionTally {
  readonly #source: TallySource
  readonly #matureEndMs: number
  readonly #onMature: OnMature
  readonly #rulesets = new Map<string, boolean>()
  decisions = 0
  /** Model of the newest decision batch that counts. */
  modelDigest: string | null = null
  #firstMs = Infinity
  #lastMs = -Infinity
  #otherMs = -Infinity
  #mature = 0
  #alerts = 0
  #frauds = 0

  constructor(source: TallySource, matureEndMs: number, onMature: OnMature) {
    this.#source = source
    this.#matureEndMs = matureEndMs
    this.#onMature = onMature
  }

  async count(block: DecisionBatch, frauds: ReadonlySet<string>): Promise<void> {
    const { inForce, segment, to } = this.#source
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
      if (!isPromoted(inForce, segment, decision.segment)) continue
      this.decisions += 1
      if (decision.eventTimeMs > this.#matureEndMs) continue
      const isFraud = frauds.has(decision.transactionId)
      this.#mature += 1
      this.#onMature(decision, partition, isFraud)
      if (!isAlertedFor(to, decision.outcome)) continue
      this.#alerts += 1
      if (isFraud) this.#frauds += 1
    }
  }

  /** Days since the last decision of another policy or mode; partitions may overlap for a moment. Null for none. */
  get days(): number | null {
    if (this.decisions === 0) return null
    return Math.max(0, this.#lastMs - Math.max(this.#firstMs, this.#otherMs)) / DAY_MS
  }

  /** Null when no decision is old enough. */
  get precision(): { readonly alerts: number; readonly frauds: number } | null {
    return this.#mature === 0 ? null : { alerts: this.#alerts, frauds: this.#frauds }
  }

  async #isOfPolicy(digest: string): Promise<boolean> {
    const known = this.#rulesets.get(digest)
    if (known !== undefined) return known
    const { stores, inForce, segment } = this.#source
    const ruleset = await findRuleset(stores.policies, digest).catch(() => null)
    const isOf =
      ruleset !== null &&
      ruleset.policy === inForce.policy &&
      modeOfSegment(ruleset, segment) === modeOfSegment(inForce, segment)
    this.#rulesets.set(digest, isOf)
    return isOf
  }
}

// Conditions of a promotion: environment variables to one checked object.

interface PromotionConfig {
  readonly limits: PromotionLimits
  /** Age at which a decision without a fraud label counts as genuine. */
  readonly matureMs: number
  /** Folder of the model configured for the scorers; null for the released one. */
  readonly modelFolder: string | null
  /** Equals the scorer's setting. */
  readonly eventAheadMsMax: number
}

/** @throws SluiceError SLUICE_CONFIG_INVALID naming every bad variable. */
export function loadPromotionConfig(env: NodeJS.ProcessEnv): PromotionConfig {
  const read = new EnvReader(env)
  const config: PromotionConfig = {
    limits: {
      daysMin: read.value('SLUICE_PROMOTE_DAYS_MIN'),
      precisionMin: read.value('SLUICE_PROMOTE_PRECISION_MIN'),
      alertsMin: read.value('SLUICE_PROMOTE_ALERTS_MIN'),
      agreementMin: read.value('SLUICE_PROMOTE_AGREEMENT_MIN'),
      skewShareMax: read.value('SLUICE_PROMOTE_SKEW_SHARE_MAX'),
    },
    matureMs: read.value('SLUICE_PROMOTE_MATURE_MS'),
    modelFolder: read.value('SLUICE_MODEL'),
    eventAheadMsMax: read.value('SLUICE_EVENT_AHEAD_MS_MAX'),
  }
  read.throwIfInvalid()
  return config
}

// Agreement of a cascade with its large net: as running scorers measure it on payments that the large net need not have
// scored, else as the deciding model states it.

/** Below this number of payments, the model's statement is better evidence. */
const LIVE_PAYMENTS_MIN = 1_000

interface AgreementSource {
  readonly store: ModelStore
  /** Folder of the model configured for the scorers. */
  readonly configuredModel: string
  /** Addresses of metrics pages of scorers. */
  readonly scorers: readonly string[]
  /** Digest of the ruleset in force, which identifies pages of this stream. */
  readonly active: string
  /** Model of the newest decision; null for none. */
  readonly modelDigest: string | null
}

async function agreementEvidence(source: AgreementSource): Promise<Evidence<FoundAgreement>> {
  const { store, configuredModel, modelDigest } = source
  const live = await liveAgreement(source)
  const cases = live.same + live.different
  if (cases >= LIVE_PAYMENTS_MIN) {
    const { same, different } = live
    return {
      found: { kind: 'live', same, different },
      source: `metrics of ${live.places.join(', ')}`,
    }
  }
  if (modelDigest === null) return { found: null, why: 'no decision of this policy was found' }
  const atLeast = await statedAgreement(modelDigest, store, configuredModel)
  const why = `the model that decides, ${modelDigest.slice(0, 12)}, is not in the store ${store.place}`
  if (atLeast === null) return { found: null, why }
  const few = cases === 0 ? '' : `; scorers have measured ${cases} payments, too few`
  return { found: { kind: 'stated', atLeast }, source: `stated in the model's manifest${few}` }
}

async function liveAgreement({ scorers, active }: AgreementSource) {
  const places: string[] = []
  let [same, different] = [0, 0]
  for (const address of scorers) {
    const url = metricsUrl(address)
    const page = await fetchMetricsPage(url, 'a running scorer').catch(() => null)
    if (page === null || statusOn(url, page, active).verdict !== 'serves') continue
    // Counters go back to the start of the process: after a switch they cover more models than the deciding one.
    const switches = seriesOf(page, 'sluice_model_switches_total')
    if (switches.some(({ labels, value }) => labels['role'] === 'active' && value > 0)) continue
    places.push(new URL(url).host)
    for (const { labels, value } of seriesOf(page, 'sluice_cascade_sample_total')) {
      if (labels['outcome'] === 'same') same += value
      else different += value
    }
  }
  return { same, different, places }
}

/** The agreement that the deciding model states; null when it cannot be read. */
async function statedAgreement(
  digest: string,
  store: ModelStore,
  configuredModel: string,
): Promise<number | null> {
  const readers = [() => store.find(digest), () => checkModel(configuredModel)]
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

// Agreement of features with the log: as counted by a running skew meter, else recomputed here, within bounds.

/** Most messages that are read: minutes, on one core. */
export const RECOMPUTED_MESSAGES_MAX = 5_000_000
const PROGRESS_MESSAGES = 500_000

interface SkewSource {
  readonly access: ControlAccess
  /** Address of the metrics page of a running meter; null for none. */
  readonly meter: string | null
  /** Equals the scorer's setting. */
  readonly eventAheadMsMax: number
  /** When features are recomputed here, only decisions from this time of the scorer's clock on are counted. */
  readonly decidedFromMs: number
  readonly messagesMax: number
}

type Skew = NonNullable<PromotionEvidence['skew']['found']>

/** @throws SluiceError SLUICE_INPUT_INVALID for a meter that does not answer, or errors of Kafka. */
export async function skewEvidence(
  source: SkewSource,
  signal: AbortSignal,
): Promise<Evidence<Skew>> {
  const { meter } = source
  if (meter !== null) {
    const url = metricsUrl(meter)
    const page = await fetchMetricsPage(url, 'a running "sluice skew", such as 127.0.0.1:9466')
    const compared = sumOfSeries(page, 'sluice_skew_values_compared_total')
    const mismatches = sumOfSeries(page, 'sluice_skew_mismatches_total')
    if (compared !== null && compared > 0 && mismatches !== null)
      return { found: { compared, mismatches }, source: `meter at ${url}` }
    printProgress(`the meter at ${url} has compared nothing yet; a sample is recomputed here`)
  }
  return recomputed(source, signal)
}

async function recomputed(
  { access, eventAheadMsMax, decidedFromMs, messagesMax }: SkewSource,
  signal: AbortSignal,
): Promise<Evidence<Skew>> {
  let told = 0
  const { decisions, compared, mismatches, messages, sample, isComplete } = await measureSkew(
    {
      ...access,
      rates: await recordedRates(storesOf({}).policies),
      ...{ eventAheadMsMax, decidedFromMs, messagesMax },
      onProgress: (read) => {
        if (read < told + PROGRESS_MESSAGES) return
        told = read
        printProgress(`${read} messages read to recompute features`)
      },
    },
    signal,
  )
  const meter = 'run "sluice skew" beside the scorers and give its metrics page with --skew'
  if (!isComplete) {
    return { found: null, why: `the topics hold more than ${messagesMax} messages; ${meter}` }
  }
  if (compared === 0) {
    return {
      found: null,
      why: `the log lets none of ${decisions} decisions be recomputed; ${meter}`,
    }
  }
  const share = sample === 1 ? 'all' : `${Number((100 * sample).toPrecision(3))}%`
  return {
    found: { compared, mismatches },
    source: `${decisions} decisions recomputed here from ${messages} messages, ${share} of the cards`,
  }
}

// Fairness of a policy from a backtest: the lake's decisions since the policy began, as shadow or active, ruled on
// again, and counted by the groups of the rule as those of the topics are.

export interface LakeFairnessSource {
  readonly folder: string
  readonly stores: Stores
  readonly configuredModel: string
  readonly document: PolicyDocument
  readonly inForce: Pick<Ruleset, 'segmentModes'>
  readonly segment: string | null
  readonly to: Mode
  readonly matureMs: number
  readonly rule: FairnessRule
  /** Decisions before this time of the scorer's clock are older than the policy. */
  readonly decidedFromMs: number
}

/** Null, with the reason in words, when the lake has no evidence. */
type LakeFairness =
  | { readonly report: FairnessReport; readonly source: string }
  | { readonly report: null; readonly why: string }

/** @throws the signal's reason. */
export async function lakeFairness(
  source: LakeFairnessSource,
  signal: AbortSignal,
): Promise<LakeFairness> {
  try {
    return await counted(source, signal)
  } catch (error) {
    if (!isSluiceError(error)) throw error
    printProgress(`the lake ${source.folder} says nothing about fairness: ${error.message}`)
    return { report: null, why: `the lake ${source.folder} cannot be asked (${error.code})` }
  }
}

async function counted(source: LakeFairnessSource, signal: AbortSignal): Promise<LakeFairness> {
  const { folder, stores, document, inForce, segment, to, matureMs, rule, decidedFromMs } = source
  const fields = fieldsOf(rule)
  const counts = new FairnessCounts(rule)
  const compiledFor = compiledByLists(document)
  const rows = await openLakeSource({
    ...{ folder, fromMs: -Infinity, endMs: Infinity, asOfMs: null, decidedFromMs },
    features: featuresOf([{ document }]),
    thresholds: new ModelThresholds({
      store: stores.models,
      folders: [source.configuredModel],
      askedBy: document.thresholds.kind === 'model' ? [document.name] : [],
    }),
    lists: new ListsOfRows({
      store: stores.policies,
      names: document.lists.map(({ name }) => name),
      files: new Map(),
      fixed: null,
    }),
  })
  const maturity = { asOfMs: rows.asOfMs, maturityMs: matureMs }
  try {
    for await (const chunk of rows.rows(signal)) {
      for (const { input, lists, label } of chunk) {
        const truth = truthOf(input.transaction.eventTimeMs, label, maturity)
        if (truth === 'unknown') continue
        const ruling = compiledFor(lists).rule(input)
        if (!isPromoted(inForce, segment, ruling.segment)) continue
        const values = fields.map((field) => textOf(input.transaction, field))
        counts.add(values, truth === 'fraud', isAlertedFor(to, ruling.outcome))
      }
    }
  } finally {
    await rows.close()
  }
  return { report: counts.report(), source: `backtest over the lake ${folder}` }
}
