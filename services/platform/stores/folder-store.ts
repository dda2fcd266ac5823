// The content store of one machine, or of a shared folder: `<folder>/policies/<digest>.yaml` or `.json`.

import { randomUUID } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ARTIFACT_KINDS, type ArtifactKind } from '../../core/artifact.ts'
import { isDigest } from '../../core/control/deployment.ts'
import {
  type ContentStore,
  corruptContent,
  digestOf,
  expectRoom,
  type StoredArtifact,
  verified,
} from './content-store.ts'

/** End of the name of a file that is being written. */
const TEMPORARY = '.tmp'

/** Opens the store; the folder is created at the first `put`. */
export function folderStore(folder: string): ContentStore {
  return new FolderStore(folder)
}

class FolderStore implements ContentStore {
  readonly place: string

  constructor(folder: string) {
    this.place = folder
  }

  async put(kind: ArtifactKind, bytes: Buffer): Promise<string> {
    expectRoom(kind, bytes.length)
    const digest = await digestOf(bytes)
    // Overwrites an existing file, which may be damaged.
    await writeAtomically(this.#fileOf(kind, digest), bytes)
    return digest
  }

  async get(kind: ArtifactKind, digest: string): Promise<Buffer | null> {
    if (!isDigest(digest)) return null
    const file = this.#fileOf(kind, digest)
    const { bytesMax } = ARTIFACT_KINDS[kind]
    const size = await sizeOf(file)
    if (size === null) return null
    if (size > bytesMax) throw corruptContent(`${file} is larger than ${bytesMax} bytes`)
    return verified(await readFile(file), digest, file)
  }

  async has(kind: ArtifactKind, digest: string): Promise<boolean> {
    return isDigest(digest) && (await sizeOf(this.#fileOf(kind, digest))) !== null
  }

  async list(kind: ArtifactKind): Promise<readonly StoredArtifact[]> {
    const { folder, extension, bytesMax } = ARTIFACT_KINDS[kind]
    const found: StoredArtifact[] = []
    for (const name of await namesIn(join(this.place, folder))) {
      const digest = name.slice(0, -`.${extension}`.length)
      if (!name.endsWith(`.${extension}`) || !isDigest(digest)) continue
      const { size, mtimeMs } = await stat(this.#fileOf(kind, digest))
      // Kinds may share a folder, and one of them may be long.
      if (size <= bytesMax) found.push({ kind, digest, bytes: size, atMs: mtimeMs })
    }
    return found
  }

  async erase(kind: ArtifactKind, digest: string): Promise<void> {
    if (isDigest(digest)) await rm(this.#fileOf(kind, digest), { force: true })
  }

  async sweep(beforeMs: number): Promise<number> {
    let swept = 0
    for (const folder of new Set(Object.values(ARTIFACT_KINDS).map((kind) => kind.folder))) {
      for (const name of await namesIn(join(this.place, folder))) {
        const file = join(this.place, folder, name)
        if (!name.endsWith(TEMPORARY) || (await stat(file)).mtimeMs >= beforeMs) continue
        await rm(file, { force: true })
        swept += 1
      }
    }
    return swept
  }

  #fileOf(kind: ArtifactKind, digest: string): string {
    const { folder, extension } = ARTIFACT_KINDS[kind]
    return join(this.place, folder, `${digest}.${extension}`)
  }
}

/** Writes and flushes a temporary file and renames it, so that a reader never sees part of the content. */
async function writeAtomically(path: string, bytes: Buffer): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const temporary = `${path}.${randomUUID()}${TEMPORARY}`
  try {
    const file = await open(temporary, 'w')
    try {
      await file.writeFile(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } finally {
    await rm(temporary, { force: true })
  }
}

async function sizeOf(file: string): Promise<number | null> {
  try {
    return (await stat(file)).size
  } catch (error) {
    if (isAbsent(error)) return null
    throw error
  }
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (isAbsent(error)) return []
    throw error
  }
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
