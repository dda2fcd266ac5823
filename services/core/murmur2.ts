// MurmurHash2 with the seed of Kafka's default partitioner (Austin Appleby's public-domain algorithm;
// Kafka: org.apache.kafka.common.utils.Utils.murmur2). Kafka's partition of a key is
// (murmur2(key) & 0x7fffffff) % partitionCount.

import { codeAt } from './card-numbers.ts'

const M = 0x5bd1e995
const KAFKA_SEED = 0x9747b28c
const ASCII_MAX = 0x7f

/** 32-bit MurmurHash2 of the bytes, as an unsigned number. */
export function murmur2(bytes: Uint8Array, seed: number = KAFKA_SEED): number {
  const length = bytes.length
  let hash = seed ^ length
  let index = 0
  for (; index + 4 <= length; index += 4) {
    const word =
      (bytes[index] ?? 0) |
      ((bytes[index + 1] ?? 0) << 8) |
      ((bytes[index + 2] ?? 0) << 16) |
      ((bytes[index + 3] ?? 0) << 24)
    hash = Math.imul(hash, M) ^ mixed(word)
  }
  const rest = length - index
  if (rest > 0) {
    if (rest === 3) hash ^= (bytes[index + 2] ?? 0) << 16
    if (rest >= 2) hash ^= (bytes[index + 1] ?? 0) << 8
    hash ^= bytes[index] ?? 0
    hash = Math.imul(hash, M)
  }
  return finish(hash)
}

/** The partition that Kafka's default partitioner assigns to this key. */
export function partitionOf(key: Uint8Array, partitionCount: number): number {
  return (murmur2(key) & 0x7fffffff) % partitionCount
}

/** `murmur2` of a string's UTF-8 bytes. An ASCII string, as most identifiers are, is not encoded first. Hot path. */
export function murmur2Text(text: string, seed: number = KAFKA_SEED): number {
  const bytes = byteText(text)
  const length = bytes.length
  let hash = seed ^ length
  let index = 0
  for (; index + 4 <= length; index += 4) {
    const word = mixed(wordAt(bytes, index))
    hash = Math.imul(hash, M) ^ word
  }
  if (index < length) hash = Math.imul(hash ^ restAt(bytes, index), M)
  return finish(hash)
}

/**
 * `murmur2Text` with two seeds in one pass, which costs little more than one since the words are mixed once. Returns
 * one exact number of 48 bits: the low 16 of the first hash above all 32 of the second. Hot path.
 */
export function murmur2TextPair(text: string, seedHigh: number, seedLow: number): number {
  const bytes = byteText(text)
  const length = bytes.length
  let high = seedHigh ^ length
  let low = seedLow ^ length
  let index = 0
  for (; index + 4 <= length; index += 4) {
    const word = mixed(wordAt(bytes, index))
    high = Math.imul(high, M) ^ word
    low = Math.imul(low, M) ^ word
  }
  if (index < length) {
    const rest = restAt(bytes, index)
    high = Math.imul(high ^ rest, M)
    low = Math.imul(low ^ rest, M)
  }
  return (finish(high) & 0xffff) * 0x1_0000_0000 + finish(low)
}

/** `partitionOf` for a key given as a string. */
export function partitionOfText(key: string, partitionCount: number): number {
  return (murmur2Text(key) & 0x7fffffff) % partitionCount
}

/** A string with one character for each UTF-8 byte of the text: an ASCII text itself. */
function byteText(text: string): string {
  for (let index = 0; index < text.length; index += 1) {
    if (codeAt(text, index) > ASCII_MAX) return Buffer.from(text).toString('latin1')
  }
  return text
}

function wordAt(text: string, index: number): number {
  return (
    codeAt(text, index) |
    (codeAt(text, index + 1) << 8) |
    (codeAt(text, index + 2) << 16) |
    (codeAt(text, index + 3) << 24)
  )
}

/** The last one to three bytes, low first. */
function restAt(text: string, index: number): number {
  const count = text.length - index
  let rest = codeAt(text, index)
  if (count >= 2) rest |= codeAt(text, index + 1) << 8
  if (count === 3) rest |= codeAt(text, index + 2) << 16
  return rest
}

function mixed(word: number): number {
  let value = Math.imul(word, M)
  value ^= value >>> 24
  return Math.imul(value, M)
}

function finish(hash: number): number {
  let mixed = hash ^ (hash >>> 13)
  mixed = Math.imul(mixed, M)
  mixed ^= mixed >>> 15
  return mixed >>> 0
}
