// Gateway: an open loop of requests at a fixed rate. Latency is from the time at which a request was meant to be sent until
// its answer is read, so a slow gateway cannot hide a delay. Each answer is compared with the decision on the topic.

import { Agent, request } from 'node:http'
import { setTimeout as sleepMs } from 'node:timers/promises'
import { parseJson } from '../../services/core/parse-json.ts'
import type { Transaction } from '../../services/core/transaction.ts'
import { scoreAnswerSchema } from '../../services/gateway/api-schemas.ts'
import { closeAll, type Closable } from '../../services/platform/lifecycle.ts'
import { simulate } from '../simulator/simulate.ts'
import {
  openBenchStream,
  startGateway,
  startScorer,
  untilCommitted,
  type BenchServers,
  type BenchStream,
} from './bench-servers.ts'
import { loadAverage } from './machine.ts'
import { CpuMeter, type CpuPerEvent } from './process-meter.ts'
import { type BenchDeps, readTopicUntil } from './replay-bench.ts'
import { summarizeLatencies, type LatencySummary } from './statistics.ts'

const CONNECTIONS_MAX = 512
const DEADLINE_MS = 80
/** Longest wait of the client for an answer. */
const CLIENT_MS_MAX = 10_000
const BATCH_SIZE_MAX = 512
const TERMINALS = 500

export interface GatewayBenchOptions {
  readonly ratePerSecond: number
  /** Measured time, after the warm-up. */
  readonly durationMs: number
  readonly warmUpMs: number
  readonly cards: number
}

export interface GatewayBenchResult {
  readonly options: GatewayBenchOptions
  readonly requests: number
  /** Measured requests with a decision within the deadline of 80 ms, from the intended send time, over all of them. */
  readonly inTimeShare: number
  readonly fallbacks: number
  readonly latency: LatencySummary | null
  /** Delay of this process at the end of the load, ms. */
  readonly behindMs: number
  /** `bench` is this process, which sends the requests. */
  readonly cpuMicrosecondsPerRequest: CpuPerEvent
  readonly loadAverage: readonly number[]
  /** Faults of the result, as sentences. */
  readonly problems: readonly string[]
}

/** An answer, as far as it is compared. */
interface Answer {
  readonly id: string
  readonly status: number
  readonly fallback: boolean
  readonly outcome: string
  readonly offset: number | null
  readonly latencyMs: number
}

/** Runs the benchmark on a stream of its own, deleted at the end. */
export async function runGatewayBench(
  options: GatewayBenchOptions,
  { servers, signal, onProgress }: BenchDeps,
): Promise<GatewayBenchResult> {
  const { ratePerSecond, durationMs, warmUpMs, cards } = options
  const load = loadAverage()
  const stream = await openBenchStream(servers)
  const opened: Closable[] = [stream]
  try {
    const scorer = await startScorer(servers, stream, {
      batchSizeMax: BATCH_SIZE_MAX,
      profileFolder: null,
    })
    opened.push({ close: () => scorer.stop() })
    const gateway = await startGateway(servers, stream, DEADLINE_MS)
    opened.push({ close: () => gateway.stop() })
    const count = Math.round((ratePerSecond * (warmUpMs + durationMs)) / 1_000)
    onProgress(`gateway, ${count} requests at ${ratePerSecond}/s`)
    const transactions = payments(count, cards)
    const sender = new Sender(gateway.url, gateway.token)
    opened.push(sender)
    const measuredFrom = Math.round((ratePerSecond * warmUpMs) / 1_000)
    const run = { meter: null as CpuMeter | null, behindMs: 0 }
    const startMs = performance.now()
    const answering: Promise<Answer>[] = []
    for (const [index, transaction] of transactions.entries()) {
      const intendedMs = startMs + (index * 1_000) / ratePerSecond
      const waitMs = intendedMs - performance.now()
      if (waitMs > 0) await sleepMs(waitMs, undefined, { signal })
      run.behindMs = performance.now() - intendedMs
      if (index === measuredFrom) {
        run.meter = new CpuMeter({
          gateway: gateway.pid,
          scorer: scorer.pid,
          ...servers.processes,
          bench: process.pid,
        })
      }
      answering.push(sender.send(transaction, intendedMs))
    }
    const answers = await Promise.all(answering)
    run.meter?.sample()
    await Promise.race([untilCommitted(stream, await stream.ends(), signal), scorer.failed])
    const decisions = await readDecisions(servers, stream, signal)
    const measured = answers.slice(measuredFrom)
    const decided = measured.filter(({ status, fallback }) => status === 200 && !fallback)
    return {
      options,
      requests: answers.length,
      inTimeShare:
        decided.filter(({ latencyMs }) => latencyMs <= DEADLINE_MS).length / measured.length,
      fallbacks: measured.filter(({ fallback }) => fallback).length,
      latency: summarizeLatencies(measured.map(({ latencyMs }) => latencyMs)),
      behindMs: run.behindMs,
      cpuMicrosecondsPerRequest: run.meter?.perEvent(measured.length) ?? {},
      loadAverage: load,
      problems: problemsOf(answers, decisions),
    }
  } finally {
    await closeAll(opened)
  }
}

