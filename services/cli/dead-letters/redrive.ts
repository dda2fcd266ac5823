// Sends the messages of dead letters again: looks at what the source topics hold, plans, and sends what is left in
// short transactions. Nothing is sent twice: between fencing other operators and sending, the topics' new end is
// read once more for annotations.

import type { Admin, Kafka, Message } from 'kafkajs'
import type { RateTable } from '../../core/currency.ts'
import { SluiceError } from '../../core/errors.ts'
import { formatPosition, REDRIVEN_FROM_HEADER } from '../../core/redrive.ts'
import type { DeadLetter } from '../../core/wire/records.ts'
import { topicName } from '../../platform/kafka/topics.ts'
import type { LetterFilter } from './letter-filter.ts'
import { judgeMessage } from './message-verdict.ts'
import { asking, openLettersKafka } from './open-kafka.ts'
import { readLetters, type StreamAccess } from './read-letters.ts'
import { planLetter, withinLimit, type PlannedLetter } from './redrive-plan.ts'
import {
  openRedriveSender,
  SENT_AT_ONCE_BYTES_MAX,
  SENT_AT_ONCE_MAX,
  type RedriveSender,
} from './redrive-sender.ts'
import { findScanStart, SourceLog, type ScanStart } from './source-log.ts'

/** Letters that one run looks at. */
export const LETTERS_MAX = 100_000

export interface RedriveOptions extends StreamAccess {
  readonly filter: LetterFilter
  /** Messages that one run sends at most. */
  readonly sendMax: number
  /** Also sends what would become a dead letter again. */
  readonly force: boolean
  readonly rates: RateTable
  readonly eventAheadMsMax: number
  readonly nowMs: () => number
  readonly onProgress: (line: string) => void
  /** Asked once, with what would be sent; false sends nothing. */
  readonly confirm: (planned: readonly PlannedLetter[]) => Promise<boolean>
}

export interface RedriveResult {
  /** Every letter looked at, with what became of it. */
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
  /** Where the next pass over the topic begins. */
  start: ScanStart
  partitionCount: number
}

/**
 * Plans, asks, and sends.
 * @throws SluiceError SLUICE_BROKER_UNAVAILABLE, SLUICE_TOPICS_INVALID, SLUICE_USAGE when too many letters are
 * chosen, SLUICE_COMMIT_UNKNOWN when sending broke off; or the signal's reason between two transactions.
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
        onProgress(`${log.topic}: ${messages} messages looked at`)
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
    // Others are fenced now; what they sent since the first look stands behind where it ended.
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
 * The message as it was, under the key and in the partition where it belongs, with the mark. It is stamped with the
 * time of sending, as whatever is sent late, but never before its letter: the next run looks for it from there.
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
