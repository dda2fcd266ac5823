// Copies of the released model in temporary folders, changed as a test needs them.

import { createHash } from 'node:crypto'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

/** The model of the demo. */
export const RELEASED_MODEL = join(import.meta.dirname, '../../../../models/simulator')

/** A copy that is deleted when the test ends. */
export function copyModel(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-model-'))
  t.after(() => {
    rmSync(folder, { recursive: true })
  })
  cpSync(RELEASED_MODEL, folder, { recursive: true })
  return folder
}

type Manifest = Record<string, unknown> & { files: Record<string, unknown> }

/** Changes the manifest of a copy. */
export function editManifest(folder: string, edit: (manifest: Manifest) => void): void {
  const path = join(folder, 'manifest.json')
  const manifest = JSON.parse(readFileSync(path, 'utf8')) as Manifest
  edit(manifest)
  writeFileSync(path, JSON.stringify(manifest))
}

/** Replaces a file of a copy, and its digest in the manifest: a consistent model with other content. */
export function replaceSigned(folder: string, file: string, content: string | Buffer): void {
  const bytes = Buffer.from(content)
  writeFileSync(join(folder, file), bytes)
  editManifest(folder, ({ files }) => {
    files[file] = {
      sha256: createHash('sha256').update(bytes).digest('hex'),
      bytes: bytes.length,
    }
  })
}
