// Goal: the author of an HTTP write is the name of the token, never a claim of the request.

import { deepStrictEqual, strictEqual, throws } from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadCasesConfig } from '../../../../services/alerts/cases/config.ts'
import { isSluiceError } from '../../../../services/core/errors.ts'
import { authorise } from '../../../../services/platform/http/bearer-tokens.ts'
import { Problem } from '../../../../services/platform/http/json-body.ts'
import { temporaryFolder } from '../../../support/prometheus.ts'

const ANA = 'ana-token-0123456789'
const BEN = 'ben-token-0123456789'
const LOOK = 'look-token-0123456789'

function refused(text: RegExp): (error: unknown) => boolean {
  return (error) => isSluiceError(error, 'SLUICE_CONFIG_INVALID') && text.test(error.message)
}

test('a token is its holder: its name comes back, and only the read token has none', () => {
  const { tokens } = loadCasesConfig({
    SLUICE_CASES_TOKENS: `ana:${ANA}, ben@bank:${BEN}`,
    SLUICE_CASES_READ_TOKEN: LOOK,
  })
  const nameOf = (token: string): string | null => authorise(`Bearer ${token}`, tokens, 'read').name
  deepStrictEqual([ANA, BEN, LOOK].map(nameOf), ['ana', 'ben@bank', null])
  strictEqual(authorise(`Bearer ${BEN}`, tokens, 'write').name, 'ben@bank')
  for (const [header, code] of [
    [`Bearer ${LOOK}`, 'forbidden'],
    [`Bearer ana:${ANA}`, 'unauthorised'],
    ['Bearer ana', 'unauthorised'],
    [undefined, 'unauthorised'],
  ] as const) {
    throws(
      () => authorise(header, tokens, 'write'),
      (error) => error instanceof Problem && error.code === code,
    )
  }
})

test('a file has one name:token a line, with comments, and two tokens while one is changed', (t) => {
  const file = join(temporaryFolder(t), 'tokens')
  writeFileSync(file, `# analysts\nana:${ANA}\n\nana:${BEN}\n`)
  const { tokens } = loadCasesConfig({ SLUICE_CASES_TOKENS_FILE: file })
  deepStrictEqual(
    tokens.map(({ name, right }) => [name, right]),
    [
      ['ana', 'write'],
      ['ana', 'write'],
    ],
  )
})

test('a token without name, a short one, one twice and a third one of a name are refused', () => {
  for (const [tokens, text] of [
    [ANA, /entry 1 is not "name:token"/],
    ['ana:short', /entry 1 is not "name:token"/],
    [`ana:${ANA},ben:${ANA}`, /entry 2 repeats a token/],
    [`ana:${ANA},ana:${BEN},ana:${LOOK}`, /ana has more than 2 tokens/],
    [`4111-1111-1111-1111:${ANA}`, /card number/],
    ['', /nobody may label without a token/],
  ] as const) {
    throws(() => loadCasesConfig({ SLUICE_CASES_TOKENS: tokens }), refused(text), tokens)
  }
  throws(
    () => loadCasesConfig({ SLUICE_CASES_TOKENS: `ana:${ANA}`, SLUICE_CASES_READ_TOKEN: ANA }),
    refused(/must be another/),
  )
})
