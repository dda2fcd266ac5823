// Bearer tokens with rights and, where actions are recorded, the name of their holder. Tokens are compared in constant
// time, by their hashes, so that neither the time nor the length of an answer reveals how much of a guess was right.

import { createHash, timingSafeEqual } from 'node:crypto'
import { mentionsCardNumber } from '../../core/card-numbers.ts'
import type { EnvReader } from '../config/env-reader.ts'
import { readSecret, readTextFile, Secret } from '../config/secrets.ts'
import type { TextVariableName } from '../config/variables.ts'
import { Problem } from './json-body.ts'

/** Right of a token: to read, or to read and write. */
export type Right = 'read' | 'write'

export interface BearerToken {
  /** Holder of the token, recorded as the author of writes. Null when nothing is recorded. */
  readonly name: string | null
  readonly token: Secret
  readonly right: Right
}

const TOKEN_CHARACTERS_MIN = 16
const TOKENS_OF_HOLDER_MAX = 2
const NAMED_TOKENS_BYTES_MAX = 1_048_576
const NAMED_TOKEN = /^([A-Za-z0-9][A-Za-z0-9._@-]{0,63}):([\x21-\x7e]{16,4096})$/
const BEARER = /^Bearer +([\x21-\x7e]{1,4096})$/i

/** Reads a token from its variable or its file; null when neither is set. A short token is a configuration problem. */
export function readToken(
  read: EnvReader,
  name: TextVariableName,
  fileName: TextVariableName,
): Secret | null {
  const token = readSecret(read, name, fileName)
  read.check(
    token === null || token.reveal().length >= TOKEN_CHARACTERS_MIN,
    `${name} has fewer than ${TOKEN_CHARACTERS_MIN} characters, which can be guessed; "openssl rand -hex 32" makes one.`,
  )
  return token
}

/**
 * Reads tokens with the names of their holders, `name:token`, comma-separated in the variable, one per line in the
 * file. A holder has two tokens while one is being replaced.
 */
export function readNamedTokens(
  read: EnvReader,
  name: TextVariableName,
  fileName: TextVariableName,
): readonly { readonly name: string; readonly token: Secret }[] {
  const value = read.textIfSet(name)
  const isFile = read.isSet(fileName)
  read.check(value === null || !isFile, `${name} and ${fileName} are both set; give one of them.`)
  const lines = isFile
    ? (readTextFile(read, fileName, NAMED_TOKENS_BYTES_MAX) ?? '').split('\n')
    : (value ?? '').split(',')
  const source = isFile ? fileName : name
  const tokens: { readonly name: string; readonly token: Secret }[] = []
  const seen = new Set<string>()
  for (const [index, line] of lines.entries()) {
    if (/^\s*(?:#.*)?$/.test(line)) continue
    const [, holder, token] = NAMED_TOKEN.exec(line.trim()) ?? []
    const place = `${source}, ${isFile ? 'line' : 'entry'} ${index + 1}`
    read.check(
      holder !== undefined,
      `${place} is not "name:token" with a token of ${TOKEN_CHARACTERS_MIN} or more printable characters; ` +
        '"openssl rand -hex 32" makes one.',
    )
    if (holder === undefined || token === undefined) continue
    read.check(!mentionsCardNumber(holder), `${place}: the name seems to hold a card number.`)
    read.check(!seen.has(token), `${place} repeats a token; give each holder a different one.`)
    const own = tokens.filter((other) => other.name === holder).length
    read.check(
      own < TOKENS_OF_HOLDER_MAX,
      `${place}: ${holder} has more than ${TOKENS_OF_HOLDER_MAX} tokens; leave the oldest out.`,
    )
    seen.add(token)
    tokens.push({ name: holder, token: new Secret(token) })
  }
  return tokens
}

/** Checks the Authorization header against the tokens, and returns the one that was sent. @throws Problem unauthorised or forbidden. */
export function authorise(
  header: string | undefined,
  tokens: readonly BearerToken[],
  needed: Right,
): BearerToken {
  const given = hashOf(BEARER.exec(header ?? '')?.[1] ?? '')
  let found: BearerToken | null = null
  // All tokens are compared, whichever one matches.
  for (const each of tokens) {
    if (timingSafeEqual(given, hashOf(each.token.reveal()))) found = each
  }
  if (found === null) {
    throw new Problem(
      'unauthorised',
      'Send "Authorization: Bearer <token>" with a token of this service.',
      {
        headers: { 'www-authenticate': 'Bearer realm="sluice"' },
      },
    )
  }
  if (needed === 'write' && found.right === 'read')
    throw new Problem('forbidden', 'This token may look and not change; use the one that may.')
  return found
}

function hashOf(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
