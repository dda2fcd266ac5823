// Options of `sluice dead-letters`: their types, how their texts are read, and the filter that they make.

import { InvalidArgumentError, type Command } from 'commander'
import { SluiceError } from '../../core/errors.ts'
import { parsePosition, type MessagePosition } from '../../core/redrive.ts'
import { REJECT_REASONS, type RejectReason } from '../../core/dead-letters.ts'
import { topicName } from '../../platform/kafka/topics.ts'
import { parseDurationMs, parseEventTimeMs } from '../../producer/index.ts'
import { parseInteger } from '../command.ts'
import type { LetterFilter } from '../dead-letters/letter-filter.ts'
import { brokersOption } from './alerts-options.ts'

const PARTITION_MAX = 999_999

/** Which letters, and where. Absent means all of them. */
export interface LetterOptions {
  readonly reason?: readonly RejectReason[]
  /** A time, ms UTC, or how long ago, ms. */
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

/** A point in time, or how long ago it was when the command began. */
export type Moment = { readonly atMs: number } | { readonly agoMs: number }

/** Adds the options that choose letters. */
export function addLetterOptions(command: Command): Command {
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

/** Adds the options that say where the stream is. */
export function addStreamOptions(command: Command): Command {
  return command
    .option(
      '--brokers <host:port,...>',
      'Kafka (default SLUICE_KAFKA_BROKERS or 127.0.0.1:19092)',
      brokersOption,
    )
    .option(
      '--topic-prefix <prefix>',
      "put before topic names (default SLUICE_TOPIC_PREFIX, or a running demo's, or none)",
    )
    .option('--json', 'print one line of JSON each')
}

/**
 * The filter that the options ask for. @throws SluiceError SLUICE_USAGE when they contradict each other or let
 * nothing pass.
 */
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

/** Reads reasons with commas between. */
export function reasonsOption(text: string): readonly RejectReason[] {
  return text.split(',').map((word) => {
    const reason = REJECT_REASONS.find((known) => known === word.trim())
    if (reason !== undefined) return reason
    throw new InvalidArgumentError(`Give one or more of ${REJECT_REASONS.join(', ')}.`)
  })
}

/** Reads a time or a duration. */
export function momentOption(text: string): Moment {
  const agoMs = parseDurationMs(text)
  if (agoMs !== null) return { agoMs }
  const atMs = parseEventTimeMs(text)
  if (atMs !== null) return { atMs }
  throw new InvalidArgumentError(
    'Give a time such as 2026-01-31 or 2026-01-31T08:00Z, or how long ago, such as 90s, 2h or 7d.',
  )
}

function topicOption(text: string): 'transactions' | 'labels' {
  if (text === 'transactions' || text === 'labels') return text
  throw new InvalidArgumentError('Give transactions or labels.')
}

function timeOf(moment: Moment | undefined, nowMs: number): number | null {
  if (moment === undefined) return null
  return 'atMs' in moment ? moment.atMs : nowMs - moment.agoMs
}

function usage(message: string): SluiceError {
  return new SluiceError('SLUICE_USAGE', message)
}
