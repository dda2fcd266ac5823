// Lists of cards, merchants, devices, networks and ranges, each entry with a reason, an author and an end. Content is
// immutable: another entry makes another list, named by the digest of its text.

import { SluiceError } from '../errors.ts'
import { FieldReader } from '../scoring/field-reader.ts'
import { identifierFault } from '../wire/field-checks.ts'
import { networkOf, rangeOf } from './list-values.ts'

/** Limits of one list (P6). Ranges are looked at one by one. */
export const LIST_LIMITS = {
  entriesMax: 100_000,
  rangesMax: 1_000,
  bytesMax: 64 * 1024 * 1024,
  valueCharactersMax: 128,
  reasonCharactersMax: 500,
} as const

/** Value: the very text. Network: all addresses and networks inside. Range: everything from one text to another. */
export const ENTRY_KINDS = ['value', 'network', 'range'] as const
export type EntryKind = (typeof ENTRY_KINDS)[number]

export interface ListEntry {
  readonly kind: EntryKind
  /** A text, `192.0.2.0/24`, or `4800..4899`. */
  readonly value: string
  readonly reason: string
  readonly author: string
  /** From this event time on it no longer counts; null is without end. */
  readonly endMs: number | null
}

export interface ListContent {
  readonly name: string
  readonly entries: readonly ListEntry[]
}

/** The lists of a ruleset by name. */
export type PolicyLists = ReadonlyMap<string, ListContent>

const FORMAT = 1

const NETWORK_FORM = /^[0-9a-f.:]+\/\d+$/i

/**
 * Reads the text of a list.
 * @throws SluiceError SLUICE_POLICY_CORRUPT
 */
export function readList(text: string): ListContent {
  const fields = new FieldReader(parsed(text), 'list', corruptPolicy)
  fields.integer('format', FORMAT, FORMAT)
  const name = fields.string('name')
  const entries = fields.objects('entries', LIST_LIMITS.entriesMax, readEntry)
  fields.end()
  const problem = listProblem({ name, entries })
  if (problem !== null) throw corruptPolicy(problem)
  return { name, entries }
}

/** The text of a list, the same for the same entries. */
export function listText({ name, entries }: ListContent): string {
  const sorted = entries.toSorted((a, b) => (a.value < b.value ? -1 : a.value > b.value ? 1 : 0))
  return `${JSON.stringify({ format: FORMAT, name, entries: sorted })}\n`
}

/** The list with this entry, in the place of an older one of the same value. */
export function withEntry(list: ListContent, entry: ListEntry): ListContent {
  const others = list.entries.filter(({ value }) => value !== entry.value)
  return { name: list.name, entries: [...others, entry] }
}

/** The list without this value; null when it has none. */
export function withoutValue(list: ListContent, value: string): ListContent | null {
  const entries = list.entries.filter((entry) => entry.value !== value)
  return entries.length === list.entries.length ? null : { name: list.name, entries }
}

/** How a value is meant when nobody says: a network with a length, two texts with `..` between them, or itself. */
export function kindOfValue(value: string): EntryKind {
  // What has the form of one and is none is refused as one, and not taken for a text that nothing ever equals.
  if (value.includes('..')) return 'range'
  return NETWORK_FORM.test(value) ? 'network' : 'value'
}

/** What is wrong with an entry, in words; null when nothing is. */
export function entryProblem({ kind, value }: Pick<ListEntry, 'kind' | 'value'>): string | null {
  // The value is not repeated: it may be a card number (P8).
  const fault = identifierFault(value)
  if (fault === 'card_number_suspected') return 'an entry holds a card number; lists take tokens'
  if (fault !== null)
    return 'an entry has a value that no transaction can have: empty, too long, or not ASCII'
  if (kind === 'network' && networkOf(value) === null) {
    return `${value} is no network such as 192.0.2.0/24 or 2001:db8::/32`
  }
  if (kind === 'range' && rangeOf(value) === null) {
    return `${value} is no range such as 4800..4899: two texts of one length, or two addresses, the lower one first`
  }
  return null
}

/** What is wrong with a list, in words; null when nothing is. */
export function listProblem({ name, entries }: ListContent): string | null {
  const { entriesMax, rangesMax } = LIST_LIMITS
  if (entries.length > entriesMax) return `${name} has more than ${entriesMax} entries`
  if (entries.filter(({ kind }) => kind === 'range').length > rangesMax) {
    return `${name} has more than ${rangesMax} ranges; networks and values have no such limit`
  }
  const seen = new Set<string>()
  for (const entry of entries) {
    const problem = entryProblem(entry)
    if (problem !== null) return problem
    if (seen.has(entry.value)) return `${name} has ${entry.value} twice`
    seen.add(entry.value)
  }
  return null
}

/** The error for a stored policy, list or ruleset that is not as it was written. */
export function corruptPolicy(problem: string, cause?: unknown): SluiceError {
  return new SluiceError(
    'SLUICE_POLICY_CORRUPT',
    `The ruleset cannot be used: ${problem}. Restore the store's folder "policies", or apply the policy again with ` +
      '"sluice policy apply".',
    { cause, details: { problem } },
  )
}

function readEntry(fields: FieldReader): ListEntry {
  return {
    kind: fields.oneOf('kind', ENTRY_KINDS),
    value: fields.string('value', LIST_LIMITS.valueCharactersMax),
    reason: fields.string('reason', LIST_LIMITS.reasonCharactersMax),
    author: fields.string('author'),
    endMs: fields.numberOrNull('endMs'),
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw corruptPolicy('a list is no JSON', error)
  }
}
