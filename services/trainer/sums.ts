// SHA256SUMS: one line a file, in the form that `sha256sum --check` reads.

import { createHash } from 'node:crypto'
import { corrupt } from '../core/scoring/field-reader.ts'

export const SUMS_FILE = 'SHA256SUMS'

const LINE = /^([0-9a-f]{64}) {2}(\S+)$/
const LINES_MAX = 1_000

/** The list of all files but itself. */
export function sumsOf(files: Readonly<Record<string, Buffer>>): Buffer {
  const lines = Object.entries(files)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([path, bytes]) => `${sha256Of(bytes)}  ${path}`)
  return Buffer.from(`${lines.join('\n')}\n`)
}

/** Reads the list: digests by path. @throws SluiceError SLUICE_MODEL_CORRUPT naming the line. */
export function parseSums(text: string): ReadonlyMap<string, string> {
  const lines = text.trimEnd().split('\n')
  if (lines.length > LINES_MAX) throw corrupt(`${SUMS_FILE} has more than ${LINES_MAX} lines`)
  const sums = new Map<string, string>()
  for (const [index, line] of lines.entries()) {
    const [, digest, path] = LINE.exec(line) ?? []
    if (digest === undefined || path === undefined) {
      throw corrupt(`${SUMS_FILE} line ${index + 1} is no digest with a path`)
    }
    sums.set(path, digest)
  }
  return sums
}

export function sha256Of(bytes: Buffer | string): string {
  return createHash('sha256').update(bytes).digest('hex')
}
