// Expected decisions and alerts of a live run: the log, applied in memory without losses, each batch at its recorded
// frontier. A batch that was decided without state is expected to be decided from its transactions alone, while the
// state contains them all the same. A decision with only a part of the state is not predicted.

import { DEFAULT_RATES } from '../../services/core/rates/default-rates.ts'
import { storedOutcomeOf } from '../../services/core/decision/decide.ts'
import { CardHistory } from '../../services/core/features/state/card-history.ts'
import { EntityPart } from '../../services/core/features/state/entity-part.ts'
import {
  entityKeyOf,
  type EntityKind,
} from '../../services/core/features/catalogue/feature-definition.ts'
import type {
  CardLookup,
  PartitionState,
  ReadablePart,
} from '../../services/core/features/engine/fold-state.ts'
import {
  PARTITION_START,
  PartitionFold,
  type FoldOptions,
} from '../../services/core/features/engine/partition-fold.ts'
import { LATENESS_MS } from '../../services/core/features/catalogue/time.ts'
import { partitionOf } from '../../services/core/murmur2.ts'
import type { PartitionProgress } from '../../services/core/stream/partition-progress.ts'
import type { Alert, Alignment, DecisionBatch } from '../../services/core/wire/records.ts'
import { topicName } from '../../services/platform/kafka/topics.ts'
import type { ScoringModel } from '../../services/core/scoring/scoring-model.ts'
import { openScoringModel } from '../../services/platform/tensorflow/scoring-model.ts'
import type { ProducedEvent } from '../../services/producer/index.ts'
import {
  foldBatch,
  type PartitionEntry,
  type PartitionLabel,
} from '../../services/scorer/batch/fold-batch.ts'
import { decideBatch, type DecidedBatch } from '../../services/scorer/batch/micro-batch.ts'
import { loadScorerConfig } from '../../services/scorer/config.ts'
import type { DecideOptions } from '../../services/scorer/decide/decide-options.ts'
import { policyOf, type Policy } from '../../services/scorer/deployments/policy.ts'
import { noBlocks } from '../../services/scorer/publish/partition-blocks.ts'
import type { Outputs } from './outputs.ts'
import { RELEASED_MODEL } from './model-variants.ts'
import { PlainMessages } from './plain-state.ts'
import { PARTITION_COUNT, type TestStream } from './streams.ts'

export const DEGRADED = 'degraded'

/** The two logs of one partition. */
interface PartitionLog {
  readonly entries: readonly PartitionEntry[]
  readonly labels: readonly PartitionLabel[]
}

/** State of one partition in maps; aggregates of other partitions up to a frontier. */
export class OracleState implements PartitionState, CardLookup {
  readonly cards = new Map<string, CardHistory>()
  /** By `entityKeyOf`. */
  readonly entities = new Map<number, EntityPart>()
  readonly messages = new PlainMessages()
  entityHorizonMs = -Infinity
  #others: readonly { readonly state: OracleState; readonly frontier: PartitionProgress }[] = []

  seeOthers(
    others: readonly { readonly state: OracleState; readonly frontier: PartitionProgress }[],
  ): void {
    this.#others = others
  }

  card(card: string): CardHistory {
    const history = this.cards.get(card) ?? new CardHistory()
    this.cards.set(card, history)
    return history
  }

  peekCard(card: string): CardHistory | null {
    return this.cards.get(card) ?? null
  }

  ownEntity(kind: EntityKind, ref: number): EntityPart {
    const key = entityKeyOf(kind, ref)
    const part = this.entities.get(key) ?? new EntityPart()
    this.entities.set(key, part)
    return part
  }

  otherEntities(kind: EntityKind, ref: number): readonly ReadablePart[] {
    return this.#others.flatMap(({ state, frontier }) => {
      const part = state.entities.get(entityKeyOf(kind, ref))
      return part === undefined ? [] : [{ part, frontier }]
    })
  }
}

/** The logs of all partitions, from the sent messages, in order. */
export function logsOfSent(
  { codecs, sentAtMs: timestampMs }: Pick<TestStream, 'codecs' | 'sentAtMs'>,
  events: readonly ProducedEvent[],
): readonly PartitionLog[] {
  const logs = Array.from({ length: PARTITION_COUNT }, () => ({
    entries: [] as PartitionLog['entries'][number][],
    labels: [] as PartitionLog['labels'][number][],
  }))
  for (const event of events) {
    for (const [partition, { entries, labels }] of logs.entries()) {
      if (event.kind === 'watermark') {
        const { timeMs, topic } = event
        if (topic === 'labels') labels.push({ kind: 'watermark', offset: labels.length, timeMs })
        else entries.push({ kind: 'watermark', offset: entries.length, timeMs })
        continue
      }
      const { card } = event.kind === 'label' ? event.label : event.transaction
      if (partitionOf(Buffer.from(card), PARTITION_COUNT) !== partition) continue
      if (event.kind === 'label') {
        labels.push({ kind: 'label', offset: labels.length, label: event.label })
      } else {
        const { transaction } = event
        const offset = entries.length
        const record = codecs.transaction.encode(transaction)
        entries.push({ kind: 'transaction', offset, timestampMs, transaction, record })
      }
    }
  }
  return logs
}

