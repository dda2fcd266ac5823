// sluice audit: verifies the chain of decision batches, and anchors it outside of Kafka.

import type { Command } from 'commander'
import type { Anchor, ChainSummary } from '../../core/audit/chain-check.ts'
import { EnvReader, readGroupId } from '../../platform/config/env-reader.ts'
import {
  appendAnchors,
  chainLines,
  eraseFromCopy,
  exportBatches,
  readAnchors,
  verifyChain,
  verifyCopy,
} from '../audit/verify-chain.ts'
import { interruptSignal, printJson, printLine, printProgress } from '../command.ts'
import { type StreamOptions, openStream } from '../features/export-rows.ts'
import { addPlaceOptions } from './stream-options.ts'

const EXIT_BROKEN = 1
const ANCHORS_DEFAULT = 'audit/anchors.ndjson'

interface AuditOptions extends StreamOptions {
  readonly anchors: string
  readonly copy?: string
  readonly acceptHead?: boolean
}

const EXAMPLES = `
Examples:
  $ sluice audit verify
  $ sluice audit verify --anchors /mnt/worm/anchors.ndjson --json
  $ sluice audit anchor --anchors /mnt/worm/anchors.ndjson
  $ sluice audit export --out decisions-2026-11.ndjson
  $ sluice audit erase --copy decisions-2026-11.ndjson --card card-00042
  $ sluice audit verify --copy decisions-2026-11.ndjson

What the chain proves and what not: docs/audit.md.`

/** Adds the command to the program. */
export function register(program: Command): void {
  const audit = program
    .command('audit')
    .summary('verify the chain of decision batches, and anchor it')
    .description(
      'Each decision batch carries the hash of the one before it in its partition. A block that is altered, removed or ' +
        'put elsewhere is found by that.',
    )
    .addHelpText('after', EXAMPLES)
  addOptions(
    audit
      .command('verify')
      .summary('follow the chain and report where it breaks')
      .description(
        'Reads all decision batches that the topic holds and follows their chains, from the oldest to what the scorer ' +
          'committed last. Exits 1 when something is found.',
      )
      .option(
        '--copy <file>',
        'verify a copy that "sluice audit export" wrote instead of the topic',
      ),
  ).action(verify)
  addOptions(
    audit
      .command('anchor')
      .summary('verify, and keep the newest hashes in a file')
      .description(
        'Verifies the chain and, if it is intact, adds the newest hash of every partition to a file. Keep the file ' +
          'where those who may write to Kafka may not. It confirms the oldest batch after retention has removed earlier ' +
          'ones, so run it more often than the retention time, for instance daily.',
      )
      .option(
        '--accept-head',
        'accept a beginning that no anchor confirms, when the first anchor comes after retention',
      ),
  ).action(anchor)
  addCopyCommands(audit)
}

function addCopyCommands(audit: Command): void {
  addOptions(
    audit
      .command('export')
      .summary('copy the decision batches to a file, to keep them for longer')
      .description('Writes every decision batch that the topic holds to a file, a line each.')
      .requiredOption('--out <file>', 'file to write'),
  ).action(exportCopy)
  addOptions(
    audit
      .command('erase')
      .summary("take a card's values out of a copy; its chain still verifies")
      .description(
        'Takes the values, features and salts of all decisions about a card out of a copy, and leaves their digests. ' +
          'In Kafka nothing can be erased: there messages expire.',
      )
      .requiredOption('--copy <file>', 'copy that "sluice audit export" wrote; it is rewritten')
      .requiredOption('--card <token>', 'card to erase'),
  ).action(erase)
}

function addOptions(command: Command): Command {
  return addPlaceOptions(command.option('--anchors <file>', 'file of anchors', ANCHORS_DEFAULT))
    .option('--json', 'print JSON')
    .addHelpText('after', EXAMPLES)
}

async function verify(options: AuditOptions): Promise<void> {
  const anchors = await readAnchors(options.anchors)
  const { copy } = options
  const summaries =
    copy === undefined
      ? await verified(options, anchors)
      : judged(await verifyCopy(copy, anchors, (await openStream(options)).codecs))
  if (options.json === true) printJson({ anchors: anchors.length, partitions: summaries })
  else for (const line of chainLines(summaries)) printLine(line)
}

async function anchor(options: AuditOptions): Promise<void> {
  const known = await readAnchors(options.anchors)
  const summaries = await verified(options, known)
  const isSound = summaries.every(({ findings }) =>
    findings.every(({ fault }) => fault === 'head_unverified' && options.acceptHead === true),
  )
  if (isSound) process.exitCode = 0
  const anchoredAtMs = Date.now()
  const has = new Set(known.map(({ partition, offset }) => `${partition}/${offset}`))
  const added = summaries.flatMap(({ partition, newest }): Anchor[] =>
    newest === null || has.has(`${partition}/${newest.offset}`)
      ? []
      : [{ ...newest, anchoredAtMs }],
  )
  if (isSound) await appendAnchors(options.anchors, added)
  if (options.json === true) {
    printJson({ file: options.anchors, added: isSound ? added : [], partitions: summaries })
    return
  }
  for (const line of chainLines(summaries)) printLine(line)
  printLine(
    isSound
      ? `${added.length} anchors added to ${options.anchors}.`
      : 'Nothing is anchored: a chain that does not hold proves nothing.',
  )
}

async function verified(options: AuditOptions, anchors: readonly Anchor[]) {
  const stream = await openStream(options)
  const read = new EnvReader(process.env)
  const groupId = readGroupId(read, stream.topicPrefix)
  read.throwIfInvalid()
  const summaries = await verifyChain(
    stream,
    { groupId, anchors, onProgress: printProgress },
    interruptSignal(),
  )
  return judged(summaries)
}

function judged(summaries: readonly ChainSummary[]): readonly ChainSummary[] {
  if (summaries.some(({ findings }) => findings.length > 0)) process.exitCode = EXIT_BROKEN
  return summaries
}

async function exportCopy(options: AuditOptions & { readonly out: string }): Promise<void> {
  const blocks = await exportBatches(await openStream(options), options.out, interruptSignal())
  if (options.json === true) printJson({ out: options.out, blocks })
  else printLine(`${options.out}: ${blocks} blocks`)
}

async function erase(options: AuditOptions & { readonly copy: string; readonly card: string }) {
  const { copy, card } = options
  const found = await eraseFromCopy(copy, card, (await openStream(options)).codecs)
  if (options.json === true) printJson({ copy, ...found })
  else printLine(`${copy}: ${found.erased} decisions erased in ${found.blocks} blocks`)
}
