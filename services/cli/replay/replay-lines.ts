// A finished replay as lines for people.

import { redactText } from '../../core/card-numbers.ts'
import { tableLine } from '../table.ts'
import { isProven, LEFT_OUT, MISMATCHES, type LeftOut } from './compared.ts'
import type { RanReplay } from './run-replay.ts'

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
      ? [line('not compared', `${ran.waitingBatches} blocks that saw what is not in the log`)]
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

/** Ids come from outside: no control characters, no card numbers. */
function safe(text: string): string {
  return redactText(text.replaceAll(/\p{Cc}/gu, '?'))
}
