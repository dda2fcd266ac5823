// Routes of the gateway.

import type { Clock } from '../core/clock.ts'
import type { ActiveBlocks } from '../core/active-blocks.ts'
import { parseTraceparent, tracestateOf } from '../core/trace-context.ts'
import type { Transaction } from '../core/transaction.ts'
import { identifierFault, validateTransaction } from '../core/wire/validation.ts'
import type { Outcome } from '../core/wire/records.ts'
import { Problem, problemBody } from '../platform/http/json-body.ts'
import type { Logger } from '../platform/log.ts'
import type { GatewayTelemetry } from '../platform/metrics/gateway-telemetry.ts'
import type { z } from 'zod'
import {
  type BatchAnswer,
  batchSchema,
  type BlockAnswer,
  type DecisionAnswer,
  type FallbackAnswer,
  type ScoreAnswer,
  transactionSchema,
} from './api-schemas.ts'
import type { Action } from './answers.ts'
import {
  BATCH_BODY_BYTES_MAX,
  type Call,
  type GatewayRouteDefinition,
  tooMany,
} from './http-server.ts'
import type { GatewayConfig } from './config.ts'
import { inOrder, type ScoreRequests, type ScoreResult } from './score-requests.ts'

const RETRY_AFTER_MS = 1_000
const DEADLINE_QUERY = 'deadlineMs'
/** Key of the entry of this service in `tracestate`, which takes the request id along. */
const TRACESTATE_KEY = 'sluice'

export interface RoutesOptions {
  readonly config: Pick<
    GatewayConfig,
    'deadlineMs' | 'deadlineMsMax' | 'batchDeadlineMs' | 'fallbackOutcome' | 'inFlightMax'
  >
  readonly scores: Pick<ScoreRequests, 'score'>
  readonly encode: (transaction: Transaction) => Buffer
  readonly blocks: Pick<ActiveBlocks, 'blockOf'>
  readonly clock: Clock
  readonly log: Logger
  readonly telemetry: Pick<GatewayTelemetry, 'scored'>
  /** False until recent decisions and blocks are read back. */
  readonly isReady: () => boolean
  readonly openApi: () => unknown
}

/** The routes, and the number of transactions that wait for their decisions. */
export class GatewayRoutes {
  readonly #options: RoutesOptions
  #inFlight = 0
  readonly definitions: readonly GatewayRouteDefinition[]

  constructor(options: RoutesOptions) {
    this.#options = options
    this.definitions = [
      {
        name: 'score',
        method: 'POST',
        path: '/v1/score',
        needsToken: true,
        answer: (call) => this.#score(call),
      },
      {
        name: 'batch',
        method: 'POST',
        path: '/v1/score/batch',
        needsToken: true,
        bodyBytesMax: BATCH_BODY_BYTES_MAX,
        answer: (call) => this.#batch(call),
      },
      {
        name: 'block',
        method: 'GET',
        path: '/v1/cards/:token/block',
        needsToken: true,
        answer: (call) => this.#block(call),
      },
      {
        name: 'openapi',
        method: 'GET',
        path: '/openapi.json',
        needsToken: false,
        answer: () => options.openApi(),
      },
    ]
  }

  get inFlight(): number {
    return this.#inFlight
  }

  async #score(call: Call): Promise<ScoreAnswer> {
    const { config } = this.#options
    const deadlineMs = deadlineOf(call, config.deadlineMs, config.deadlineMsMax)
    const transaction = readTransaction(parse(transactionSchema, call.request.body), '')
    const [answer] = await this.#answerAll(call, [transaction], deadlineMs)
    if (answer instanceof Problem) throw answer
    if (answer === undefined) throw new Error('A transaction got no answer.')
    return answer
  }

  async #batch(call: Call): Promise<BatchAnswer> {
    const { config } = this.#options
    const deadlineMs = deadlineOf(call, config.batchDeadlineMs, config.batchDeadlineMs)
    const { transactions } = parse(batchSchema, call.request.body)
    const read = transactions.map((each, index) => readTransaction(each, `transactions.${index}.`))
    const answers = await this.#answerAll(call, read, deadlineMs)
    return {
      answers: answers.map((answer, index) =>
        answer instanceof Problem
          ? { id: read[index]?.id ?? '', problem: problemBody(answer) }
          : answer,
      ),
    }
  }

  #block({ request }: Call): BlockAnswer {
    this.#mustBeReady()
    const { token } = request.params as { readonly token: string }
    const fault = identifierFault(token)
    if (fault === 'card_number_suspected') throw cardNumberIn('token')
    if (fault !== null)
      throw new Problem('invalid', 'Give the token of a card, 1 to 64 printable characters.', {
        field: 'token',
      })
    const { blocks, clock } = this.#options
    const block = blocks.blockOf(token, clock.nowMs())
    if (block === null) return { blocked: false, block: null }
    const { alertId, revision, startMs, endMs } = block
    return { blocked: true, block: { alertId, revision, startMs, endMs } }
  }

  async #answerAll(
    call: Call,
    transactions: readonly Transaction[],
    deadlineMs: number,
  ): Promise<readonly (ScoreAnswer | Problem)[]> {
    this.#mustBeReady()
    if (this.#inFlight + transactions.length > this.#options.config.inFlightMax)
      throw tooMany('Too many transactions wait for their decisions.', RETRY_AFTER_MS)
    this.#inFlight += transactions.length
    try {
      const headers = traceHeadersFor(call)
      return await Promise.all(
        transactions.map((transaction) => this.#answer(call, transaction, headers, deadlineMs)),
      )
    } finally {
      this.#inFlight -= transactions.length
    }
  }

  async #answer(
    { requestId, caller, arrivedMs }: Call,
    transaction: Transaction,
    headers: Readonly<Record<string, string>> | undefined,
    deadlineMs: number,
  ): Promise<ScoreAnswer | Problem> {
    const { scores, encode, telemetry, log, config } = this.#options
    const result = await scores.score({
      transaction,
      value: encode(transaction),
      headers,
      deadlineMs: arrivedMs + deadlineMs,
    })
    const durationMs = performance.now() - arrivedMs
    const kind = result.kind === 'decided' ? result.by : result.kind
    const reason = result.kind === 'fallback' ? result.reason : null
    telemetry.scored(kind, reason, durationMs)
    if (log.isLevelEnabled('debug')) {
      const { id: transactionId } = transaction
      log.debug({ requestId, caller, transactionId, kind, reason, durationMs }, 'Answered.')
    }
    if (result.kind === 'conflict') {
      return new Problem(
        'conflict',
        'A transaction with this id and other content was written before; give each transaction an id of its own.',
        { field: 'id' },
      )
    }
    return answerOf(transaction.id, result, config.fallbackOutcome)
  }

  #mustBeReady(): void {
    if (this.#options.isReady()) return
    throw new Problem('not_ready', 'Recent decisions are being read back from the log.', {
      headers: { 'retry-after': '1' },
    })
  }
}

