// Two gateways under load while scorers, gateways, brokers and Redis are killed in turn, and what an independent reader
// then finds.

import { ok } from 'node:assert/strict'
import { setTimeout as sleepMs } from 'node:timers/promises'
import type { TestContext } from 'node:test'
import type { Transaction } from '../../services/core/transaction.ts'
import type { DecisionRecord } from '../../services/core/wire/records.ts'
import type { ScoreAnswer } from '../../services/gateway/api-schemas.ts'
import { topicName } from '../../services/platform/kafka/topics.ts'
import { readCommitted } from './auditor.ts'
import { claimPorts } from './claims.ts'
import { closeWith } from './cleanup.ts'
import { startCli, type CliProcess } from './cli-process.ts'
import { ask, gatewayEnvironment } from './gateways.ts'
import { hasReadAll } from './group-progress.ts'
import { BROKERS, openCluster, type OwnCluster } from './own-cluster.ts'
import { eventually } from './poll.ts'
import { openOwnRedis } from './own-redis.ts'
import { openRedisProxy, type RedisProxy } from './redis-proxy.ts'
import { startScorer, type ScorerProcess } from './scorer-process.ts'
import type { Entry } from './services-build.ts'
import { openStream, SHORT_SESSION, simulatedEvents, type TestStream } from './streams.ts'

const DEADLINE_MS = 500
/** A request without an answer for this long hangs. */
const HANGS_MS = 20_000
/** Between two requests. */
const INTERVAL_MS = 10
const RETRY_MS = 50
/** More than one round asks for. */
const PAYMENTS_PER_ROUND = 4_000
/** From one kill to the next: longer than a broker's absence is unnoticed. */
const PAUSE_MS = 1_500
/** From the kill of a broker to that of a gateway, so that requests wait for an acknowledgement. */
const WAITING_MS = DEADLINE_MS + 300

export interface GatewayKills {
  /** Times that each of them is killed. */
  readonly rounds: number
  readonly main: Entry
}

/** Ids of transactions by what went wrong with them, and counts that show what the kills met. */
export interface GatewayFindings {
  readonly asked: number
  readonly decided: number
  readonly fallbacks: number
  readonly repeats: number
  readonly unanswered: readonly string[]
  /** Answered otherwise than the log has it. */
  readonly wrong: readonly string[]
  /** Said to be in the log, and never decided. */
  readonly lost: readonly string[]
  readonly decidedTwice: readonly string[]
}

interface Gateways {
  readonly urls: readonly string[]
  kill(index: number): Promise<void>
  start(index: number): Promise<void>
}

/** Asks until told to stop, each transaction at one gateway, and at the other one if that gives no answer. */
class Caller {
  readonly answers = new Map<string, ScoreAnswer>()
  readonly unanswered: string[] = []
  asked = 0
  repeats = 0
  readonly #urls: readonly string[]
  readonly #payments: readonly Transaction[]
  readonly #asking = new Set<Promise<void>>()

  constructor(urls: readonly string[], payments: readonly Transaction[]) {
    this.#urls = urls
    this.#payments = payments
  }

  async askUntil(isOver: () => boolean): Promise<void> {
    for (const payment of this.#payments) {
      if (isOver()) break
      const asking = this.#ask(payment).finally(() => this.#asking.delete(asking))
      this.#asking.add(asking)
      this.asked += 1
      await sleepMs(INTERVAL_MS)
    }
    ok(isOver(), 'there are not enough payments')
    await Promise.all(this.#asking)
  }

  async #ask(transaction: Transaction): Promise<void> {
    const first = this.asked
    const giveUp = AbortSignal.timeout(HANGS_MS)
    for (let attempt = 0; !giveUp.aborted; attempt += 1) {
      const url = this.#urls[(first + attempt) % this.#urls.length] ?? ''
      const answer = await scoreOrNull(url, transaction, giveUp)
      if (answer !== null) {
        this.answers.set(transaction.id, answer)
        return
      }
      this.repeats += 1
      await sleepMs(RETRY_MS)
    }
    this.unanswered.push(transaction.id)
  }
}

/** Null without an answer: the gateway is away, or reads decisions back. */
async function scoreOrNull(
  url: string,
  transaction: Transaction,
  signal: AbortSignal,
): Promise<ScoreAnswer | null> {
  try {
    const { status, body } = await ask<ScoreAnswer>(`${url}/v1/score`, {
      body: transaction,
      signal,
    })
    if (status === 200) return body
    if (status === 503) return null
    throw new RangeError(`The gateway refuses: ${JSON.stringify(body)}`)
  } catch (error) {
    if (error instanceof RangeError) throw error
    return null
  }
}

