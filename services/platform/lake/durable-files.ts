// Files that outlive a power cut, and that appear under their name once, whole, or not at all.

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { link, mkdir, open, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Writes a new file and waits until the disk has it. */
export async function writeDurably(path: string, text: string): Promise<void> {
  const handle = await open(path, 'wx')
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Waits until the disk has all of a file, or the names in a folder. */
export async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Makes the folder and waits until its parent's disk knows it. */
export async function makeFolder(path: string): Promise<void> {
  const made = await mkdir(path, { recursive: true })
  if (made === undefined) return
  await syncPath(path)
  await syncPath(dirname(path))
  await syncPath(dirname(made))
}

/**
 * Gives a finished file its name, unless there is one of that name: true when it was given. A link, since a rename
 * would silently replace what another writer has put there.
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

/** SHA-256 of the file's bytes, hex, and how many they are. */
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

/** The system's code of an error, such as ENOENT; empty when it has none. */
export function errorCodeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
