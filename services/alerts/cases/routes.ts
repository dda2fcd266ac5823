// Routes of the HTTP service of cases: the queue, and requests to label.

import assert from 'node:assert/strict'
import { type Case, NAMED_FINDINGS } from '../../core/cases.ts'
import type { Clock } from '../../core/clock.ts'
import { isSluiceError } from '../../core/errors.ts'
import type { ApiAnswer, ApiRequest, Route } from '../../platform/http/api-server.ts'
import { type JsonFields, Problem } from '../../platform/http/json-body.ts'
import type { CasesTelemetry } from '../../platform/metrics/alerts-telemetry.ts'
import {
  label,
  LABEL_SOURCES_SAID,
  type Labelling,
  type LabelOutcome,
  type LabelRequest,
} from './label-request.ts'

/** Most alerts listed per case; the count covers all of them. */
const ALERTS_LISTED_MAX = 100

/** The case without fields that only the scorer needs. */
export function caseView({ alerts, ...rest }: Case) {
  return {
    ...rest,
    alertCount: alerts.length,
    alerts: alerts.slice(0, ALERTS_LISTED_MAX).map(({ alert, expectedLossMinor, priority }) => ({
      alertId: alert.alertId,
      transactionId: alert.transactionId,
      action: alert.action,
      card: alert.card,
      terminal: alert.terminal,
      merchant: alert.merchant,
      eventTimeMs: alert.eventTimeMs,
      amountMinor: alert.amountMinor,
      currency: alert.currency,
      score: alert.score,
      expectedLossMinor,
      priority,
      reason: alert.reasons[0]?.text ?? null,
    })),
  }
}

const ID_CHARACTERS_MAX = 128
const REASON_CHARACTERS_MAX = 500
const CASES_LISTED_DEFAULT = 100
const CASES_LISTED_MAX = 1_000
const FIELDS = [
  'id',
  'finding',
  'reason',
  'source',
  'card',
  'eventTimeMs',
  'merchant',
  'terminal',
  'device',
  'ipNetwork',
] as const
const KEY = /^[\x21-\x7e]{1,128}$/

interface Answering extends Labelling {
  readonly clock: Clock
  readonly telemetry: Pick<CasesTelemetry, 'findingSaid'>
  /** False until the topics are read to their end: before that it is unknown which findings are recorded. */
  readonly isReady: () => boolean
}

/** `GET /queue` and `POST /labels`. */
export function casesRoutes(answering: Answering): readonly Route[] {
  const labels = new LabelsInTurn(answering)
  return [
    {
      method: 'GET',
      path: '/queue',
      needs: 'read',
      answer(request): ApiAnswer {
        mustBeReady(answering)
        const { cases, ...rest } = answering.state.queue()
        const listed = cases.slice(0, limitOf(request)).map(caseView)
        return { status: 200, body: { ...rest, openCases: cases.length, cases: listed } }
      },
    },
    {
      method: 'POST',
      path: '/labels',
      needs: 'write',
      async answer(request): Promise<ApiAnswer> {
        const said = labelRequest(await request.body(), request)
        mustBeReady(answering)
        return labels.say(said)
      },
    },
  ]
}

/** Processes labels one at a time, so that of two equal requests the second finds the first. */
class LabelsInTurn {
  readonly #answering: Answering
  #last: Promise<unknown> = Promise.resolve()

  constructor(answering: Answering) {
    this.#answering = answering
  }

  async say(request: LabelRequest): Promise<ApiAnswer> {
    const { clock, telemetry } = this.#answering
    const next = this.#last.then(() => label(request, this.#answering, clock.nowMs()))
    this.#last = next.catch(() => undefined)
    const outcome = await next.catch((error: unknown) => {
      throw problemOf(error)
    })
    const answer = answerTo(outcome)
    telemetry.findingSaid(request.finding, answer.status === 201)
    return answer
  }
}

function answerTo(outcome: LabelOutcome): ApiAnswer {
  switch (outcome.kind) {
    case 'unknown':
      throw new Problem(
        'not_found',
        'No alert with this id, or of this transaction, is remembered; give card and eventTimeMs of the transaction.',
        { field: 'id' },
      )
    case 'other_card':
      throw new Problem('conflict', 'The alert is of another card.', { field: 'card' })
    case 'conflict':
      throw new Problem('conflict', 'This Idempotency-Key was used for another label.')
    case 'new':
    case 'repeated': {
      const { transactionId, alertId, finding, source, atMs } = outcome.disposition
      const { kind, isLabel } = outcome
      const body = { said: kind, isLabel, transactionId, alertId, finding, source, atMs }
      return { status: kind === 'new' ? 201 : 200, body }
    }
  }
}

function labelRequest(fields: JsonFields, request: ApiRequest): LabelRequest {
  // The author is the holder of the token, whatever the request claims: the record of authors must not depend on
  // callers.
  const author = request.caller
  assert(author !== null, 'A token that may label has a name.')
  fields.only(FIELDS)
  const finding = fields.word('finding', NAMED_FINDINGS)
  if (finding === null)
    throw new Problem('invalid', `Give one of ${NAMED_FINDINGS.join(', ')}.`, { field: 'finding' })
  return {
    id: fields.neededIdentifier('id', ID_CHARACTERS_MAX),
    finding,
    source: fields.word('source', LABEL_SOURCES_SAID) ?? 'analyst',
    author,
    reason: fields.neededFreeText('reason', REASON_CHARACTERS_MAX),
    idempotencyKey: idempotencyKeyOf(request),
    card: fields.identifier('card', ID_CHARACTERS_MAX),
    eventTimeMs: fields.integer('eventTimeMs'),
    merchant: fields.identifier('merchant', ID_CHARACTERS_MAX),
    terminal: fields.identifier('terminal', ID_CHARACTERS_MAX),
    device: fields.identifier('device', ID_CHARACTERS_MAX),
    ipNetwork: fields.identifier('ipNetwork', ID_CHARACTERS_MAX),
  }
}

function idempotencyKeyOf(request: ApiRequest): string | null {
  const key = request.header('idempotency-key')
  if (key === null || KEY.test(key)) return key
  throw new Problem('invalid', 'An Idempotency-Key has 1 to 128 printable characters.')
}

function limitOf({ query }: ApiRequest): number {
  const text = query.get('limit')
  if (text === null) return CASES_LISTED_DEFAULT
  const limit = Number(text)
  if (Number.isSafeInteger(limit) && limit >= 1 && limit <= CASES_LISTED_MAX) return limit
  throw new Problem('invalid', `Give an integer from 1 to ${CASES_LISTED_MAX}.`, { field: 'limit' })
}

function mustBeReady({ isReady }: Answering): void {
  if (isReady()) return
  throw new Problem('not_ready', 'The topics are being read.', { headers: { 'retry-after': '1' } })
}

function problemOf(error: unknown): unknown {
  if (isSluiceError(error, 'SLUICE_INPUT_INVALID'))
    return new Problem('invalid', error.message, { cause: error })
  if (isSluiceError(error, 'SLUICE_BROKER_UNAVAILABLE'))
    return new Problem('not_ready', error.message, {
      cause: error,
      headers: { 'retry-after': '5' },
    })
  return error
}
