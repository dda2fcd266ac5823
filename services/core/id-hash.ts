// Hashes of identifiers inside stored state: 48 bits instead of the identifier itself. Among the at most a few hundred
// events of one card, two different ids share a hash with probability < 1e-9.

import { murmur2TextPair } from './murmur2.ts'

const SEED_LOW = 0x2f1d93a7
const SEED_HIGH = 0x5e0b6c13

/** A 48-bit hash of an identifier, never 0 (0 stands for "no identifier"). Exact as a double. */
export function hashOf(identifier: string): number {
  const reference = murmur2TextPair(identifier, SEED_HIGH, SEED_LOW)
  return reference === 0 ? 1 : reference
}

/** The low 32 bits of a hash: enough to distinguish the transactions of one entity. Hot path: avoids fmod. */
export function lowBitsOf(reference: number): number {
  return reference >>> 0
}