/** Runs the kills, lets everything be decided, and compares the answers with what is committed. */
export async function gatewaysWithKills(
  t: TestContext,
  { rounds, main }: GatewayKills,
): Promise<GatewayFindings> {
  const cluster = await openCluster(t)
  const redis = await openRedisProxy(t, await openOwnRedis(t))
  const stream = await openStream(t, 'gateway-kills', redis.url)
  const scorers = [await scorerOf(t, stream), await scorerOf(t, stream)]
  const gateways = await startGateways(t, stream, main)
  const payments = (await simulatedEvents(PAYMENTS_PER_ROUND * rounds)).flatMap((event) =>
    event.kind === 'transaction' ? [event.transaction] : [],
  )
  const caller = new Caller(gateways.urls, payments)
  let isOver = false
  const asking = caller.askUntil(() => isOver)
  try {
    for (let round = 0; round < rounds; round += 1) {
      const system = { stream, scorers, gateways, cluster, redis }
      await killInTurn(t, system, round)
    }
  } finally {
    isOver = true
    await asking
  }
  return findingsOf(stream, caller)
}

interface KilledSystem {
  readonly stream: TestStream
  readonly scorers: ScorerProcess[]
  readonly gateways: Gateways
  readonly cluster: OwnCluster
  readonly redis: RedisProxy
}

async function killInTurn(
  t: TestContext,
  { stream, scorers, gateways, cluster, redis }: KilledSystem,
  round: number,
): Promise<void> {
  const [mine, other] = [round % 2, (round + 1) % 2]
  await scorers[mine]?.end('SIGKILL')
  await sleepMs(PAUSE_MS)
  scorers[mine] = await scorerOf(t, stream)

  await gateways.kill(mine)
  await sleepMs(PAUSE_MS)
  await gateways.start(mine)

  redis.sever()
  await sleepMs(PAUSE_MS)
  redis.mend()

  await cluster.kill(round % BROKERS)
  await sleepMs(WAITING_MS)
  await gateways.kill(other)
  await gateways.start(other)
  await cluster.restart(round % BROKERS)
  await sleepMs(PAUSE_MS)
}

function scorerOf(t: TestContext, stream: TestStream): Promise<ScorerProcess> {
  return startScorer(t, stream.environment(SHORT_SESSION))
}

async function startGateways(t: TestContext, stream: TestStream, main: Entry): Promise<Gateways> {
  const { ports, release } = await claimPorts(2)
  closeWith(t, release)
  const running = new Map<number, CliProcess>()
  const start = async (index: number): Promise<void> => {
    const environment = gatewayEnvironment(stream, {
      SLUICE_GATEWAY_PORT: String(ports[index]),
      SLUICE_GATEWAY_DEADLINE_MS: String(DEADLINE_MS),
      SLUICE_METRICS_PORT: '0',
    })
    running.set(index, await startCli(t, ['gateway'], environment, main))
  }
  await Promise.all([start(0), start(1)])
  return {
    urls: ports.map((port) => `http://127.0.0.1:${port}`),
    start,
    async kill(index) {
      await running.get(index)?.end('SIGKILL')
    },
  }
}

async function findingsOf(stream: TestStream, caller: Caller): Promise<GatewayFindings> {
  const { answers, asked, repeats, unanswered } = caller
  const promised = [...answers].filter(([, answer]) => isInLog(answer)).map(([id]) => id)
  await eventually('all of the log is decided', () =>
    hasReadAll(stream.admin, stream.groupId, topicName(stream.prefix, 'transactions')),
  )
  const first = await firstDecisions(stream)
  const wrong = [...answers].filter(([id, answer]) => !isAsDecided(answer, first.get(id)?.[0]))
  return {
    asked,
    repeats,
    unanswered,
    decided: [...answers.values()].filter(({ fallback }) => !fallback).length,
    fallbacks: [...answers.values()].filter(({ fallback }) => fallback).length,
    wrong: wrong.map(([id]) => id),
    lost: promised.filter((id) => !first.has(id)),
    decidedTwice: [...first].filter(([, decisions]) => decisions.length > 1).map(([id]) => id),
  }
}

/** True when the answer says that the transaction is in the log. */
function isInLog(answer: ScoreAnswer): boolean {
  return !answer.fallback || answer.fallbackReason !== 'not_written'
}

function isAsDecided(answer: ScoreAnswer, decision: DecisionRecord | undefined): boolean {
  if (answer.fallback) return true
  if (decision === undefined) return false
  // A repeated request after a restart may be answered by the decision of its duplicate, which has the same outcome.
  const isDuplicate = answer.notScored === 'duplicate'
  return answer.outcome === decision.outcome && (isDuplicate || answer.score === decision.score)
}

/** Decisions that are neither revisions nor duplicates, by transaction. */
async function firstDecisions(
  stream: TestStream,
): Promise<ReadonlyMap<string, readonly DecisionRecord[]>> {
  const topics = [topicName(stream.prefix, 'decisions')]
  const found = new Map<string, DecisionRecord[]>()
  for (const { value } of await readCommitted(stream.brokers, topics)) {
    const decoded = stream.codecs.decisionBatch.decode(value)
    if (!decoded.ok) throw new Error(`A batch of decisions cannot be read: ${decoded.reason}`)
    for (const decision of decoded.value.decisions) {
      if (decision.revision > 0 || decision.duplicateOfOffset !== null) continue
      const known = found.get(decision.transactionId)
      if (known === undefined) found.set(decision.transactionId, [decision])
      else known.push(decision)
    }
  }
  return found
}
