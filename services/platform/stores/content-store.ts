// The port of content-addressed stores. A folder, a Kafka topic and an S3 bucket implement it; one conformance suite
// (test/support/content-store-suite.ts) runs against all three.

import { createHash } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import { ARTIFACT_KINDS, type ArtifactKind } from '../../core/artifact.ts'
import { SluiceError } from '../../core/errors.ts'

/** Bytes that are hashed in one turn of the event loop: below a millisecond. */
const SLICE_BYTES = 1024 * 1024

/** An artifact of a store. */
export interface StoredArtifact {
  readonly kind: ArtifactKind
  readonly digest: string
  readonly bytes: number
  /** Time of the last `put`, milliseconds UTC. */
  readonly atMs: number
}

/**
 * Keeps immutable bytes under their digest. Every method ends within the store's deadline. @throws SluiceError
 * SLUICE_STORE_UNAVAILABLE when the store does not answer, SLUICE_ACCESS_DENIED or SLUICE_TLS_FAILED.
 */
export interface ContentStore {
  /** Names the store in messages: the folder, or the topic or bucket. */
  readonly place: string
  /**
   * Stores bytes and returns their digest. They are visible once all of them are stored. Bytes that are there already
   * are kept, and their time becomes that of this call. @throws SluiceError SLUICE_STORE_FULL
   */
  put(kind: ArtifactKind, bytes: Buffer): Promise<string>
  /** The bytes of this digest, or null when the store lacks them. @throws SluiceError SLUICE_STORE_CORRUPT */
  get(kind: ArtifactKind, digest: string): Promise<Buffer | null>
  /** Whether the store has an artifact of this name; its bytes are not read. */
  has(kind: ArtifactKind, digest: string): Promise<boolean>
  /** Artifacts that may be of this kind: a folder does not tell a list from a ruleset. */
  list(kind: ArtifactKind): Promise<readonly StoredArtifact[]>
  /** Erases an artifact; one that is not there is left so. */
  erase(kind: ArtifactKind, digest: string): Promise<void>
  /** Erases what interrupted writers left before this time. Returns the number of pieces. */
  sweep(beforeMs: number): Promise<number>
}

/** SHA-256 in hex, computed in slices, so that a long content does not stall the event loop. */
export async function digestOf(bytes: Buffer): Promise<string> {
  const hash = createHash('sha256')
  for (let from = 0; from < bytes.length; from += SLICE_BYTES) {
    if (from > 0) await turn()
    hash.update(bytes.subarray(from, from + SLICE_BYTES))
  }
  return hash.digest('hex')
}

/** Checks bytes that a store returns. @throws SluiceError SLUICE_STORE_CORRUPT */
export async function verified(bytes: Buffer, digest: string, where: string): Promise<Buffer> {
  if ((await digestOf(bytes)) === digest) return bytes
  throw corruptContent(`${where} does not have the bytes of its digest`)
}

/** @throws SluiceError SLUICE_STORE_FULL for bytes that no store accepts. */
export function expectRoom(kind: ArtifactKind, bytes: number): void {
  const { bytesMax } = ARTIFACT_KINDS[kind]
  if (bytes <= bytesMax) return
  throw new SluiceError(
    'SLUICE_STORE_FULL',
    `A ${kind} of ${bytes} bytes is not stored; the limit is ${bytesMax} bytes. Make it smaller.`,
  )
}

/** The error for bytes that are not those of their digest. */
export function corruptContent(problem: string): SluiceError {
  return new SluiceError(
    'SLUICE_STORE_CORRUPT',
    `The store is damaged: ${problem}. Store the content again: "sluice policy apply" or "sluice model add".`,
    { details: { problem } },
  )
}
