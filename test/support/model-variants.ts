// Valid copies of the released model that differ from it, and the store that a stream's scorers read.

import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

export const RELEASED_MODEL = join(import.meta.dirname, '../../models/simulator')

/** Thresholds under which every scored payment is blocked. */
export const BLOCK_ALL = { flag: 1e-13, block: 1e-12 } as const

/** An empty folder that is deleted when the test ends. */
export function temporaryFolder(t: TestContext, name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `sluice-${name}-`))
  t.after(() => {
    rmSync(folder, { recursive: true, force: true })
  })
  return folder
}

export interface Variant {
  readonly folder: string
  readonly digest: string
}

/** The released model with another version and other thresholds. */
export function variantOf(
  t: TestContext,
  version: string,
  thresholds: { readonly flag: number; readonly block: number },
): Variant {
  const folder = join(temporaryFolder(t, 'variant'), version)
  mkdirSync(folder)
  cpSync(RELEASED_MODEL, folder, { recursive: true })
  const path = join(folder, 'manifest.json')
  const manifest = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>
  const rule = 'chosen by a test'
  writeFileSync(path, JSON.stringify({ ...manifest, version, thresholds: { ...thresholds, rule } }))
  return { folder, digest: digestOfFolder(folder) }
}

/** The draft of the released model alone, with another version and other thresholds. */
export function draftVariantOf(
  t: TestContext,
  version: string,
  thresholds: { readonly flag: number; readonly block: number },
): Variant {
  const { folder } = variantOf(t, version, thresholds)
  const path = join(folder, 'manifest.json')
  const manifest = JSON.parse(readFileSync(path, 'utf8')) as {
    readonly files: Readonly<Record<string, unknown>>
  }
  const files = Object.fromEntries(
    Object.entries(manifest.files).filter(([name]) => !name.startsWith('target')),
  )
  writeFileSync(path, JSON.stringify({ ...manifest, target: null, files }))
  return { folder, digest: digestOfFolder(folder) }
}

/** Names of the model. */
export function digestOfFolder(folder: string): string {
  return createHash('sha256')
    .update(readFileSync(join(folder, 'manifest.json')))
    .digest('hex')
}
