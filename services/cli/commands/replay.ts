// sluice replay: recomputes decisions from the log, and reports whether they are the same.

import { InvalidArgumentError, type Command } from 'commander'
import { SluiceError } from '../../core/errors.ts'
import { rangeOfBound, type TimeRange } from '../../producer/index.ts'
import { storesOf } from '../model/model-stream.ts'
import { interruptSignal, parseInteger, printJson, printLine, printProgress } from '../command.ts'
import { type StreamOptions, openStream } from '../features/export-rows.ts'
import { isProven } from '../replay/judge-decisions.ts'
import { type ReplayRange, loadReplayConfig, replayLines, runReplay } from '../replay/run-replay.ts'
import { ModelsByDigest } from '../replay/recorded-deciders.ts'
import { addPlaceOptions } from './stream-options.ts'

const EXIT_DIFFERS = 1
const PARTITION_MAX = 1_000_000
const ALERT_ID_PATTERN = /^[0-9a-f]{32}$/

interface ReplayCommandOptions extends StreamOptions {
  readonly all?: boolean
  readonly partition?: number
  readonly from?: number
  readonly to?: number
  readonly since?: TimeRange
  readonly until?: TimeRange
  readonly model: readonly string[]
  readonly store?: string
}

const EXAMPLES = `
Examples:
  $ sluice replay 5f0c1f6f2a6c4f0d9a3e5b7c8d9e0f1a
  $ sluice replay --all
  $ sluice replay --partition 2 --from 1000 --to 1999 --json
  $ sluice replay --since 2026-11-01 --until 2026-11-02 --model models/mine

What is compared, and what is taken as recorded: docs/replay.md.`

/** Adds the command to the program. */
export function register(program: Command): void {
  const offset = parseInteger(0, Number.MAX_SAFE_INTEGER)
  const command = program
    .command('replay')
    .summary('compute decisions again from the log, and compare')
    .description(
      'Computes decisions again from the log, with the models and policies that their blocks name, and compares ' +
        'features, scores, outcomes and reasons bit for bit. Exits 1 when something differs, when a model or a policy ' +
        'is missing, or when nothing lies in the range.',
    )
    .argument('[alert id]', 'replay the decisions of this alert')
    .option('--all', 'replay all decisions that the topics hold')
    .option('--partition <number>', 'replay this partition', parseInteger(0, PARTITION_MAX))
    .option('--from <offset>', 'from this offset of its transactions on', offset)
    .option('--to <offset>', 'up to this one, included', offset)
    .option('--since <time>', 'replay from this event time on, such as 2026-11-01', boundOption)
    .option('--until <time>', 'up to this one; a date is the whole day', boundOption)
    .option('--model <folder...>', 'folders of models that are not in the store', [])
    .option(
      '--store <folder>',
      'folder or "topic" (default SLUICE_POLICY_STORE and SLUICE_MODEL_STORE, or .sluice/models)',
    )
  addPlaceOptions(command)
    .option('--json', 'print JSON')
    .addHelpText('after', EXAMPLES)
    .action(replay)
}

function boundOption(text: string): TimeRange {
  const range = rangeOfBound(text)
  if (range !== null) return range
  throw new InvalidArgumentError('Give a time such as 2026-11-01 or 2026-11-01T08:00Z.')
}

async function replay(alertId: string | undefined, options: ReplayCommandOptions): Promise<void> {
  const range = rangeOf(alertId, options)
  const config = loadReplayConfig(process.env, options.model, storesOf(options))
  const stream = await openStream(options)
  const models = new ModelsByDigest(config.places)
  const signal = interruptSignal()
  const ran = await runReplay(stream, range, config, models, {
    onProgress: printProgress,
    signal,
  }).finally(() => {
    models.close()
  })
  if (options.json === true) printJson({ range, ...ran, isProven: isProven(ran) })
  else for (const line of replayLines(ran)) printLine(line)
  if (!isProven(ran)) process.exitCode = EXIT_DIFFERS
}

/** Exactly one kind of range. @throws SluiceError SLUICE_USAGE. */
function rangeOf(alertId: string | undefined, options: ReplayCommandOptions): ReplayRange {
  const { all, partition, from, to, since, until } = options
  const hasOffsets = partition !== undefined || from !== undefined || to !== undefined
  const hasTimes = since !== undefined || until !== undefined
  const kinds = [alertId !== undefined, all === true, hasOffsets, hasTimes].filter(Boolean)
  if (kinds.length !== 1) {
    throw new SluiceError(
      'SLUICE_USAGE',
      'Give one of: an alert id, --all, --partition with --from and --to, or --since and --until.',
    )
  }
  if (alertId !== undefined) {
    if (ALERT_ID_PATTERN.test(alertId)) return { kind: 'alert', alertId }
    throw new SluiceError(
      'SLUICE_USAGE',
      `"${alertId}" is not an alert id; one has 32 hexadecimal digits, as "sluice alerts tail --json" shows it.`,
    )
  }
  if (hasTimes) {
    const span = { fromMs: since?.fromMs ?? -Infinity, endMs: until?.endMs ?? Infinity }
    if (span.endMs > span.fromMs) return { kind: 'times', ...span }
    throw new SluiceError('SLUICE_USAGE', '--until is before --since; swap them.')
  }
  if (!hasOffsets) return { kind: 'all' }
  const span = { from: from ?? 0, to: to ?? Number.MAX_SAFE_INTEGER }
  if (partition === undefined) {
    throw new SluiceError('SLUICE_USAGE', 'Offsets belong to a partition: give --partition too.')
  }
  if (span.to >= span.from) return { kind: 'offsets', partition, ...span }
  throw new SluiceError('SLUICE_USAGE', '--to is before --from; swap them.')
}
