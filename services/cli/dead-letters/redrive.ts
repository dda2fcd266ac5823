// Sends the messages of dead letters again: reads the source topics, plans, and sends the remaining messages in short
// transactions. Nothing is sent twice: after fencing other operators and before sending, the new end of the topics is
// read once more for messages that they have sent again.

import { setTimeout as sleepMs } from 'node:timers/promises'
import type { Admin, Kafka, Message, Producer, RecordMetadata, Transaction } from 'kafkajs'
import type { RateTable } from '../../core/rates/rate-table.ts'
import { SluiceError } from '../../core/errors.ts'
import { REDRIVEN_FROM_HEADER, formatPosition } from '../../core/redrive.ts'
import type { RejectReason } from '../../core/dead-letters.ts'
import type { DeadLetter } from '../../core/wire/records.ts'
import { topicName } from '../../platform/kafka/topics.ts'
import { rememberingPartitioner, sendWhole } from '../../platform/kafka/whole-send.ts'
import { tableLine, tableLines } from '../table.ts'
import {
  type LetterFilter,
  type ScanStart,
  SourceLog,
  type SourceMessage,
  type StreamAccess,
  asking,
  findScanStart,
  isSameMessage,
  openLettersKafka,
  readLetters,
} from './read-letters.ts'
import { type Verdict, judgeMessage, safeText, timeText } from './letter-lines.ts'

/** Most letters of one run. */
const LETTERS_MAX = 100_000

export interface RedriveOptions extends StreamAccess {
  readonly filter: LetterFilter
  /** Most messages that one run sends. */
  readonly sendMax: number
  /** Also sends messages that would become dead letters again. */
  readonly force: boolean
  readonly rates: RateTable
  readonly eventAheadMsMax: number
  readonly nowMs: () => number
  readonly onProgress: (line: string) => void
  /** Called once with the plan; false sends nothing. */
  readonly confirm: (planned: readonly PlannedLetter[]) => Promise<boolean>
}

interface RedriveResult {
  /** Every letter read, with its state. */
  readonly planned: readonly PlannedLetter[]
  readonly sent: number
}

interface Clients {
  readonly kafka: Kafka
  readonly admin: Admin
}

interface Source {
  readonly kind: 'transactions' | 'labels'
  readonly letters: readonly DeadLetter[]
  readonly log: SourceLog
  /** Start of the next pass over the topic. */
  start: ScanStart
  partitionCount: number
}

/**
 * Plans, asks for confirmation, and sends.
 * @throws SluiceError SLUICE_BROKER_UNAVAILABLE, SLUICE_TOPICS_INVALID, SLUICE_USAGE when too many letters are chosen,
 * SLUICE_COMMIT_UNKNOWN when sending broke off; or the signal's reason between two transactions.
 */
