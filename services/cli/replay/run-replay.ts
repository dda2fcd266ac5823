// Recomputes all decisions of a stream, or a range of them. Reads the whole retained log, since features look far back,
// and compares the decisions in the range.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { redactText } from '../../core/card-numbers.ts'
import { SluiceError } from '../../core/errors.ts'
import { entityRefsOf } from '../../core/features/provenance/replay-parts.ts'
import type { RecordedBatch } from '../../core/features/provenance/replay-records.ts'
import {
  HashSample,
  PickedSample,
  type ReplaySample,
} from '../../core/features/provenance/replay-sample.ts'
import { type DecisionRecord } from '../../core/wire/records.ts'
import { EnvReader } from '../../platform/config/env-reader.ts'
import type { Stores } from '../../platform/stores/stores.ts'
import { type PolicySettings, readBreakers } from '../../scorer/index.ts'
import { feedReplay } from '../../skew/index.ts'
import { repositoryRoot } from '../command.ts'
import { readTransaction } from '../features/explain.ts'
import type { DecidedStream } from '../features/export-rows.ts'
import { tableLine } from '../table.ts'
import { DecisionReplay } from './decision-replay.ts'
import {
  LEFT_OUT,
  type LeftOut,
  MISMATCHES,
  type ReplaySummary,
  findAlert,
  isProven,
} from './judge-decisions.ts'
import { ModelsByDigest, PoliciesByDigest, type ModelPlaces } from './recorded-deciders.ts'
import { recordedRates } from '../../platform/config/rates-setting.ts'

/** Cards and entity aggregates in memory; beyond that a share is left out, which the summary reports. */
const VALUES_MAX = 200_000
const PROGRESS_MESSAGES = 100_000

/** The range to replay. */
export type ReplayRange =
  | { readonly kind: 'all' }
  | { readonly kind: 'alert'; readonly alertId: string }
  /** Offsets of transactions, both included. */
  | {
      readonly kind: 'offsets'
      readonly partition: number
      readonly from: number
      readonly to: number
    }
  /** Event times, the end excluded. */
  | { readonly kind: 'times'; readonly fromMs: number; readonly endMs: number }

interface RanReplay extends ReplaySummary {
  readonly messages: number
  readonly unreadableBatches: number
  /** Decision batches that could not be replayed, since the log does not hold what they saw. */
  readonly waitingBatches: number
}

interface ReplayRun {
  readonly onProgress: (line: string) => void
  readonly signal: AbortSignal
}

/** @throws SluiceError SLUICE_USAGE for an empty range, and errors of topic readers and models. */
export async function runReplay(
  stream: DecidedStream,
  range: ReplayRange,
  { settings, places, eventAheadMsMax }: ReplayConfig,
  models: Pick<ModelsByDigest, 'find'>,
  { onProgress, signal }: ReplayRun,
): Promise<RanReplay> {
  const { isInRange, sample } = await openRange(stream, range, signal)
  const policies = new PoliciesByDigest(settings, places.stores.policies)
  const rates = await recordedRates(places.stores.policies)
  const decisions = new DecisionReplay({ models, policies, rates, isInRange })
  let saidAt = 0
  const { replay, messages, unreadableBatches } = await feedReplay(
    {
      ...stream,
      name: 'sluice-replay',
      rates,
      eventAheadMsMax,
      from: 'beginning',
      until: 'end',
      sample,
      valuesMax: VALUES_MAX,
      onReplayed: (row) => {
        decisions.take(row)
      },
      onCause: (cause) => {
        decisions.takeCause(cause)
      },
      settle: () => decisions.settle(),
      onStep: (_, read) => {
        if (read >= saidAt + PROGRESS_MESSAGES) {
          saidAt = read
          onProgress(`${read} messages read, ${decisions.tally.decisions} decisions replayed`)
        }
        return false
      },
    },
    signal,
  )
  signal.throwIfAborted()
  await decisions.settle()
  const { waitingBatches } = replay
  return { ...decisions.tally.summary(), messages, unreadableBatches, waitingBatches }
}

interface OpenRange {
  readonly isInRange: (block: RecordedBatch, decision: DecisionRecord) => boolean
  readonly sample: ReplaySample
}

async function openRange(
  stream: DecidedStream,
  range: ReplayRange,
  signal: AbortSignal,
): Promise<OpenRange> {
  const sample = new HashSample(1)
  switch (range.kind) {
    case 'all':
      return { sample, isInRange: () => true }
    case 'times':
      return {
        sample,
        isInRange: (_, { eventTimeMs }) => eventTimeMs >= range.fromMs && eventTimeMs < range.endMs,
      }
    case 'offsets':
      return {
        sample,
        isInRange: ({ partition }, { offset }) =>
          partition === range.partition && offset >= range.from && offset <= range.to,
      }
    case 'alert': {
      const [{ source }] = await findAlert(stream, range.alertId, signal)
      const { partition, offset } = source
      const transaction = await readTransaction(stream, partition, offset, signal)
      if (transaction === null) throw gone(range.alertId, partition, offset)
      return {
        sample: new PickedSample(transaction.card, entityRefsOf(transaction)),
        isInRange: (block, decision) => block.partition === partition && decision.offset === offset,
      }
    }
  }
}