function answerOf(
  id: string,
  result: Exclude<ScoreResult, { readonly kind: 'conflict' }>,
  fallbackOutcome: Outcome,
): ScoreAnswer {
  if (result.kind === 'fallback') {
    const action: Action = fallbackOutcome === 'approve' ? 'none' : fallbackOutcome
    return {
      id,
      fallback: true,
      fallbackReason: result.reason,
      outcome: fallbackOutcome,
      action,
    } satisfies FallbackAnswer
  }
  const { decision, alert } = result
  const { outcome, score, notScored, reasons, annotations, segment, rules, mode } = decision
  return {
    ...{ id, fallback: false, outcome, action: alert.action, score, notScored },
    ...{ reasons: [...reasons], annotations: [...annotations], segment, rules: [...rules], mode },
    ...{ alertId: alert.alertId, lease: alert.lease, versions: decision.versions },
    ...{
      decidedAtMs: decision.decidedAtMs,
      partition: decision.partition,
      offset: decision.offset,
    },
  } satisfies DecisionAnswer
}

/** @throws Problem invalid, naming the first field at fault */
function parse<Schema extends z.ZodType>(schema: Schema, body: unknown): z.output<Schema> {
  const parsed = schema.safeParse(body)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const isUnknown = issue?.code === 'unrecognized_keys'
  const path = [...(issue?.path ?? []), ...(isUnknown ? issue.keys.slice(0, 1) : [])]
  const field = path.join('.').slice(0, 128)
  // The messages of zod name the expectation, never the value.
  const detail = isUnknown
    ? 'There is no such field; leave it out.'
    : `${issue?.message ?? 'Invalid input'}.`
  throw new Problem('invalid', detail, field === '' ? {} : { field })
}

/** The checks beyond types and ranges, which are those of the scorer. @throws Problem */
function readTransaction(transaction: Transaction, prefix: string): Transaction {
  const checked = validateTransaction(transaction)
  if (checked.ok) return inOrder(checked.value)
  const field = `${prefix}${checked.field ?? ''}`
  if (checked.reason === 'card_number_suspected') throw cardNumberIn(field)
  const detail =
    checked.reason === 'missing_field'
      ? 'This field is needed.'
      : 'Give 1 to 64 printable characters, or a number in range.'
  throw new Problem('invalid', detail, { field })
}

/** The value is not repeated (P8). */
function cardNumberIn(field: string): Problem {
  return new Problem(
    'card_number_suspected',
    'This field seems to hold a card number; send the token of the card, or leave the number out.',
    { field },
  )
}

/** The deadline that the request names within the limits, ms. @throws Problem */
function deadlineOf({ request }: Call, defaultMs: number, maxMs: number): number {
  const given = (request.query as Readonly<Record<string, unknown>>)[DEADLINE_QUERY]
  if (given === undefined) return defaultMs
  const deadlineMs = typeof given === 'string' && given !== '' ? Number(given) : NaN
  if (Number.isSafeInteger(deadlineMs) && deadlineMs >= 1 && deadlineMs <= maxMs) return deadlineMs
  throw new Problem('invalid', `Give an integer from 1 to ${maxMs}.`, { field: DEADLINE_QUERY })
}

/** The trace of the request goes on in the message and in its alert, with the id of the request. */
function traceHeadersFor({
  request: { headers },
  requestId,
}: Call): Readonly<Record<string, string>> | undefined {
  const { traceparent, tracestate } = headers
  if (typeof traceparent !== 'string' || parseTraceparent(traceparent) === null) return undefined
  const own = `${TRACESTATE_KEY}=${requestId}`
  const others = tracestateOf({
    tracestate: typeof tracestate === 'string' ? tracestate : undefined,
  })
  const both = others === null ? own : `${own},${others}`
  return { traceparent, tracestate: tracestateOf({ tracestate: both }) ?? own }
}
