// sluice dead-letters: shows messages that could not be decided, and sends them again.

import { createInterface } from 'node:readline/promises'
import { type Command, InvalidArgumentError } from 'commander'
import { loadAlertsConfig } from '../../alerts/index.ts'
import { SluiceError } from '../../core/errors.ts'
import { type MessagePosition, formatPosition, parsePosition } from '../../core/redrive.ts'
import { REJECT_REASONS, type RejectReason } from '../../core/dead-letters.ts'
import { createCodecs } from '../../core/wire/codecs.ts'
import type { RegistryContent } from '../../core/wire/schema-registry.ts'
import { systemClock } from '../../platform/clock.ts'
import { topicName } from '../../platform/kafka/topics.ts'
import { openSchemaRegistry } from '../../platform/registry/http-registry.ts'
import { interruptSignal, parseInteger, printLine, printProgress } from '../command.ts'
import {
  type LetterFilter,
  type StreamAccess,
  loadRedriveConfig,
  readLetters,
} from '../dead-letters/read-letters.ts'
import {
  LetterCounts,
  findLetter,
  findPayload,
  letterHeading,
  letterJson,
  letterLine,
  payloadLines,
  remainderLine,
  showLines,
  summaryLines,
} from '../dead-letters/letter-lines.ts'
import {
  type PlannedLetter,
  plannedJson,
  plannedLine,
  redrive,
  stateLines,
} from '../dead-letters/redrive.ts'
import {
  type Moment,
  addStreamOptions,
  momentOption,
  timeOf,
  whereToLook,
} from './stream-options.ts'
import { configuredRates } from '../../platform/config/rates-setting.ts'

const LIST_DEFAULT = 100
const LIST_MAX = 10_000_000
const SEND_DEFAULT = 1_000
const SEND_MAX = 10_000

interface ListOptions extends LetterOptions {
  readonly limit: number
  readonly summary?: boolean
}

interface ShowOptions extends LetterOptions {
  readonly payload?: boolean
}

interface RedriveCommandOptions extends LetterOptions {
  readonly limit: number
  readonly dryRun?: boolean
  readonly yes?: boolean
  readonly force?: boolean
}

const EXAMPLES = `
Examples:
  $ sluice dead-letters list --since 2h --summary
  $ sluice dead-letters list --reason wrong_partition,unknown_schema --json | jq .position
  $ sluice dead-letters show transactions/3/1042 --payload
  $ sluice dead-letters redrive --reason wrong_partition --dry-run
  $ sluice dead-letters redrive --reason wrong_partition --yes

What each reason means and what to do: docs/dead-letters.md`

/** Adds the command to the program. */
export function register(program: Command): void {
  const letters = program
    .command('dead-letters')
    .summary('look at messages that could not be decided, and send them again')
    .description('Messages that could not be decided: which, why, and what to do about them.')
    .addHelpText('after', EXAMPLES)
  const listing = letters
    .command('list')
    .summary('list dead letters')
    .description('Lists dead letters, the oldest first. Times are those of the letters.')
    .option('--limit <count>', 'show at most this many', parseInteger(1, LIST_MAX), LIST_DEFAULT)
    .option('--summary', 'only how many there are, by source topic and reason')
  addStreamOptions(addLetterOptions(listing)).addHelpText('after', EXAMPLES).action(list)
  const showing = letters
    .command('show')
    .summary('show all that is known of one')
    .description('Shows one dead letter. Card numbers are never shown, whatever the message holds.')
    .argument('<topic/partition/offset>', 'position of the message', positionOption)
    .option('--payload', 'also the message, while it is in its topic')
  addStreamOptions(showing).addHelpText('after', EXAMPLES).action(show)
  const redriving = letters
    .command('redrive')
    .summary('send messages again once their cause is gone')
    .description(
      'Sends messages again to their topic, in the partition where their card belongs, marked with a header. ' +
        'What was sent again before is not sent once more, however often and by whomever this is run. What ' +
        'would become a dead letter again is left out.',
    )
    .option('--dry-run', 'say what would be sent, and send nothing')
    .option('--yes', 'do not ask')
    .option('--force', 'also send what would become a dead letter again, card numbers excepted')
    .option('--limit <count>', 'send at most this many', parseInteger(1, SEND_MAX), SEND_DEFAULT)
  addStreamOptions(addLetterOptions(redriving)).addHelpText('after', EXAMPLES).action(resend)
}

