// Files that survive a power cut and appear under their name complete or not at all.

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { link, mkdir, open, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Writes a new file and syncs it to disk. */
export async function writeDurably(path: string, text: string): Promise<void> {
  const handle = await open(path, 'wx')
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Syncs a file, or the entries of a folder, to disk. */
export async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Creates the folder and syncs it and its parents to disk. */
export async function makeFolder(path: string): Promise<void> {
  const made = await mkdir(path, { recursive: true })
  if (made === undefined) return
  await syncPath(path)
  await syncPath(dirname(path))
  await syncPath(dirname(made))
}

/**
 * Gives a finished file its final name; returns false when the name exists. Uses a link, since a rename would silently
 * replace the file of another writer.
 */
export async function giveName(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
  } catch (error) {
    if (errorCodeOf(error) === 'EEXIST') return false
    throw error
  }
  await syncPath(dirname(to))
  await rm(from, { force: true })
  return true
}

/** SHA-256 of the file's bytes, hex, and its size. */
export async function digestOf(
  path: string,
): Promise<{ readonly sha256: string; readonly bytes: number }> {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
    const part = chunk as Buffer
    hash.update(part)
    bytes += part.length
  }
  return { sha256: hash.digest('hex'), bytes }
}

/** The system error code, such as ENOENT; empty when there is none. */
export function errorCodeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