/** The state of every partition after its whole log. */
export function foldWhole(
  logs: readonly PartitionLog[],
  alignment: Alignment = 'live',
): readonly OracleState[] {
  return logs.map(({ entries, labels }) => {
    const state = new OracleState()
    foldBatch(
      { labels, entries, labelNextOffset: Infinity },
      new PartitionFold({ rates: DEFAULT_RATES }, PARTITION_START),
      state,
      alignment,
    )
    return state
  })
}

/** The progress of a partition's state at a frontier. */
function progressAt(
  log: PartitionLog,
  nextOffset: number,
  labelNextOffset: number,
): PartitionProgress {
  let newestEventMs = -1
  for (const entry of log.entries) {
    if (entry.kind !== 'transaction' || entry.offset >= nextOffset) continue
    newestEventMs = Math.max(newestEventMs, entry.transaction.eventTimeMs)
  }
  const watermarks = { watermarkMs: -1, labelWatermarkMs: -1 }
  return { generation: 1, nextOffset, labelNextOffset, newestEventMs, ...watermarks }
}

/** Answers that differ from the expected ones, each with both as text; empty when there are none. */
export interface WrongAnswers {
  readonly decisions: readonly string[]
  /** Includes all revisions, in publishing order. */
  readonly alerts: readonly string[]
}

/** Compares decisions only, for runs in which the clock may end leases. */
export async function wrongDecisions(
  stream: TestStream,
  outputs: Outputs,
  events: readonly ProducedEvent[],
): Promise<readonly string[]> {
  return (await wrongAnswers(stream, outputs, events)).decisions
}

/** Compares with the log's result under the scorers' environment; the clock is expected to end no lease. */
export async function wrongAnswers(
  stream: TestStream,
  outputs: Outputs,
  events: readonly ProducedEvent[],
  environment: Readonly<Record<string, string>> = {},
): Promise<WrongAnswers> {
  const logs = logsOfSent(stream, events)
  const whole = foldWhole(logs)
  const mode = outputs.decisionBatches[0]?.batch.mode ?? 'flag'
  const config = loadScorerConfig(stream.environment({ SLUICE_MODE: mode, ...environment }))
  const model = await openScoringModel({
    folder: config.modelFolder ?? RELEASED_MODEL,
    backend: 'compiled',
    referenceCurrency: DEFAULT_RATES.reference,
  })
  const policy = policyOf(config, null, model)
  const wrong = { decisions: [] as string[], alerts: [] as string[] }
  for (const [partition, log] of logs.entries()) {
    const options = optionsOf(stream, partition, model, policy)
    const oracle = new PartitionOracle(stream, log, options)
    const alerts: Alert[] = []
    for (const { batch, partition: of } of outputs.decisionBatches) {
      if (of !== partition) continue
      const decided = await oracle.decide(batch, frontierOf(batch, logs), whole)
      alerts.push(...decided.blocks.published)
      wrong.decisions.push(...wrongIn(batch, decided))
    }
    const published = outputs.alerts.filter(({ source }) => source.partition === partition)
    wrong.alerts.push(...wrongAlerts(stream, alerts, published))
  }
  model.close()
  return wrong
}

/** Decides the batches of a partition, one after the other, as expected. */
class PartitionOracle {
  readonly #log: PartitionLog
  readonly #options: DecideOptions
  readonly #foldOptions: FoldOptions
  readonly #state = new OracleState()
  readonly #fold: PartitionFold
  readonly #blocks = noBlocks()
  #labelCount = 0

  constructor({ codecs }: TestStream, log: PartitionLog, options: DecideOptions) {
    this.#log = log
    this.#options = options
    const readRecord: FoldOptions['readRecord'] = (record) => {
      const decoded = codecs.decodeTransactionMessage(record)
      return decoded.kind === 'transaction' ? decoded.value : null
    }
    this.#foldOptions = { rates: DEFAULT_RATES, readRecord }
    this.#fold = new PartitionFold(this.#foldOptions, PARTITION_START)
  }

