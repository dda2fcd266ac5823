// sluice list: shows the entries of the policy's lists, and adds or removes them.

import { InvalidArgumentError, Option, type Command } from 'commander'
import { SluiceError } from '../../core/errors.ts'
import {
  ENTRY_KINDS,
  type EntryKind,
  entryProblem,
  kindOfValue,
  type ListContent,
  type ListEntry,
  listProblem,
  withEntry,
  withoutValue,
} from '../../core/policy/policy-lists.ts'
import { withListDigest } from '../../core/policy/ruleset.ts'
import { systemClock } from '../../platform/clock.ts'
import { addList, findList } from '../../platform/policy-store.ts'
import type { ContentStore } from '../../platform/stores/content-store.ts'
import { parseDurationMs, parseEventTimeMs } from '../../producer/index.ts'
import { printJson, printProgress } from '../command.ts'
import {
  addChangeOptions,
  addStreamOptions,
  authorOf,
  openControl,
  storesOf,
  type ChangeOptions,
  type ModelOptions,
} from '../model/model-stream.ts'
import {
  nextVersion,
  ownRuleset,
  publishRuleset,
  readInForce,
  type InForce,
} from '../policy/policy-stream.ts'
import { printTable } from '../table.ts'
import { environmentHelp } from './environment-help.ts'

const EXAMPLES = `
Examples:
  $ sluice list show
  $ sluice list add stolen_cards tok_8f2a --reason "reported stolen" --until 30d
  $ sluice list add bad_networks 192.0.2.0/24 --reason "card testing" --until 2027-01-31
  $ sluice list remove stolen_cards tok_8f2a --reason "found again"

Which lists there are and what they do is said in the policy: docs/policy.md.`

interface AddOptions extends ChangeOptions {
  /** End of the entry, milliseconds UTC; Infinity means never. */
  readonly until: number
  readonly kind?: EntryKind
}

/** Adds the command to the program. */
export function register(program: Command): void {
  const list = program
    .command('list')
    .summary("look at the policy's lists, and change them")
    .description(
      'Entries have a reason, an author and an end, in event time. Every change is a new version of the ruleset, which ' +
        'running scorers take between two batches.',
    )
    .addHelpText('after', () => `\n${environmentHelp('list')}\n${EXAMPLES}`)
  registerShow(list)
  registerAdd(list)
  registerRemove(list)
}

function registerShow(list: Command): void {
  const show = list
    .command('show')
    .summary('print the entries of a list, or how many each has')
    .argument('[list]', 'name of the list')
    .option('--json', 'print JSON')
  addStreamOptions(show).action(async (name: string | undefined, options: ModelOptions) => {
    const store = storesOf(options).policies
    const inForce = await readInForce(await openControl(options), store)
    const { document } = ownRuleset(inForce)
    const names = name === undefined ? document.lists.map((one) => one.name) : [name]
    const contents: ListContent[] = []
    for (const one of names) contents.push(await contentOf(inForce, store, one))
    if (options.json === true) {
      printJson(name === undefined ? contents : contents[0])
      return
    }
    if (name === undefined) {
      printTable(contents.map(({ name: own, entries }) => [own, `${entries.length} entries`]))
    } else printTable(contents.flatMap(({ entries }) => entries.map(cellsOf)))
  })
}

function registerAdd(list: Command): void {
  const add = list
    .command('add')
    .summary('put a value on a list, or change its entry')
    .argument('<list>', 'name of the list')
    .argument('<value>', 'a value, a network such as 192.0.2.0/24, or a range such as 4800..4899')
    .requiredOption(
      '--until <time>',
      'when the entry ends by itself: 30d, 2027-01-31, or never',
      untilOption,
    )
    .addOption(
      new Option('--kind <kind>', 'how the value is meant (default: by its form)').choices(
        ENTRY_KINDS,
      ),
    )
  addChangeOptions(add).action(async (name: string, value: string, options: AddOptions) => {
    const { until, reason, kind = kindOfValue(value) } = options
    const endMs = Number.isFinite(until) ? until : null
    const entry: ListEntry = { kind, value, reason, author: authorOf(options), endMs }
    const problem = entryProblem(entry)
    if (problem !== null) {
      const hint =
        kind === 'value' || options.kind !== undefined ? '' : ' --kind value takes it literally.'
      throw new SluiceError('SLUICE_INPUT_INVALID', `${name}: ${problem}.${hint}`)
    }
    if (endMs !== null && endMs <= systemClock.nowMs()) {
      printProgress('this entry is over already: it counts only for payments of before its end')
    }
    await change(name, options, (content) => withEntry(content, entry))
  })
}

function registerRemove(list: Command): void {
  const remove = list
    .command('remove')
    .summary('take a value off a list')
    .argument('<list>', 'name of the list')
    .argument('<value>', 'the value as it was added')
  addChangeOptions(remove).action(async (name: string, value: string, options: ChangeOptions) => {
    await change(name, options, (content) => {
      const rest = withoutValue(content, value)
      if (rest !== null) return rest
      throw new SluiceError('SLUICE_INPUT_INVALID', `The list ${name} has no entry ${value}.`)
    })
  })
}

async function change(
  name: string,
  options: ChangeOptions,
  edit: (content: ListContent) => ListContent,
): Promise<void> {
  const store = storesOf(options).policies
  const access = await openControl(options)
  const inForce = await readInForce(access, store)
  const { ruleset } = ownRuleset(inForce)
  const changed = edit(await contentOf(inForce, store, name))
  const problem = listProblem(changed)
  if (problem !== null) throw new SluiceError('SLUICE_INPUT_INVALID', `${problem}.`)
  const version = await nextVersion(store, ruleset)
  const next = withListDigest(ruleset, name, await addList(store, changed), version)
  printProgress(`${name} has ${changed.entries.length} entries`)
  await publishRuleset(
    access,
    { store, deployment: inForce.deployment, kind: 'replace', ruleset: next },
    options,
  )
}

/** A list that the policy names and nobody has filled is empty. @throws SluiceError SLUICE_USAGE for any other name. */
async function contentOf(
  inForce: InForce,
  store: ContentStore,
  name: string,
): Promise<ListContent> {
  const { ruleset, document } = ownRuleset(inForce)
  const digest = ruleset.lists[name]
  if (digest !== undefined) return findList(store, digest)
  if (document.lists.some((list) => list.name === name)) return { name, entries: [] }
  const names = document.lists.map((list) => list.name).join(', ')
  throw new SluiceError(
    'SLUICE_USAGE',
    `The policy in force has no list ${name}; it has ${names === '' ? 'none' : names}. Lists are named in the policy.`,
  )
}

function cellsOf({ kind, value, reason, author, endMs }: ListEntry): readonly string[] {
  const end = endMs === null ? 'without end' : `until ${new Date(endMs).toISOString()}`
  return [value, kind, end, `${author}: ${reason}`]
}

/** Reads an end time as milliseconds UTC; Infinity means never. */
function untilOption(text: string): number {
  if (text === 'never') return Infinity
  const fromNowMs = parseDurationMs(text)
  const endMs = fromNowMs === null ? parseEventTimeMs(text) : systemClock.nowMs() + fromNowMs
  if (endMs !== null) return endMs
  throw new InvalidArgumentError(
    'Give a duration such as 30d, a time such as 2027-01-31, or never.',
  )
}