/** Simulated transactions; their times are set when they are sent. */
function payments(count: number, cards: number): readonly Transaction[] {
  const transactions: Transaction[] = []
  const crowd = { cards, terminals: TERMINALS, merchants: TERMINALS, fraudShare: 0.01 }
  for (const event of simulate({ seed: 11, ...crowd, transactionsMax: count })) {
    if (event.kind === 'transaction') transactions.push(event.transaction)
  }
  return transactions
}

/** Sends requests over a bounded number of connections. */
class Sender implements Closable {
  readonly #url: URL
  readonly #token: string
  readonly #agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS_MAX })

  constructor(url: string, token: string) {
    this.#url = new URL('/v1/score', url)
    this.#token = token
  }

  send(transaction: Transaction, intendedMs: number): Promise<Answer> {
    const { id } = transaction
    const body = JSON.stringify({ ...transaction, eventTimeMs: Date.now() })
    return new Promise((resolve) => {
      const end = (status: number, text: string): void => {
        const latencyMs = performance.now() - intendedMs
        const parsed = status === 200 ? parseJson(scoreAnswerSchema, text) : null
        const { fallback = false, outcome = '' } = parsed ?? {}
        const offset = parsed?.fallback === false ? parsed.offset : null
        const isFit = status !== 200 || parsed !== null
        resolve({ id, status: isFit ? status : 0, fallback, outcome, offset, latencyMs })
      }
      const sent = request(
        this.#url,
        {
          method: 'POST',
          agent: this.#agent,
          timeout: CLIENT_MS_MAX,
          headers: {
            authorization: `Bearer ${this.#token}`,
            'content-type': 'application/json',
            'content-length': Buffer.byteLength(body),
          },
        },
        (response) => {
          let text = ''
          response.setEncoding('utf8')
          response.on('data', (chunk: string) => {
            text += chunk
          })
          response.on('end', () => {
            end(response.statusCode ?? 0, text)
          })
        },
      )
      sent.on('timeout', () => {
        sent.destroy()
      })
      sent.on('error', () => {
        end(0, '')
      })
      sent.end(body)
    })
  }

  close(): Promise<void> {
    this.#agent.destroy()
    return Promise.resolve()
  }
}

interface Decided {
  readonly offset: number
  readonly outcome: string
  readonly isDuplicate: boolean
}

/** First decisions by transaction id, all of them. */
async function readDecisions(
  { kafka, codecs }: BenchServers,
  stream: BenchStream,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, readonly Decided[]>> {
  const byId = new Map<string, Decided[]>()
  const ends = await stream.ends()
  const next = ends.map(() => 0)
  await readTopicUntil(
    kafka,
    stream.topic('decisions'),
    (partition, messages) => {
      for (const { value } of messages) {
        const decoded = codecs.decisionBatch.decode(value)
        if (!decoded.ok) throw new Error(`A decision batch cannot be decoded: ${decoded.reason}.`)
        next[partition] = decoded.value.nextOffset
        for (const decision of decoded.value.decisions) {
          if (decision.revision > 0) continue
          const { transactionId, offset, outcome, duplicateOfOffset } = decision
          const known = byId.get(transactionId) ?? []
          byId.set(transactionId, known)
          known.push({ offset, outcome, isDuplicate: duplicateOfOffset !== null })
        }
      }
      return ends.every((end, index) => (next[index] ?? 0) >= end)
    },
    signal,
  )
  return byId
}

function problemsOf(
  answers: readonly Answer[],
  decisions: ReadonlyMap<string, readonly Decided[]>,
): readonly string[] {
  let lost = 0
  let doubled = 0
  let wrong = 0
  let refused = 0
  for (const { id, status, fallback, outcome, offset } of answers) {
    const firsts = (decisions.get(id) ?? []).filter(({ isDuplicate }) => !isDuplicate)
    if (status !== 200) refused += 1
    if (firsts.length === 0) lost += 1
    if (firsts.length > 1) doubled += 1
    const [first] = firsts
    const isEqual = first?.offset === offset && first.outcome === outcome
    if (status === 200 && !fallback && !isEqual) wrong += 1
  }
  const say = (number: number, what: string): readonly string[] =>
    number === 0 ? [] : [`${number} ${what}.`]
  return [
    ...say(refused, 'requests were not answered with 200'),
    ...say(lost, 'transactions were not decided'),
    ...say(doubled, 'transactions were decided twice'),
    ...say(wrong, 'answers are not the decision on the topic'),
  ]
}