interface Opened extends StreamAccess {
  readonly content: RegistryContent
}

async function open(options: LetterOptions): Promise<Opened> {
  const config = loadAlertsConfig(process.env)
  const { brokers, security, topicPrefix } = whereToLook(options, config)
  const url = config.schemaRegistryUrl
  const content = await openSchemaRegistry({ url, topicPrefix, register: false }).load()
  return { brokers, security, topicPrefix, content, codecs: createCodecs(content) }
}

async function list(options: ListOptions): Promise<void> {
  const stream = await open(options)
  const { topicPrefix } = stream
  const filter = filterOf(options, topicPrefix, systemClock.nowMs())
  const counts = new LetterCounts()
  let shown = 0
  const read = await readLetters(
    stream,
    filter,
    (found) => {
      counts.add(found)
      if (options.summary === true || shown >= options.limit) return
      if (shown === 0 && options.json !== true) printLine(letterHeading())
      shown += 1
      printLine(
        options.json === true ? JSON.stringify(letterJson(found)) : letterLine(found, topicPrefix),
      )
    },
    interruptSignal(),
  )
  if (options.summary === true) {
    if (options.json === true) for (const group of counts.groups) printLine(JSON.stringify(group))
    else for (const line of summaryLines(counts, topicPrefix)) printLine(line)
    shown = read.matching
  }
  if (read.matching === 0) printProgress(noneText(topicPrefix, read.others))
  const rest = remainderLine(read, shown)
  if (rest !== null) printProgress(rest)
}

async function show(position: MessagePosition, options: ShowOptions): Promise<void> {
  const stream = await open(options)
  const signal = interruptSignal()
  const { topicPrefix } = stream
  const full = position.topic.startsWith(topicPrefix)
    ? position
    : { ...position, topic: `${topicPrefix}${position.topic}` }
  const found = await findLetter(stream, full, signal)
  if (found === null) {
    throw new SluiceError(
      'SLUICE_USAGE',
      `There is no dead letter about ${formatPosition(full)}; "sluice dead-letters list" shows those there are.`,
    )
  }
  const payload =
    options.payload === true
      ? await findPayload(stream, stream.content, found.letter, signal)
      : null
  if (options.json === true) {
    printLine(JSON.stringify({ ...letterJson(found), ...(payload !== null && { payload }) }))
    return
  }
  for (const line of showLines(found)) printLine(line)
  if (payload !== null) for (const line of payloadLines(payload)) printLine(line)
}

async function resend(options: RedriveCommandOptions): Promise<void> {
  const isDry = options.dryRun === true
  if (!isDry && options.yes !== true && !process.stdin.isTTY) {
    throw new SluiceError(
      'SLUICE_USAGE',
      'This would send messages and nobody can be asked here; give --yes, or --dry-run to see what it would send.',
    )
  }
  const stream = await open(options)
  const signal = interruptSignal()
  const filter = filterOf(options, stream.topicPrefix, systemClock.nowMs())
  const { planned, sent } = await redrive(
    {
      ...stream,
      filter,
      sendMax: options.limit,
      force: options.force === true,
      rates: configuredRates(),
      eventAheadMsMax: loadRedriveConfig(process.env).eventAheadMsMax,
      nowMs: () => systemClock.nowMs(),
      onProgress: printProgress,
      confirm: async (due) => !isDry && (options.yes === true || (await ask(due, signal))),
    },
    signal,
  )
  const isSent = sent > 0
  for (const each of planned) {
    printLine(
      options.json === true
        ? JSON.stringify(plannedJson(each, isSent))
        : plannedLine(each, stream.topicPrefix, isSent),
    )
  }
  if (planned.length === 0) printProgress(noneText(stream.topicPrefix, 0))
  for (const line of stateLines(planned, isSent)) printProgress(line)
  if (isDry && planned.length > 0) printProgress('a dry run: nothing was sent')
}