  async decide(
    batch: DecisionBatch,
    progress: readonly (PartitionProgress | null)[],
    whole: readonly OracleState[],
  ): Promise<DecidedBatch> {
    const { labelNextOffset } = batch
    const state = this.#state
    const labels = this.#log.labels.slice(this.#labelCount, labelNextOffset)
    const entries = this.#log.entries.slice(batch.firstOffset, batch.nextOffset)
    const input = { labels, entries, labelNextOffset }
    this.#labelCount = labelNextOffset
    this.#seeOthers(batch.partition, progress, whole)
    const at = { state, fold: this.#fold, progress, blocks: this.#blocks }
    if (!isWithoutState(batch)) return decideBatch(input, at, batch.decidedAtMs, this.#options)
    const fold = new PartitionFold(this.#foldOptions, this.#fold.position)
    const without = { ...at, fold, state: null, progress: [] }
    const decided = await decideBatch(input, without, batch.decidedAtMs, this.#options)
    foldBatch(input, this.#fold, state, this.#options.alignment)
    for (const { card, offset, outcome } of decided.decisions) {
      state.card(card).setOutcome(offset, storedOutcomeOf(outcome))
    }
    return decided
  }

  #seeOthers(
    own: number,
    progress: readonly (PartitionProgress | null)[],
    whole: readonly OracleState[],
  ): void {
    const newestMs = progress.map((frontier, index) =>
      frontier === null || index === own ? -Infinity : frontier.newestEventMs,
    )
    this.#state.entityHorizonMs = Math.max(...newestMs) - LATENESS_MS
    this.#state.seeOthers(
      progress.flatMap((frontier, partition) => {
        const other = whole[partition]
        return frontier === null || other === undefined ? [] : [{ state: other, frontier }]
      }),
    )
  }
}

/** A batch with state names the positions of the other partitions, even when it has only a part of their state. */
function isWithoutState({ decisions, frontier }: DecisionBatch): boolean {
  const areDegraded = decisions.every(({ annotations }) => annotations.includes(DEGRADED))
  return areDegraded && decisions.length > 0 && frontier.length === 0
}

function wrongIn(batch: DecisionBatch, { decisions, features }: DecidedBatch): readonly string[] {
  const wrong: string[] = []
  const isPartly = !isWithoutState(batch)
  for (let index = 0; index < Math.max(decisions.length, batch.decisions.length); index += 1) {
    const decision = decisions[index]
    const found = batch.decisions[index]
    if (isPartly && found?.annotations.includes(DEGRADED) === true) continue
    const expected = JSON.stringify([decision, rowText(features, index, batch.featureCount)])
    const actual = JSON.stringify([found, rowText(floatsOf(batch), index, batch.featureCount)])
    if (expected === actual) continue
    const offset = decision?.offset ?? found?.offset ?? NaN
    wrong.push(`${batch.partition}/${offset}: ${expected} <> ${actual}`)
  }
  return wrong
}

/** Compares the encoded messages. */
function wrongAlerts(
  { codecs }: TestStream,
  expected: readonly Alert[],
  published: readonly Alert[],
): readonly string[] {
  const wrong: string[] = []
  for (let index = 0; index < Math.max(expected.length, published.length); index += 1) {
    const [one, other] = [expected[index], published[index]]
    if (one !== undefined && other !== undefined) {
      if (codecs.alert.encode(one).equals(codecs.alert.encode(other))) continue
    }
    wrong.push(`alert ${index}: ${JSON.stringify(one)} <> ${JSON.stringify(other)}`)
  }
  return wrong
}

function frontierOf(
  batch: DecisionBatch,
  logs: readonly PartitionLog[],
): readonly (PartitionProgress | null)[] {
  return logs.map((log, partition) => {
    const frontier = batch.frontier.find((one) => one.partition === partition)
    return frontier === undefined
      ? null
      : progressAt(log, frontier.nextOffset, frontier.labelNextOffset)
  })
}

function optionsOf(
  { streamId, prefix }: TestStream,
  partition: number,
  model: ScoringModel,
  { digest: policyDigest, version: policyVersion, ...ruled }: Policy,
): DecideOptions {
  const { baseline, version, digest } = model.info
  return {
    ...ruled,
    streamId,
    topic: topicName(prefix, 'transactions'),
    partition,
    partitionCount: PARTITION_COUNT,
    alignment: 'live',
    breakerResets: 0,
    modelVersion: version,
    modelDigest: digest,
    policyDigest,
    policyVersion,
    baseline,
    verify: model.verifier === null ? null : { verifier: model.verifier, timeoutMs: Infinity },
    keepsSequences: false,
    score: (rows, rowCount) => model.score(rows, rowCount),
  }
}

function floatsOf({ features }: DecisionBatch): Float64Array {
  const bytes = new Uint8Array(features)
  return new Float64Array(bytes.buffer, 0, Math.floor(bytes.length / 8))
}

/** Bit for bit. */
function rowText(features: Float64Array, index: number, featureCount: number): string {
  const row = features.slice(index * featureCount, (index + 1) * featureCount)
  return Buffer.from(row.buffer).toString('base64')
}
