// Secrets and certificates of the configuration. A secret cannot be printed by accident, and problems name the variable and
// the file, never their content.

import { readFileSync, statSync } from 'node:fs'
import { inspect } from 'node:util'
import type { Logger } from '../log.ts'
import type { EnvReader } from './env-reader.ts'
import { type TextVariableName, VARIABLES } from './variables.ts'

const MASK = '[secret]'

/** Holds a secret. Strings, JSON, `inspect` and logs show a mask; only `reveal` gives the value. */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  /** The value itself, only for the call that passes it to a client. */
  reveal(): string {
    return this.#value
  }

  toString(): string {
    return MASK
  }

  toJSON(): string {
    return MASK
  }

  [inspect.custom](): string {
    return MASK
  }
}

const SECRET_BYTES_MAX = 4_096
const PEM_BYTES_MAX = 262_144

/** TLS files of a client. Null: the system's authorities, and no client certificate. */
export interface TlsFiles {
  /** Certificates of the authorities trusted instead of the system's, PEM. */
  readonly ca: string | null
  /** Client certificate with its chain, PEM; always together with `key`. */
  readonly cert: string | null
  readonly key: Secret | null
}

/**
 * A secret from a variable, or from the file that `fileName` names; null when neither is set. One trailing line end,
 * which editors add, is removed.
 */
export function readSecret(
  read: EnvReader,
  name: TextVariableName,
  fileName: TextVariableName,
): Secret | null {
  const value = read.textIfSet(name)
  const path = read.textIfSet(fileName)
  if (value !== null && path !== null) {
    read.check(false, `${name} and ${fileName} are both set; give one of them.`)
    return null
  }
  const text = path === null ? value : readBounded(read, fileName, path, SECRET_BYTES_MAX)
  if (text === null) return null
  const secret = path === null ? text : text.replace(/\r?\n$/, '')
  const isSound = secret.length <= SECRET_BYTES_MAX && !/[\r\n\0]/.test(secret) && secret !== ''
  const source = path === null ? name : fileName
  read.check(
    isSound,
    `${source} does not hold one line of 1 to ${SECRET_BYTES_MAX} characters; give the secret alone.`,
  )
  return isSound ? new Secret(secret) : null
}

/**
 * The key of payload hashes in dead letters. The default is the built-in key of this source. With it, anybody who sees
 * a letter can test card numbers against a payload's hash, so a cluster with TLS or a login refuses it.
 */
export function readDeadLetterKey(
  read: EnvReader,
  isSecured: boolean,
): { readonly key: string; readonly isBuiltIn: boolean } {
  const own = readSecret(read, 'SLUICE_DEAD_LETTER_HMAC_KEY', 'SLUICE_DEAD_LETTER_HMAC_KEY_FILE')
  const builtIn = VARIABLES.SLUICE_DEAD_LETTER_HMAC_KEY.default
  const key = own?.reveal() ?? builtIn
  const isBuiltIn = key === builtIn
  read.check(
    !isBuiltIn || !isSecured,
    'SLUICE_DEAD_LETTER_HMAC_KEY is the built-in development key while Kafka has TLS or a login; give a key of your ' +
      'own there or in SLUICE_DEAD_LETTER_HMAC_KEY_FILE ("openssl rand -hex 32" makes one).',
  )
  return { key, isBuiltIn }
}

/** Warns that a service hashes with the built-in key. */
export function warnOfBuiltInKey(log: Pick<Logger, 'warn'>): void {
  log.warn(
    {},
    'Hashes in dead letters use the built-in development key; set SLUICE_DEAD_LETTER_HMAC_KEY before real payments.',
  )
}

/** The three files of TLS. A certificate needs its key, and a key its certificate. */
export function readTlsFiles(
  read: EnvReader,
  names: {
    readonly ca: TextVariableName
    readonly cert: TextVariableName
    readonly key: TextVariableName
  },
): TlsFiles {
  const ca = readPem(read, names.ca, 'CERTIFICATE')
  const cert = readPem(read, names.cert, 'CERTIFICATE')
  const key = readPem(read, names.key, 'PRIVATE KEY')
  const isSet = (name: TextVariableName): boolean => read.isSet(name)
  for (const [one, other] of [
    [names.cert, names.key],
    [names.key, names.cert],
  ] as const) {
    read.check(!isSet(one) || isSet(other), `${one} is set without ${other}; give both.`)
  }
  return { ca, cert, key: key === null ? null : new Secret(key) }
}

/** True when any of the files was read. */
export function hasTlsFiles({ ca, cert, key }: TlsFiles): boolean {
  return ca !== null || cert !== null || key !== null
}

/** Options of node:tls for these files; the server's certificate and name are always verified. */
export function tlsOptions({ ca, cert, key }: TlsFiles): {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
} {
  return {
    ...(ca === null ? {} : { ca }),
    ...(cert === null ? {} : { cert }),
    ...(key === null ? {} : { key: key.reveal() }),
  }
}

function readPem(read: EnvReader, name: TextVariableName, what: string): string | null {
  const path = read.textIfSet(name)
  if (path === null) return null
  const text = readBounded(read, name, path, PEM_BYTES_MAX)
  if (text === null) return null
  const isPem = new RegExp(`-----BEGIN [A-Z ]*${what}-----`).test(text)
  read.check(isPem, `${name}="${path}" holds no PEM ${what.toLowerCase()}; give a PEM file.`)
  const isEncrypted = /-----BEGIN ENCRYPTED|Proc-Type: 4,ENCRYPTED/.test(text)
  read.check(
    !isEncrypted,
    `${name}="${path}" is a key with a pass phrase; give one without, in a file that only this service reads.`,
  )
  return isPem && !isEncrypted ? text : null
}

/** The text of the file that a variable names; null when it is not set, or (reported as a problem) cannot be read. */
export function readTextFile(
  read: EnvReader,
  name: TextVariableName,
  bytesMax: number,
): string | null {
  const path = read.textIfSet(name)
  return path === null ? null : readBounded(read, name, path, bytesMax)
}

function readBounded(read: EnvReader, name: string, path: string, bytesMax: number): string | null {
  try {
    const { size } = statSync(path)
    read.check(
      size <= bytesMax,
      `${name}="${path}" has more than ${bytesMax} bytes; is it that file?`,
    )
    return size <= bytesMax ? readFileSync(path, 'utf8') : null
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    read.check(false, `${name}="${path}" cannot be read (${code}); correct the path or its rights.`)
    return null
  }
}