export async function redrive(
  options: RedriveOptions,
  signal: AbortSignal,
): Promise<RedriveResult> {
  const letters = await collectLetters(options, signal)
  if (letters.length === 0) return { planned: [], sent: 0 }
  const kafka = openLettersKafka(options)
  const admin = kafka.admin()
  try {
    await asking(options, () => admin.connect())
    const sources = await openSources(admin, letters, options)
    await scanAll(sources, options, signal)
    const planned = planAll(letters, sources, options)
    if (!planned.some(({ state }) => state === 'send')) return { planned, sent: 0 }
    if (!(await options.confirm(planned))) return { planned, sent: 0 }
    signal.throwIfAborted()
    return await sendAll({ kafka, admin }, letters, sources, options, signal)
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
}

async function collectLetters(
  options: RedriveOptions,
  signal: AbortSignal,
): Promise<readonly DeadLetter[]> {
  const letters: DeadLetter[] = []
  const read = await readLetters(
    options,
    options.filter,
    ({ letter }) => {
      if (letters.length < LETTERS_MAX) letters.push(letter)
    },
    signal,
  )
  if (read.matching <= LETTERS_MAX) return letters
  throw new SluiceError(
    'SLUICE_USAGE',
    `${read.matching} dead letters are chosen, more than the ${LETTERS_MAX} that one run looks at; choose fewer ` +
      'with --since, --until, --reason or --partition.',
  )
}

async function openSources(
  admin: Admin,
  letters: readonly DeadLetter[],
  options: RedriveOptions,
): Promise<readonly Source[]> {
  const sources: Source[] = []
  for (const kind of ['transactions', 'labels'] as const) {
    const topic = topicName(options.topicPrefix, kind)
    const own = letters.filter((letter) => letter.topic === topic)
    if (own.length === 0) continue
    const start = await asking(options, () => findScanStart(admin, topic, own))
    const log = new SourceLog(options, topic, own)
    sources.push({ kind, letters: own, log, start, partitionCount: start.startAt.size })
  }
  return sources
}

async function scanAll(
  sources: readonly Source[],
  { onProgress }: RedriveOptions,
  signal: AbortSignal,
): Promise<void> {
  for (const { log, start } of sources) {
    await log.scan(
      start,
      (messages) => {
        onProgress(`${log.topic}: ${messages} messages read`)
      },
      signal,
    )
  }
}

function planAll(
  letters: readonly DeadLetter[],
  sources: readonly Source[],
  options: RedriveOptions,
): readonly PlannedLetter[] {
  const sendAtMs = options.nowMs()
  const planned = letters.map((letter) => {
    const source = sources.find(({ log }) => log.topic === letter.topic)
    const nothing = { message: null, sentTo: null, verdict: null, isCovered: true }
    return planLetter(
      letter,
      source === undefined ? nothing : lookUp(letter, source, sendAtMs, options),
      options.force,
    )
  })
  return withinLimit(planned, options.sendMax)
}

function lookUp(letter: DeadLetter, source: Source, sendAtMs: number, options: RedriveOptions) {
  const { log, kind, partitionCount } = source
  const message = log.messageOf(letter)
  const sentTo = log.sentTo(letter)
  if (message === null) return { message, sentTo, verdict: null, isCovered: true }
  const verdict = judgeMessage(kind, message, letter.partition, {
    ...options,
    partitionCount,
    sendAtMs,
  })
  return { message, sentTo, verdict, isCovered: log.isCovered(letter, verdict.partition) }
}

async function sendAll(
  { kafka, admin }: Clients,
  letters: readonly DeadLetter[],
  sources: readonly Source[],
  options: RedriveOptions,
  signal: AbortSignal,
): Promise<RedriveResult> {
  const sender = await asking(options, () => openRedriveSender(kafka, admin, options.topicPrefix))
  try {
    // Other operators are fenced now. Messages that they have sent since the first pass lie behind its end.
    for (const source of sources) {
      source.start = { startAt: source.start.ends, ends: new Map(), cutOff: new Set() }
    }
    await scanAll(sources, options, signal)
    const planned = planAll(letters, sources, options)
    let sent = 0
    for (const { log } of sources) {
      const due = planned.filter(
        ({ state, letter }) => state === 'send' && letter.topic === log.topic,
      )
      for (const chunk of chunksOf(due)) {
        signal.throwIfAborted()
        await send(sender, log.topic, chunk, options.nowMs())
        sent += chunk.length
        options.onProgress(`${log.topic}: ${sent} sent`)
      }
    }
    return { planned, sent }
  } finally {
    await sender.close().catch(() => undefined)
  }
}

async function send(
  sender: RedriveSender,
  topic: string,
  chunk: readonly PlannedLetter[],
  nowMs: number,
): Promise<void> {
  await sender.send(
    topic,
    chunk.map((each) => messageOf(each, nowMs)),
  )
}

/**
 * The original message with its proper key and partition, and the redrive header. Its time stamp is the time of
 * sending, as for any late message, but never before its letter, because the next run searches from there.
 */
function messageOf({ letter, target, message }: PlannedLetter, nowMs: number): Message {
  return {
    key: target?.key ?? null,
    value: message?.value ?? null,
    ...(target !== null && { partition: target.partition }),
    headers: { ...message?.headers, [REDRIVEN_FROM_HEADER]: formatPosition(letter) },
    timestamp: String(Math.max(nowMs, letter.decidedAtMs)),
  }
}

function chunksOf(due: readonly PlannedLetter[]): readonly (readonly PlannedLetter[])[] {
  const chunks: PlannedLetter[][] = []
  let bytes = Infinity
  for (const each of due) {
    const size = each.letter.payloadBytes
    const last = chunks.at(-1)
    if (
      last === undefined ||
      last.length >= SENT_AT_ONCE_MAX ||
      bytes + size > SENT_AT_ONCE_BYTES_MAX
    ) {
      chunks.push([each])
      bytes = size
    } else {
      last.push(each)
      bytes += size
    }
  }
  return chunks
}

// Plans the redrive of each letter, as a pure function of the records of the source topic.

/** States of a letter in the plan. Closed list: also in `--json`. */
const REDRIVE_STATES = [
  'send',
  'over_limit',
  'sent_before',
  'redriven_before',
  'refused_again',
  'gone',
  'unreadable',
  'unprovable',
] as const

type RedriveState = (typeof REDRIVE_STATES)[number]

/** The states in words. */
const STATE_TEXTS: Readonly<Record<RedriveState, string>> = {
  send: 'to be sent',
  over_limit: 'to be sent by a later run (--limit)',
  sent_before: 'sent again before',
  redriven_before: 'is itself one that was sent again; not sent a third time',
  refused_again: 'would become a dead letter again',
  gone: 'no longer in its topic',
  unreadable: 'in a batch whose compression cannot be read',
  unprovable: 'retention may have taken the mark of an earlier redrive',
}

/** Facts about one letter from the source topic. */
export interface LetterSource {
  /** Null when its position holds no message. */
  readonly message: SourceMessage | null
  /** Position of the message that already repeats it, or null. */
  readonly sentTo: string | null
  readonly verdict: Verdict | null
  /** False when retention may have removed an earlier redrive into the verdict's partition. */
  readonly isCovered: boolean
}

export interface PlannedLetter {
  readonly letter: DeadLetter
  readonly state: RedriveState
  /** The reason for which it would be refused, the position where it was sent before, or null. */
  readonly detail: string | null
  /** Target partition and key; null when it is not sent. */
  readonly target: { readonly partition: number; readonly key: Buffer | null } | null
  readonly message: SourceMessage | null
}

/** Reasons that `--force` does not override: there is nothing to send, or sending it would spread a card number. */
const NEVER_SENT: readonly RejectReason[] = ['empty', 'too_large', 'card_number_suspected']
const CARD_NUMBER = /\d(?:[ -]?\d){12,18}/

/** Plans one letter. `force` also sends messages that would be refused again. */
export function planLetter(
  letter: DeadLetter,
  source: LetterSource,
  force: boolean,
): PlannedLetter {
  const { message, verdict } = source
  const not = (state: RedriveState, detail: string | null = null): PlannedLetter => ({
    letter,
    state,
    detail,
    target: null,
    message: null,
  })
  if (message === null) return not('gone')
  if (message.isRefused) return not('unreadable')
  if (!isSameMessage(letter, message)) return not('gone', 'another message stands there')
  if (message.redrivenFrom !== null) {
    return not('redriven_before', `from ${formatPosition(message.redrivenFrom)}`)
  }
  if (source.sentTo !== null) return not('sent_before', `as ${source.sentTo}`)
  if (verdict === null) return not('gone')
  const { refusal, partition, key } = verdict
  if (refusal !== null && !(force && mayBeForced(refusal, message))) {
    return not('refused_again', refusal)
  }
  if (!source.isCovered) return not('unprovable')
  return { letter, state: 'send', detail: refusal, target: { partition, key }, message }
}

/** Defers messages beyond the limit to a later run; the letters keep their order. */
export function withinLimit(
  planned: readonly PlannedLetter[],
  sendMax: number,
): readonly PlannedLetter[] {
  let left = sendMax
  return planned.map((each) => {
    if (each.state !== 'send') return each
    left -= 1
    return left >= 0 ? each : { ...each, state: 'over_limit', target: null, message: null }
  })
}

function mayBeForced(refusal: RejectReason, { value }: SourceMessage): boolean {
  if (value === null || NEVER_SENT.includes(refusal)) return false
  return !CARD_NUMBER.test(value.toString('latin1'))
}

// Sends messages again, in Kafka transactions with a fixed transactional id per stream. Opening the sender fences any
// other redrive of the same stream: nothing more can come from it, so the headers then in the topic are final, and two
// operators at once cannot both send a message.
//
// A read-committed consumer sees nothing behind an open transaction, even a stranger's. So a step commits only when no
// transaction is open before its messages: then the next reader sees its headers.

/**
 * An open transaction hides later records of its partitions from readers of the topic. If this process dies inside one,
 * the broker aborts it after this time.
 */
const TRANSACTION_TIMEOUT_MS = 10_000
const RETRY = { initialRetryTime: 5, multiplier: 1.5, maxRetryTime: 250, retries: 12 } as const
const FENCED = ['PRODUCER_FENCED', 'INVALID_PRODUCER_EPOCH', 'INVALID_PRODUCER_ID_MAPPING']

/** Longest wait of a step for open transactions before its messages; well below its own timeout. */
const SETTLED_MS_MAX = 4_000
const SETTLED_POLL_MS = 20

/**
 * Most messages of a transaction: short ones hold partitions up for milliseconds, and a batch must fit into a broker's
 * message.
 */
const SENT_AT_ONCE_MAX = 500
const SENT_AT_ONCE_BYTES_MAX = 512 * 1024

export interface RedriveSender {
  /**
   * Sends all of the messages or none. @throws SluiceError SLUICE_COMMIT_UNKNOWN; another run finds out which were
   * sent.
   */
  send(topic: string, messages: readonly Message[]): Promise<void>
  close(): Promise<void>
}

/** Opens the sender of a stream, which fences every earlier one. */
export async function openRedriveSender(
  kafka: Kafka,
  admin: Admin,
  topicPrefix: string,
): Promise<RedriveSender> {
  const producer = kafka.producer({
    transactionalId: `${topicPrefix}sluice-redrive`,
    transactionTimeout: TRANSACTION_TIMEOUT_MS,
    idempotent: true,
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
    createPartitioner: rememberingPartitioner,
    retry: RETRY,
  })
  await producer.connect()
  // kafkajs initialises the transactional id, and so fences others, when the first transaction begins.
  let begun: Transaction | null = await beginOrDisconnect(producer)
  return {
    async send(topic, messages) {
      let transaction: Transaction | null = null
      try {
        transaction = begun ?? (await producer.transaction())
        begun = null
        const written = await sendWhole(transaction, [{ topic, messages: [...messages] }])
        await allFinalisedBefore(admin, topic, written)
        await transaction.commit()
      } catch (error) {
        await transaction?.abort().catch(() => undefined)
        throw notSent(error)
      }
    },
    close: () => producer.disconnect(),
  }
}

async function beginOrDisconnect(producer: Producer): Promise<Transaction> {
  try {
    return await producer.transaction()
  } catch (error) {
    await producer.disconnect().catch(() => undefined)
    throw error
  }
}

/**
 * Waits until every transaction before the written messages is over. Compares with the ends that a read-committed
 * consumer sees.
 */
async function allFinalisedBefore(
  admin: Admin,
  topic: string,
  written: readonly RecordMetadata[],
): Promise<void> {
  const endMs = performance.now() + SETTLED_MS_MAX
  for (;;) {
    const ends = await admin.fetchTopicOffsets(topic)
    const hidden = written.find(({ partition, baseOffset }) => {
      const end = ends.find((each) => each.partition === partition)
      return Number(end?.high ?? -1) < Number(baseOffset ?? Infinity)
    })
    if (hidden === undefined) return
    if (performance.now() > endMs) throw heldUp(topic, hidden.partition)
    await sleepMs(SETTLED_POLL_MS)
  }
}

function heldUp(topic: string, partition: number): SluiceError {
  return new SluiceError(
    'SLUICE_COMMIT_UNKNOWN',
    `A producer holds a transaction open in ${topic}/${partition}, so that it cannot be seen what was sent again ` +
      'before; the messages of this step were not sent. Run again once that transaction is over.',
  )
}

function notSent(error: unknown): SluiceError {
  if (error instanceof SluiceError) return error
  const isFenced = FENCED.includes((error as { readonly type?: string }).type ?? '')
  return new SluiceError(
    'SLUICE_COMMIT_UNKNOWN',
    isFenced
      ? 'Another redrive of this stream has begun, so this one has stopped; what it had sent is valid. Let the ' +
          'other one end, then run again: nothing is sent twice.'
      : 'The connection broke while messages were sent, so that it is not known whether the last of them were; ' +
          'run again: nothing is sent twice.',
    { cause: error },
  )
}

// Formats plan and result of a redrive for people and as JSON.

/** Letters are printed as they are sent, so widths are fixed. Time, position, reason. */
const FORM = { widths: [19, 24, 21] }

/** One letter on one line: its message, the reason of the failure, and its state. */
export function plannedLine(planned: PlannedLetter, topicPrefix: string, isSent: boolean): string {
  const { letter } = planned
  const cells = [
    timeText(letter.decidedAtMs),
    formatPosition(letter).slice(topicPrefix.length),
    safeText(letter.reason),
    outcomeText(planned, isSent),
  ]
  return tableLine(cells, FORM)
}

function outcomeText({ letter, state, target, detail }: PlannedLetter, isSent: boolean): string {
  if (state === 'send' && target !== null) {
    const move = target.partition === letter.partition ? '' : ` (was ${letter.partition})`
    const warning = detail === null ? '' : `, and would be refused again: ${detail}`
    return `${isSent ? 'sent' : 'send'} ${letter.payloadBytes} bytes to partition ${target.partition}${move}${warning}`
  }
  return detail === null ? STATE_TEXTS[state] : `${STATE_TEXTS[state]}: ${detail}`
}

/** A planned letter as JSON; `isSent` distinguishes a plan from a result. */
export function plannedJson(planned: PlannedLetter, isSent: boolean): Record<string, unknown> {
  const { letter, state, target, detail } = planned
  return {
    position: formatPosition(letter),
    reason: letter.reason,
    state: state === 'send' && isSent ? 'sent' : state,
    detail,
    toTopic: target === null ? null : letter.topic,
    toPartition: target?.partition ?? null,
    bytes: target === null ? null : letter.payloadBytes,
    headers: target === null ? null : { [REDRIVEN_FROM_HEADER]: formatPosition(letter) },
  }
}

/** Number of letters in each state, in the order of the states. */
function stateCounts(
  planned: readonly PlannedLetter[],
): readonly { readonly state: PlannedLetter['state']; readonly count: number }[] {
  return REDRIVE_STATES.map((state) => ({
    state,
    count: planned.filter((each) => each.state === state).length,
  })).filter(({ count }) => count > 0)
}

/** The counts as lines. */
export function stateLines(planned: readonly PlannedLetter[], isSent: boolean): readonly string[] {
  const rows = stateCounts(planned).map(({ state, count }) => [
    String(count),
    state === 'send' && isSent ? 'sent' : STATE_TEXTS[state],
  ])
  return tableLines(rows, { align: 'r' })
}
