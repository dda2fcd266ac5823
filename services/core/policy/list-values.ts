// Networks and ranges, as entries of lists are written.

import ipaddr from 'ipaddr.js'

/** Addresses of one family, as a number from the highest bit on. */
export interface Network {
  readonly family: 'ipv4' | 'ipv6'
  /** The address with all bits behind the length at 0. */
  readonly first: bigint
  /** Leading bits that all its addresses share. */
  readonly bits: number
}

/** From one text or address to another, both included. */
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