async function ask(planned: readonly PlannedLetter[], signal: AbortSignal): Promise<boolean> {
  const count = planned.filter(({ state }) => state === 'send').length
  for (const line of stateLines(planned, false)) printProgress(line)
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await terminal.question(`Send ${count} message(s) again? [y/N] `, { signal })
    return /^y(es)?$/i.test(answer.trim())
  } finally {
    terminal.close()
  }
}

function noneText(topicPrefix: string, others: number): string {
  const rest = others > 0 ? `; ${others} other(s) are not chosen by these options` : ''
  return `no dead letter in ${topicPrefix}dead-letters${rest}`
}

// Options of `sluice dead-letters`: their types, parsers, and the filter that they make.

const PARTITION_MAX = 999_999

/** Selects letters and the stream. Absent fields select everything. */
interface LetterOptions {
  readonly reason?: readonly RejectReason[]
  /** A time in milliseconds UTC, or an age in milliseconds. */
  readonly since?: Moment
  readonly until?: Moment
  readonly topic?: 'transactions' | 'labels'
  readonly partition?: number
  readonly offset?: number
  readonly fromOffset?: number
  readonly brokers?: readonly string[]
  readonly topicPrefix?: string
  readonly json?: boolean
}

/** Adds the options that select letters. */
function addLetterOptions(command: Command): Command {
  return command
    .option('--reason <reason,...>', 'only these reasons', reasonsOption)
    .option(
      '--since <time>',
      'letters written from this time on, such as 2h or 2026-01-31T08:00Z',
      momentOption,
    )
    .option('--until <time>', 'letters written before this time', momentOption)
    .option('--topic <topic>', 'of this source topic: transactions or labels', topicOption)
    .option('--partition <number>', 'of this partition of it', parseInteger(0, PARTITION_MAX))
    .option(
      '--offset <offset>',
      'the message at this offset',
      parseInteger(0, Number.MAX_SAFE_INTEGER),
    )
    .option(
      '--from-offset <offset>',
      'messages from this offset on',
      parseInteger(0, Number.MAX_SAFE_INTEGER),
    )
}

/** The filter of the options. @throws SluiceError SLUICE_USAGE when they contradict each other or match nothing. */
export function filterOf(options: LetterOptions, topicPrefix: string, nowMs: number): LetterFilter {
  const { reason, since, until, topic, partition, offset, fromOffset } = options
  if (offset !== undefined && fromOffset !== undefined) {
    throw usage('--offset and --from-offset exclude each other; give one of them.')
  }
  const sinceMs = timeOf(since, nowMs)
  const untilMs = timeOf(until, nowMs)
  if (sinceMs !== null && untilMs !== null && sinceMs >= untilMs) {
    throw usage('--since is not before --until; swap them.')
  }
  return {
    reasons: reason ?? null,
    sinceMs,
    untilMs,
    topic: topic === undefined ? null : topicName(topicPrefix, topic),
    partition: partition ?? null,
    offsetMin: offset ?? fromOffset ?? null,
    offsetMax: offset ?? null,
  }
}

/** Reads topic/partition/offset. A topic without the stream's prefix gets it. */
export function positionOption(text: string): MessagePosition {
  const position = parsePosition(text)
  if (position !== null) return position
  throw new InvalidArgumentError('Give TOPIC/PARTITION/OFFSET, such as transactions/3/1042.')
}

/** Reads comma-separated reasons. */
export function reasonsOption(text: string): readonly RejectReason[] {
  return text.split(',').map((word) => {
    const reason = REJECT_REASONS.find((known) => known === word.trim())
    if (reason !== undefined) return reason
    throw new InvalidArgumentError(`Give one or more of ${REJECT_REASONS.join(', ')}.`)
  })
}

function topicOption(text: string): 'transactions' | 'labels' {
  if (text === 'transactions' || text === 'labels') return text
  throw new InvalidArgumentError('Give transactions or labels.')
}

function usage(message: string): SluiceError {
  return new SluiceError('SLUICE_USAGE', message)
}