function gone(alertId: string, partition: number, offset: number): SluiceError {
  return new SluiceError(
    'SLUICE_USAGE',
    `The transaction of alert ${alertId}, at transactions/${partition}/${offset}, is no longer in the log; what was ` +
      `recorded of it is shown by "sluice explain ${alertId}".`,
  )
}

// Configuration of a replay besides that of the stream; it must equal the scorer's.

interface ReplayConfig {
  readonly eventAheadMsMax: number
  /** Settings that the digest of the built-in policy covers. */
  readonly settings: PolicySettings
  readonly places: ModelPlaces
}

/** `folders` take precedence. @throws SluiceError SLUICE_CONFIG_INVALID naming every bad variable. */
export function loadReplayConfig(
  env: Readonly<Record<string, string | undefined>>,
  folders: readonly string[],
  stores: Stores,
): ReplayConfig {
  const read = new EnvReader(env)
  const configured = read.value('SLUICE_MODEL')
  const eventAheadMsMax = read.value('SLUICE_EVENT_AHEAD_MS_MAX')
  const settings = { leaseMs: read.value('SLUICE_LEASE_MS'), breakers: readBreakers(read) }
  read.throwIfInvalid()
  const root = repositoryRoot()
  const released = releasedFolder(root)
  const baseline = configured ?? (existsSync(join(released, 'manifest.json')) ? released : null)
  const places = {
    folders: baseline === null ? folders : [...folders, baseline],
    stores,
  }
  return { eventAheadMsMax, settings, places }
}

/** The folder that a scorer uses by default. */
function releasedFolder(root: string): string {
  return join(root, 'models/simulator')
}

// Formats a finished replay for people.

const WHY_LEFT_OUT: Readonly<Record<LeftOut, string>> = {
  message_gone: 'the transaction is no longer in the log',
  other_feature_list: 'made by another list of features than that of this build',
  behind_reach: 'came behind the reach, where the state may be gone',
  outside_sample: 'cards that did not fit into memory',
  model_gone: 'their model is in no folder and not in the store: name its folder with --model',
  policy_gone: 'their policy is not in the store, or SLUICE_LEASE_MS is not as the scorer had it',
  target_unknown: 'what the large net read, or whether it answered in time, cannot be known again',
  reasons_inexact: 'reasons are compared only where scores are compared bit for bit',
  first_decision_unknown: 'repeats of a decision that is no longer there',
}

export function replayLines(ran: RanReplay): readonly string[] {
  const { decisions, revisions, repeats, features, scores, outcomes, reasons, tolerance } = ran
  return [
    line('decisions', `${decisions}, ${revisions} of them revisions, ${repeats} repeats`),
    line(
      'features',
      `${features.compared} values compared, ${features.notCompared} not comparable`,
    ),
    line('scores', `${scores.compared} compared, ${scores.ofTarget} of them of the large net`),
    line('tolerance', tolerance === 0 ? 'none: bit for bit' : `${tolerance}: another backend`),
    line('outcomes', `${outcomes} compared`),
    line('reasons', `${reasons} flags and blocks compared`),
    ...LEFT_OUT.filter((reason) => ran.leftOut[reason] > 0).map((reason) =>
      line('not compared', `${ran.leftOut[reason]}: ${WHY_LEFT_OUT[reason]}`),
    ),
    ...(ran.unreadableBatches > 0
      ? [line('not compared', `${ran.unreadableBatches} messages that are no decision batch`)]
      : []),
    ...(ran.waitingBatches > 0
      ? [
          line(
            'not compared',
            `${ran.waitingBatches} decision batches that used messages which the log no longer holds`,
          ),
        ]
      : []),
    ...mismatchLines(ran),
    '',
    verdictOf(ran),
  ]
}

function mismatchLines({ mismatches, first }: RanReplay): readonly string[] {
  const counts = MISMATCHES.filter((kind) => mismatches[kind] > 0)
  if (counts.length === 0) return []
  return [
    '',
    ...counts.map((kind) => line(`!! ${kind}`, `${mismatches[kind]} differ`)),
    '',
    ...first.map(({ kind, partition, offset, revision, transactionId, recorded, recomputed }) => {
      const place = `transactions/${partition}/${offset}${revision === 0 ? '' : ` revision ${revision}`}`
      const words = `${kind}: recorded ${recorded}; recomputed ${recomputed}`
      return safe(`${place} (${transactionId}) ${words}`)
    }),
  ]
}

function verdictOf(ran: RanReplay): string {
  if (ran.decisions === 0) return 'Nothing was replayed: no decision lies in the range.'
  if (ran.mismatched > 0) return `${ran.mismatched} of ${ran.decisions} decisions differ.`
  if (!isProven(ran)) return 'Not proven: some decisions could not be computed again.'
  return `${ran.decisions} decisions replayed, no mismatch.`
}

function line(name: string, text: string): string {
  return tableLine([name, text], { widths: [12] })
}

/** Cleans ids, which come from outside: no control characters, no card numbers. */
function safe(text: string): string {
  return redactText(text.replaceAll(/\p{Cc}/gu, '?'))
}
