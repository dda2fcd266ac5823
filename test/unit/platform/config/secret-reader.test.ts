// Goal: secrets come from a variable or a file, are bounded, and never appear in output. Method: files of the test's
// own.

import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { inspect } from 'node:util'
import { isSluiceError } from '../../../../services/core/errors.ts'
import { EnvReader } from '../../../../services/platform/config/env-reader.ts'
import { readSecret, readTlsFiles, Secret } from '../../../../services/platform/config/secrets.ts'
import { redact } from '../../../../services/platform/redact.ts'

const WORD = 'hunter2-hunter2'
const NAMES = {
  ca: 'SLUICE_REDIS_TLS_CA_FILE',
  cert: 'SLUICE_REDIS_TLS_CERT_FILE',
  key: 'SLUICE_REDIS_TLS_KEY_FILE',
} as const

function file(t: TestContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-secret-'))
  t.after(() => {
    rmSync(folder, { recursive: true })
  })
  const path = join(folder, 'secret')
  writeFileSync(path, text)
  return path
}

/** The problems of this environment, as shown to a person; empty without problems. */
function problemsOf(env: Record<string, string>, load: (read: EnvReader) => unknown): string {
  const read = new EnvReader(env)
  load(read)
  try {
    read.throwIfInvalid()
    return ''
  } catch (error) {
    ok(isSluiceError(error, 'SLUICE_CONFIG_INVALID'))
    return error.message
  }
}

const secretOf = (read: EnvReader): Secret | null =>
  readSecret(read, 'SLUICE_REDIS_PASSWORD', 'SLUICE_REDIS_PASSWORD_FILE')

test('a secret comes from its variable, or from its file without the line end', (t) => {
  strictEqual(secretOf(new EnvReader({}))?.reveal(), undefined)
  strictEqual(secretOf(new EnvReader({ SLUICE_REDIS_PASSWORD: WORD }))?.reveal(), WORD)
  for (const end of ['', '\n', '\r\n']) {
    const path = file(t, WORD + end)
    strictEqual(secretOf(new EnvReader({ SLUICE_REDIS_PASSWORD_FILE: path }))?.reveal(), WORD)
  }
})

test('a secret that is given twice, is empty, too long or has lines is refused without being shown', (t) => {
  const cases = [
    { SLUICE_REDIS_PASSWORD: WORD, SLUICE_REDIS_PASSWORD_FILE: file(t, WORD) },
    { SLUICE_REDIS_PASSWORD_FILE: file(t, '\n') },
    { SLUICE_REDIS_PASSWORD_FILE: file(t, `${WORD}\n${WORD}\n`) },
    { SLUICE_REDIS_PASSWORD_FILE: file(t, WORD.repeat(1_000)) },
    { SLUICE_REDIS_PASSWORD: WORD.repeat(1_000) },
    { SLUICE_REDIS_PASSWORD_FILE: '/nowhere/at-all' },
  ]
  for (const env of cases) {
    const problems = problemsOf(env, secretOf)
    match(problems, /SLUICE_REDIS_PASSWORD/)
    ok(!problems.includes(WORD), problems)
  }
})

test('a secret shows a mask wherever it is printed', () => {
  const secret = new Secret(WORD)
  const shown = [
    String(secret),
    secret.toString(),
    JSON.stringify({ secret }),
    inspect({ deep: { secret } }, { depth: 9, showHidden: true }),
    JSON.stringify(redact({ secret })),
  ]
  for (const text of shown) ok(!text.includes(WORD), text)
  strictEqual(secret.reveal(), WORD)
})

test('a certificate needs its key, and both must be PEM without a pass phrase', (t) => {
  const cert = file(t, '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n')
  const key = file(t, `-----BEGIN PRIVATE KEY-----\n${WORD}\n-----END PRIVATE KEY-----\n`)
  const locked = file(t, `-----BEGIN ENCRYPTED PRIVATE KEY-----\n${WORD}\n`)
  const load = (read: EnvReader): unknown => readTlsFiles(read, NAMES)
  strictEqual(
    problemsOf(
      {
        SLUICE_REDIS_TLS_CERT_FILE: cert,
        SLUICE_REDIS_TLS_KEY_FILE: key,
        SLUICE_REDIS_TLS_CA_FILE: cert,
      },
      load,
    ),
    '',
  )
  match(
    problemsOf({ SLUICE_REDIS_TLS_CERT_FILE: cert }, load),
    /SLUICE_REDIS_TLS_CERT_FILE is set without SLUICE_REDIS_TLS_KEY_FILE/,
  )
  match(
    problemsOf({ SLUICE_REDIS_TLS_KEY_FILE: key }, load),
    /SLUICE_REDIS_TLS_KEY_FILE is set without SLUICE_REDIS_TLS_CERT_FILE/,
  )
  match(
    problemsOf({ SLUICE_REDIS_TLS_CERT_FILE: key, SLUICE_REDIS_TLS_KEY_FILE: key }, load),
    /holds no PEM certificate/,
  )
  const phrase = problemsOf(
    { SLUICE_REDIS_TLS_CERT_FILE: cert, SLUICE_REDIS_TLS_KEY_FILE: locked },
    load,
  )
  match(phrase, /pass phrase/)
  ok(!phrase.includes(WORD))
  deepStrictEqual(readTlsFiles(new EnvReader({}), NAMES), { ca: null, cert: null, key: null })
})
