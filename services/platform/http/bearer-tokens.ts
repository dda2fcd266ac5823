// Who may do what: bearer tokens with rights. Tokens are compared in constant time, by their hashes, so that neither
// the time nor the length of an answer tells how much of a guess was right.

import { createHash, timingSafeEqual } from 'node:crypto'
import type { EnvReader } from '../config/env-reader.ts'
import { readSecret } from '../config/secret-reader.ts'
import type { Secret } from '../config/secret.ts'
import type { TextVariableName } from '../config/variables.ts'
import { Problem } from './problem.ts'

/** What a token allows: to look, or to look and change. */
export type Right = 'read' | 'write'

export interface BearerToken {
  readonly token: Secret
  readonly right: Right
}

const TOKEN_CHARACTERS_MIN = 16
const BEARER = /^Bearer +([\x21-\x7e]{1,4096})$/i

/** Reads a token from its variable or its file; null when neither is set. Short ones are a problem of the configuration. */
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

/** Checks the Authorization header against the tokens. @throws Problem unauthorised or forbidden. */
export function authorise(
  header: string | undefined,
  tokens: readonly BearerToken[],
  needed: Right,
): void {
  const given = hashOf(BEARER.exec(header ?? '')?.[1] ?? '')
  let found: Right | null = null
  // All tokens are compared, whichever matches.
  for (const { token, right } of tokens) {
    if (timingSafeEqual(given, hashOf(token.reveal()))) found = right
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
  if (needed === 'write' && found === 'read')
    throw new Problem('forbidden', 'This token may look and not change; use the one that may.')
}

function hashOf(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
