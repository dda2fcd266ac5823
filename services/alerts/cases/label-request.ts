// What a person says about a transaction, with what is known of the transaction put beside it.

import { createHash } from 'node:crypto'
import type { LabelSubject, NamedFinding, Novelty } from '../../core/dispositions.ts'
import type { Alert, Disposition } from '../../core/wire/records.ts'
import type { LabelWriter } from './label-writer.ts'
import type { QueueState } from './queue-state.ts'

/** What was said. Fields of the transaction are needed only where no alert of it is remembered. */
export interface LabelRequest {
  /** Id of a transaction or of an alert. */
  readonly id: string
  readonly finding: NamedFinding
  readonly source: Exclude<Disposition['source'], 'unknown' | 'replay'>
  readonly author: string
  readonly reason: string
  /** Null when the request may be told from others only by what it says. */
  readonly idempotencyKey: string | null
  readonly card: string | null
  readonly eventTimeMs: number | null
  readonly merchant: string | null
  readonly terminal: string | null
  readonly device: string | null
  readonly ipNetwork: string | null
}

/** Sources that a person or a system of the bank may name. */
export const LABEL_SOURCES_SAID = ['analyst', 'chargeback', 'customer'] as const

/**
 * What became of a request. `unknown`: no alert of it is remembered, and card and event time are missing. `other_card`:
 * the alert is of another card than the request says.
 */
export type LabelOutcome =
  | { readonly kind: 'unknown' | 'other_card' }
  | {
      readonly kind: Novelty
      readonly disposition: Disposition
      /** False for what found nothing out. */
      readonly isLabel: boolean
    }

/** What a label is said with. */
export interface Labelling {
  readonly state: QueueState
  readonly writer: LabelWriter
  /** Takes into the state every disposition that is committed at the call. */
  readonly catchUp: () => Promise<void>
}

/**
 * Writes a label, unless it says nothing new. The caller sees to it that calls do not overlap.
 * @throws SluiceError as `LabelWriter.write`.
 */
export async function label(
  request: LabelRequest,
  { state, writer, catchUp }: Labelling,
  nowMs: number,
): Promise<LabelOutcome> {
  const alert = state.alerts.find(request.id)
  if (alert !== null && request.card !== null && request.card !== alert.card)
    return { kind: 'other_card' }
  const subject = subjectOf(request, alert)
  if (subject === null) return { kind: 'unknown' }
  const disposition: Disposition = {
    transactionId: subject.transactionId,
    alertId: alert?.alertId ?? null,
    card: subject.card,
    finding: request.finding,
    source: request.source,
    author: request.author,
    reason: request.reason,
    requestKey: request.idempotencyKey === null ? null : hashOf(request.idempotencyKey),
    atMs: nowMs,
  }
  const { dispositions } = state
  const known = dispositions.noveltyOf(disposition)
  const written =
    known === 'new'
      ? await writer.write(disposition, subject, async () => {
          await catchUp()
          return dispositions.noveltyOf(disposition)
        })
      : known
  if (written === 'new') {
    // Known here at once: the topic brings it again later, which changes nothing.
    dispositions.take(disposition)
    state.alerts.takeDisposition(disposition)
  }
  if (written === 'repeated') dispositions.takeRepeated(disposition)
  // What a look has found may be from an attempt of our own whose outcome did not come back.
  const kind = known === 'new' && dispositions.holds(disposition) ? 'new' : written
  return { kind, disposition, isLabel: request.finding !== 'inconclusive' }
}

function subjectOf(request: LabelRequest, alert: Alert | null): LabelSubject | null {
  const { device, ipNetwork } = request
  const card = alert?.card ?? request.card
  const eventTimeMs = alert?.eventTimeMs ?? request.eventTimeMs
  if (card === null || eventTimeMs === null) return null
  return {
    transactionId: alert?.transactionId ?? request.id,
    card,
    eventTimeMs,
    merchant: alert?.merchant ?? request.merchant,
    terminal: alert?.terminal ?? request.terminal,
    // No alert has these.
    device,
    ipNetwork,
  }
}

/** A key may be anything, also something that should not stand in a topic. */
function hashOf(key: string): string {
  return createHash('sha256').update(key).digest('hex')
}
