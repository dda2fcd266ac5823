// LICENSES/: one short statement for each licence that a model folder uses, with the files that it covers. The texts
// of the licences are published under their SPDX identifiers.

import {
  LICENCE_NAMES,
  licenceOfFile,
  licencePath,
  type Licence,
  type ReleaseTerms,
} from '../../services/trainer/release.ts'

const UNSTATED =
  'No licence is stated for this part; ask the owner of the data before passing it on.'

/** Statements by path, for all licences that cover something: the code, or one of these files. */
export function licenceFiles(
  paths: readonly string[],
  terms: ReleaseTerms,
): Readonly<Record<string, Buffer>> {
  const files: Record<string, Buffer> = {}
  for (const licence of new Set([terms.code, terms.data, terms.documents])) {
    const path = licencePath(licence)
    if (licence === null || path === null) continue
    const covered = paths.filter((file) => licenceOfFile(file, terms) === licence)
    files[path] = Buffer.from(statement(licence, covered, terms))
  }
  return files
}

/** The licence section of a card. */
export function licenceSection(terms: ReleaseTerms): string {
  const part = (name: string, licence: Licence): string =>
    licence === null
      ? `- ${name}: ${UNSTATED}`
      : `- ${name}: ${licence} ([statement](${licencePath(licence) ?? ''}))`
  return [
    part('code and layout of the net', terms.code),
    part('weights, golden rows and evaluation data', terms.data),
    part('documents', terms.documents),
  ].join('\n')
}

function statement(licence: string, covered: readonly string[], terms: ReleaseTerms): string {
  const items = covered.map((file) => `- ${file}`)
  if (licence === terms.code) {
    items.push(
      '- the code of Sluice that made this folder and reads it (see LICENSE of its repository)',
    )
  }
  return (
    `# ${LICENCE_NAMES[licence] ?? licence}\n\nSPDX-License-Identifier: ${licence}\n\n` +
    `This licence covers:\n\n${items.join('\n')}\n\n` +
    `Its text: <https://spdx.org/licenses/${licence}.html>. Provided as is, without warranty of any kind.\n`
  )
}
