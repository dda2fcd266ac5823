// Lists of cards, merchants, devices, networks and ranges; each entry has a reason, an author and an expiry. Content is
// immutable: a change creates another list, named by the digest of its text.

import ipaddr from 'ipaddr.js'
import { SluiceError } from '../errors.ts'
import { FieldReader } from '../scoring/field-reader.ts'
import { identifierFault } from '../wire/validation.ts'

/** Limits of one list (P6). Ranges are searched linearly. */
export const LIST_LIMITS = {
  entriesMax: 100_000,
  rangesMax: 1_000,
  bytesMax: 64 * 1024 * 1024,
  valueCharactersMax: 128,
  reasonCharactersMax: 500,
} as const

/** Value: an exact text. Network: all addresses and networks in it. Range: everything between two texts or addresses. */
export const ENTRY_KINDS = ['value', 'network', 'range'] as const
export type EntryKind = (typeof ENTRY_KINDS)[number]

export interface ListEntry {
  readonly kind: EntryKind
  /** A text, `192.0.2.0/24`, or `4800..4899`. */
  readonly value: string
  readonly reason: string
  readonly author: string
  /** Event time at which the entry expires; null for never. */
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

/** The text of a list; equal entries give equal text. */
export function listText({ name, entries }: ListContent): string {
  const sorted = entries.toSorted((a, b) => (a.value < b.value ? -1 : a.value > b.value ? 1 : 0))
  return `${JSON.stringify({ format: FORMAT, name, entries: sorted })}\n`
}

/** The list with this entry, replacing an older one of the same value. */
export function withEntry(list: ListContent, entry: ListEntry): ListContent {
  const others = list.entries.filter(({ value }) => value !== entry.value)
  return { name: list.name, entries: [...others, entry] }
}

/** The list without this value; null when it does not contain it. */
export function withoutValue(list: ListContent, value: string): ListContent | null {
  const entries = list.entries.filter((entry) => entry.value !== value)
  return entries.length === list.entries.length ? null : { name: list.name, entries }
}

/** The kind of a value when none is given: a network has a prefix length, a range has `..`. */
export function kindOfValue(value: string): EntryKind {
  // A malformed network or range is later refused as such, rather than accepted as a text that never matches.
  if (value.includes('..')) return 'range'
  return NETWORK_FORM.test(value) ? 'network' : 'value'
}

/** The problem with an entry, in words; null for none. */
export function entryProblem({ kind, value }: Pick<ListEntry, 'kind' | 'value'>): string | null {
  // The value is not repeated: it may be a card number (P8).
  const fault = identifierFault(value)
  if (fault === 'card_number_suspected') return 'an entry holds a card number; lists take tokens'
  if (fault !== null)
    return 'an entry has a value that no transaction can have: empty, too long, or with unprintable characters'
  if (kind === 'network' && networkOf(value) === null) {
    return `${value} is not a network such as 192.0.2.0/24 or 2001:db8::/32`
  }
  if (kind === 'range' && rangeOf(value) === null) {
    return `${value} is not a range such as 4800..4899: two texts of equal length, or two addresses, the lower one first`
  }
  return null
}

/** The problem with a list, in words; null for none. */
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

/** The error for a damaged policy, list or ruleset in the store. */
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
    throw corruptPolicy('a list is not JSON', error)
  }
}

/** A list prepared for lookups: values and networks by hash, ranges linearly. */
export class ListIndex {
  readonly #values = new Map<string, ListEntry>()
  readonly #networks = new Map<string, ListEntry>()
  /** Prefix lengths in use, longest first, so that the narrowest network is found first. */
  readonly #lengths: Readonly<Record<Network['family'], number[]>> = { ipv4: [], ipv6: [] }
  readonly #ranges: { readonly range: Range; readonly entry: ListEntry }[] = []
  readonly #asksAddresses: boolean

