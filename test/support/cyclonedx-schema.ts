// The published schema of CycloneDX bills, as the project's own library ships it.

import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Ajv, type ValidateFunction } from 'ajv'

/** The errors of a bill by the schema of this version; empty when it is valid. */
export function cycloneDxErrors(bill: unknown, version: '1.6' | '1.7' = '1.6'): readonly string[] {
  const validate = VALIDATORS[version]
  if (validate(bill)) return []
  return (validate.errors ?? []).map(
    ({ instancePath, message = '' }) => `${instancePath} ${message}`,
  )
}

const FOLDER = join(
  dirname(fileURLToPath(import.meta.resolve('@cyclonedx/cyclonedx-library/package.json'))),
  'res/schema',
)
const read = (name: string): object =>
  JSON.parse(readFileSync(join(FOLDER, `${name}.SNAPSHOT.schema.json`), 'utf8')) as object

function compile(version: string): ValidateFunction {
  // Formats are dates and addresses, which our bills hold none of.
  const ajv = new Ajv({ strict: false, validateFormats: false })
  // Keyed by the names that refer to them.
  for (const part of ['spdx', 'jsf-0.82', 'cryptography-defs']) {
    ajv.addSchema({
      ...read(part),
      $id: `http://cyclonedx.org/schema/${part}.SNAPSHOT.schema.json`,
    })
  }
  return ajv.compile(read(`bom-${version}`))
}

const VALIDATORS = { '1.6': compile('1.6'), '1.7': compile('1.7') }
