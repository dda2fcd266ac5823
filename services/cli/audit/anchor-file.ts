// The file of anchors: read whole, and only ever added to.

import { existsSync } from 'node:fs'
import { open, readFile, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type Anchor, anchorLine, parseAnchor } from '../../core/audit/chain-check.ts'
import { SluiceError } from '../../core/errors.ts'
import { makeFolder } from '../../platform/lake/durable-files.ts'

/** About a million anchors. */
const FILE_BYTES_MAX = 256 * 1024 * 1024

/** Anchors of one stream. @throws SluiceError SLUICE_INPUT_INVALID naming the line that is none. */
export async function readAnchors(file: string): Promise<readonly Anchor[]> {
  if (!existsSync(file)) return []
  if ((await stat(file)).size > FILE_BYTES_MAX) {
    throw new SluiceError(
      'SLUICE_INPUT_INVALID',
      `${file} is larger than ${FILE_BYTES_MAX / 2 ** 20} MiB; give a file of anchors, or begin a new one.`,
    )
  }
  const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line !== '')
  return lines.map((line, index) => {
    const anchor = parseAnchor(line)
    if (anchor !== null) return anchor
    throw new SluiceError(
      'SLUICE_INPUT_INVALID',
      `Line ${index + 1} of ${file} is no anchor; restore the file from a copy, or remove a last line that was cut off.`,
    )
  })
}

/** Adds anchors, on disk when it resolves. */
export async function appendAnchors(file: string, anchors: readonly Anchor[]): Promise<void> {
  if (anchors.length === 0) return
  await makeFolder(dirname(file))
  const handle = await open(file, 'a')
  try {
    await handle.write(anchors.map(anchorLine).join(''))
    await handle.sync()
  } finally {
    await handle.close()
  }
}