  constructor({ entries }: ListContent) {
    for (const entry of entries) this.#add(entry)
    for (const lengths of Object.values(this.#lengths)) lengths.sort((a, b) => b - a)
    this.#asksAddresses =
      this.#networks.size > 0 || this.#ranges.some(({ range }) => range.kind === 'addresses')
  }

  /** The entry that matches this value at this event time; null when none does. */
  find(value: string, eventTimeMs: number): ListEntry | null {
    const own = this.#values.get(value)
    if (own !== undefined && isLive(own, eventTimeMs)) return own
    const network = this.#asksAddresses ? networkOf(value) : null
    const found = network === null ? null : this.#findNetwork(network, eventTimeMs)
    return found ?? this.#findRange(value, network, eventTimeMs)
  }

  #add(entry: ListEntry): void {
    if (entry.kind === 'value') this.#values.set(entry.value, entry)
    if (entry.kind === 'network') {
      const network = networkOf(entry.value)
      if (network === null) return
      // One network written in two ways: the entry that expires later counts.
      const key = keyOf(network.family, network.bits, network.first)
      const before = this.#networks.get(key)
      if (before !== undefined && endOf(before) >= endOf(entry)) return
      this.#networks.set(key, entry)
      const lengths = this.#lengths[network.family]
      if (!lengths.includes(network.bits)) lengths.push(network.bits)
    }
    if (entry.kind === 'range') {
      const range = rangeOf(entry.value)
      if (range !== null) this.#ranges.push({ range, entry })
    }
  }

  #findNetwork({ family, first, bits }: Network, eventTimeMs: number): ListEntry | null {
    for (const length of this.#lengths[family]) {
      if (length > bits) continue
      const entry = this.#networks.get(keyOf(family, length, maskedTo(first, length, family)))
      if (entry !== undefined && isLive(entry, eventTimeMs)) return entry
    }
    return null
  }

  #findRange(value: string, network: Network | null, eventTimeMs: number): ListEntry | null {
    for (const { range, entry } of this.#ranges) {
      if (isLive(entry, eventTimeMs) && isWithin(range, value, network)) return entry
    }
    return null
  }
}

function isWithin(range: Range, value: string, network: Network | null): boolean {
  if (range.kind === 'texts') {
    return value.length === range.from.length && value >= range.from && value <= range.to
  }
  return (
    network !== null &&
    network.family === range.family &&
    network.first >= range.from &&
    network.first <= range.to
  )
}

function isLive({ endMs }: ListEntry, eventTimeMs: number): boolean {
  return endMs === null || eventTimeMs < endMs
}

function endOf({ endMs }: ListEntry): number {
  return endMs ?? Infinity
}

function keyOf(family: Network['family'], bits: number, first: bigint): string {
  return `${family}/${bits}/${first.toString(16)}`
}

// Networks and ranges in entries of lists.

/** A network of one address family. */
export interface Network {
  readonly family: 'ipv4' | 'ipv6'
  /** The first address as a number: all bits after the prefix are 0. */
  readonly first: bigint
  /** Length of the prefix. */
  readonly bits: number
}

/** From one text or address to another, both inclusive. */
export type Range =
  | {
      readonly kind: 'addresses'
      readonly family: Network['family']
      readonly from: bigint
      readonly to: bigint
    }
  | { readonly kind: 'texts'; readonly from: string; readonly to: string }

export const FAMILY_BITS = { ipv4: 32, ipv6: 128 } as const

/** Reads `192.0.2.0/24` or a single address; null for anything else. */
export function networkOf(text: string): Network | null {
  const [address = '', length, rest] = text.split('/')
  if (rest !== undefined || !ipaddr.isValid(address)) return null
  if (!address.includes(':') && !ipaddr.IPv4.isValidFourPartDecimal(address)) return null
  const read = ipaddr.process(address)
  const family = read.kind()
  const bitsMax = FAMILY_BITS[family]
  if (length !== undefined && !/^\d{1,3}$/.test(length)) return null
  const bits = length === undefined ? bitsMax : Number(length)
  if (bits > bitsMax) return null
  let whole = 0n
  for (const byte of read.toByteArray()) whole = (whole << 8n) | BigInt(byte)
  return { family, first: maskedTo(whole, bits, family), bits }
}

/** The network of this length around an address. */
export function maskedTo(address: bigint, bits: number, family: Network['family']): bigint {
  const rest = BigInt(FAMILY_BITS[family] - bits)
  return (address >> rest) << rest
}

/** Reads `4800..4899` or `192.0.2.1..192.0.2.9`; null for anything else. */
export function rangeOf(text: string): Range | null {
  const [from = '', to = '', rest] = text.split('..')
  if (rest !== undefined || from === '' || to === '') return null
  const [low, high] = [networkOf(from), networkOf(to)]
  if (low !== null && high !== null) {
    const { family } = low
    if (family !== high.family || low.first > high.first) return null
    return { kind: 'addresses', family, from: low.first, to: high.first }
  }
  return from.length === to.length && from <= to ? { kind: 'texts', from, to } : null
}
