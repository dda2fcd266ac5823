// The types of the example clients of the gateway, made from its OpenAPI document by openapi-typescript and
// datamodel-code-generator. Each file carries the digest of the document that it was made from; a unit test compares it.
//
// `npm run docs:clients` writes the files. It fetches the two generators into a temporary folder.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { format, resolveConfig } from 'prettier'
import { OPEN_API } from '../../services/gateway/open-api.ts'

const CLIENTS = join(import.meta.dirname, '../../docs/examples/gateway')
const OPENAPI_TYPESCRIPT = 'openapi-typescript@7.13.0'
const DATAMODEL_CODE_GENERATOR = 'datamodel-code-generator==0.97.0'

/** First line of a file with types. */
export function clientTypesHeader(comment: string): string {
  const { paths, components } = OPEN_API
  const digest = createHash('sha256').update(JSON.stringify({ paths, components })).digest('hex')
  return `${comment} Made by "npm run docs:clients" from the OpenAPI document ${digest.slice(0, 16)}.`
}

function typesOfTypeScript(folder: string, document: string): string {
  const made = join(folder, 'api.ts')
  const options = ['--default-non-nullable', 'false', '--output', made]
  execFileSync('npx', ['--yes', OPENAPI_TYPESCRIPT, document, ...options], { stdio: 'inherit' })
  return readFileSync(made, 'utf8')
}

function typesOfPython(folder: string, document: string): string {
  const made = join(folder, 'api.py')
  const environment = join(folder, 'python')
  execFileSync('python3', ['-m', 'venv', environment])
  const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check']
  execFileSync(join(environment, 'bin/python'), [...install, DATAMODEL_CODE_GENERATOR], {
    stdio: 'inherit',
  })
  const options = [
    ...['--input', document, '--input-file-type', 'openapi', '--output', made],
    ...['--output-model-type', 'typing.TypedDict', '--target-python-version', '3.11'],
    ...['--enum-field-as-literal', 'all', '--no-use-closed-typed-dict', '--formatters', 'builtin'],
    ...['--disable-timestamp', '--custom-file-header', '#'],
  ]
  execFileSync(join(environment, 'bin/datamodel-codegen'), options, { stdio: 'inherit' })
  return readFileSync(made, 'utf8').replace(/^#\n/, '')
}

/** Files with types, how their language starts a comment, and what makes them. */
export const CLIENT_TYPES = [
  { file: join(CLIENTS, 'api.ts'), comment: '//', typesOf: typesOfTypeScript },
  { file: join(CLIENTS, 'api.py'), comment: '#', typesOf: typesOfPython },
] as const

if (import.meta.main) {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-client-types-'))
  try {
    const document = join(folder, 'openapi.json')
    writeFileSync(document, JSON.stringify(OPEN_API))
    for (const { file, comment, typesOf } of CLIENT_TYPES) {
      const text = `${clientTypesHeader(comment)}\n${typesOf(folder, document)}`
      const style = { ...(await resolveConfig(file)), filepath: file }
      writeFileSync(file, file.endsWith('.ts') ? await format(text, style) : text)
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
