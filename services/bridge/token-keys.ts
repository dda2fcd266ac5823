// Keys of card tokens from the environment: one key in a variable, or several in a file during a rotation.

import { parseEventTimeMs } from '../core/files/event-time.ts'
import { TOKEN_KEY_BYTES_MIN, TOKEN_KEYS_MAX, type TokenKey } from '../core/mapping/card-tokens.ts'
import type { EnvReader } from '../platform/config/env-reader.ts'
import { readTextFile } from '../platform/config/secrets.ts'

const FILE_BYTES_MAX = 16_384
const KEY_BYTES_MAX = 64
const NAME = /^[a-z][a-z0-9]{0,11}$/
const NAME_FORM = 'a name of 1 to 12 lower-case letters and digits'
const KEY_FORM = `${TOKEN_KEY_BYTES_MIN} to ${KEY_BYTES_MAX} bytes in base64 ("openssl rand -base64 32")`

/** The keys, oldest first; empty without any. Problems are collected in `read`, and never show a key. */
export function readTokenKeys(read: EnvReader): readonly TokenKey[] {
  const single = read.textIfSet('SLUICE_BRIDGE_TOKEN_KEY')
  const isFile = read.isSet('SLUICE_BRIDGE_TOKEN_KEYS_FILE')
  read.check(
    single === null || !isFile,
    'SLUICE_BRIDGE_TOKEN_KEY and SLUICE_BRIDGE_TOKEN_KEYS_FILE are both set; give one of them.',
  )
  if (isFile) return keysOfFile(read)
  if (single === null) return []
  const [name = '', encoded = ''] = single.trim().split(':')
  const key = keyOf(name, 0, encoded)
  read.check(
    key !== null,
    `SLUICE_BRIDGE_TOKEN_KEY is not "<name>:<key>" with ${NAME_FORM} and ${KEY_FORM}.`,
  )
  return key === null ? [] : [key]
}

function keysOfFile(read: EnvReader): readonly TokenKey[] {
  const variable = 'SLUICE_BRIDGE_TOKEN_KEYS_FILE'
  const text = readTextFile(read, variable, FILE_BYTES_MAX)
  if (text === null) return []
  const keys: TokenKey[] = []
  for (const [index, line] of text.split('\n').entries()) {
    if (/^\s*(?:#.*)?$/.test(line)) continue
    const [name = '', from = '', encoded = '', ...more] = line.trim().split(/\s+/)
    const fromMs = parseEventTimeMs(from)
    const key = fromMs === null || more.length > 0 ? null : keyOf(name, fromMs, encoded)
    read.check(
      key !== null,
      `${variable}, line ${index + 1} is not "<name> <first event time> <key>" with ${NAME_FORM}, a time such as ` +
        `2026-01-01T00:00:00Z, and ${KEY_FORM}.`,
    )
    if (key !== null) keys.push(key)
  }
  const isRepeated =
    new Set(keys.map(({ id }) => id)).size < keys.length ||
    new Set(keys.map(({ fromMs }) => fromMs)).size < keys.length
  read.check(!isRepeated, `${variable} has two keys of one name or of one time; give each its own.`)
  read.check(
    keys.length > 0 && keys.length <= TOKEN_KEYS_MAX,
    `${variable} has ${keys.length} keys; give 1 to ${TOKEN_KEYS_MAX}.`,
  )
  return keys.toSorted((a, b) => a.fromMs - b.fromMs)
}

function keyOf(id: string, fromMs: number, encoded: string): TokenKey | null {
  const bytes = Buffer.from(encoded, 'base64')
  const isWhole = bytes.toString('base64').replace(/=+$/, '') === encoded.replace(/=+$/, '')
  const isFit = bytes.length >= TOKEN_KEY_BYTES_MIN && bytes.length <= KEY_BYTES_MAX
  return isWhole && isFit && NAME.test(id) ? { id, fromMs, bytes } : null
}
