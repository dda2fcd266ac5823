// Lists made ready to be asked: values and networks by hash, ranges one by one.

import { maskedTo, networkOf, rangeOf, type Network, type Range } from './list-values.ts'
import type { ListContent, ListEntry } from './policy-lists.ts'

export class ListIndex {
  readonly #values = new Map<string, ListEntry>()
  readonly #networks = new Map<string, ListEntry>()
  /** Lengths that occur, the longest first, so that the narrowest network is found first. */
  readonly #lengths: Readonly<Record<Network['family'], number[]>> = { ipv4: [], ipv6: [] }
  readonly #ranges: { readonly range: Range; readonly entry: ListEntry }[] = []
  readonly #asksAddresses: boolean

  constructor({ entries }: ListContent) {
    for (const entry of entries) this.#add(entry)
    for (const lengths of Object.values(this.#lengths)) lengths.sort((a, b) => b - a)
    this.#asksAddresses =
      this.#networks.size > 0 || this.#ranges.some(({ range }) => range.kind === 'addresses')
  }

  /** The entry that holds this value at this event time; null when none does. */
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
      // Two ways to write one network: the one that ends later counts.
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
