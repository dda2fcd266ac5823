// Artifacts: the immutable contents that a stream's control topic names by digest (policies, lists, rulesets), and the
// files of models. Each content store keeps them under their kind and the SHA-256 of their bytes.

import { z } from 'zod'
import { parseJson } from './parse-json.ts'
import { POLICY_LIMITS } from './policy/policy-document.ts'
import { LIST_LIMITS } from './policy/policy-lists.ts'
import { RULESET_BYTES_MAX } from './policy/ruleset.ts'
import { RATES_LIMITS } from './rates/rates-file.ts'
import { FILE_BYTES_MAX } from './scoring/manifest.ts'

const MIB = 1024 * 1024

/** Form and largest size of each kind; `folder` and `extension` name its files. */
export const ARTIFACT_KINDS = {
  policy: { folder: 'policies', extension: 'yaml', bytesMax: POLICY_LIMITS.bytesMax },
  list: { folder: 'policies', extension: 'json', bytesMax: LIST_LIMITS.bytesMax },
  ruleset: { folder: 'policies', extension: 'json', bytesMax: RULESET_BYTES_MAX },
  rates: { folder: 'rates', extension: 'csv', bytesMax: RATES_LIMITS.bytesMax },
  'model-manifest': { folder: 'manifests', extension: 'json', bytesMax: MIB },
  'model-file': { folder: 'files', extension: 'bin', bytesMax: FILE_BYTES_MAX },
} as const satisfies Readonly<
  Record<string, { readonly folder: string; readonly extension: string; readonly bytesMax: number }>
>

export type ArtifactKind = keyof typeof ARTIFACT_KINDS

/** Bytes of one chunk in a topic: below the usual limit of a message, 1 MiB. */
export const CHUNK_BYTES = 512 * 1024

/** Describes a complete artifact of a topic. It is written after all of its chunks. */
export interface ArtifactManifest {
  readonly kind: ArtifactKind
  /** SHA-256 of the bytes, hex. */
  readonly digest: string
  readonly bytes: number
  /** Names the chunks of one writing, so that two writers never mix theirs. */
  readonly upload: string
  /** Offsets between which the chunks were written. A copy of the topic has others, so they are a hint. */
  readonly fromOffset: number
  readonly endOffset: number
  /** The bytes themselves when they are few, so that rulesets are listed without reading chunks; null otherwise. */
  readonly content: Buffer | null
}

/** Content of at most this size is in the manifest. */
export const INLINE_BYTES_MAX = 4 * 1024

const FORMAT = 1
const UPLOAD_FORM = /^[0-9a-f-]{36}$/
const OFFSET = z.int().nonnegative()
const MANIFEST = z.strictObject({
  format: z.literal(FORMAT),
  bytes: z.int().nonnegative(),
  upload: z.string().regex(UPLOAD_FORM),
  fromOffset: OFFSET,
  endOffset: OFFSET,
  content: z
    .base64()
    .max(2 * INLINE_BYTES_MAX)
    .nullable(),
})

/** Number of chunks of this many bytes. */
export function chunkCountOf(bytes: number): number {
  return Math.ceil(bytes / CHUNK_BYTES)
}

/** Key of a manifest's message. */
export function manifestKeyOf(kind: ArtifactKind, digest: string): string {
  return `${kind}/${digest}`
}

/** The kind and digest in a manifest's key; null for another key. */
export function artifactOfKey(
  key: string,
): { readonly kind: ArtifactKind; readonly digest: string } | null {
  const [name = '', digest = '', rest] = key.split('/')
  if (rest !== undefined || !isArtifactKind(name) || !/^[0-9a-f]{64}$/.test(digest)) return null
  return { kind: name, digest }
}

/** Value of a manifest's message. */
export function manifestText(manifest: ArtifactManifest): string {
  const { bytes, upload, fromOffset, endOffset } = manifest
  const content = manifest.content?.toString('base64') ?? null
  return JSON.stringify({ format: FORMAT, bytes, upload, fromOffset, endOffset, content })
}

/** Reads a manifest; null for a message that is none, or that claims more than its kind may have. */
export function readManifest(key: string, value: string): ArtifactManifest | null {
  const artifact = artifactOfKey(key)
  const read = parseJson(MANIFEST, value)
  if (artifact === null || read === null) return null
  if (read.bytes > ARTIFACT_KINDS[artifact.kind].bytesMax || read.endOffset < read.fromOffset) {
    return null
  }
  const { bytes, upload, fromOffset, endOffset } = read
  const content = read.content === null ? null : Buffer.from(read.content, 'base64')
  if (content !== null && content.length !== bytes) return null
  return { ...artifact, bytes, upload, fromOffset, endOffset, content }
}

/** Key of a chunk's message. */
export function chunkKeyOf(upload: string, index: number): string {
  return `${upload}/${index}`
}

/** The upload and index in a chunk's key; null for another key. */
export function chunkOfKey(
  key: string,
): { readonly upload: string; readonly index: number } | null {
  const [upload = '', digits = '', rest] = key.split('/')
  if (rest !== undefined || !UPLOAD_FORM.test(upload) || !/^\d{1,9}$/.test(digits)) return null
  return { upload, index: Number(digits) }
}

/** Collects the chunks of one artifact, in any order and repeated ones too. */
export class ArtifactAssembly {
  readonly #manifest: ArtifactManifest
  /** Allocated once: the manifest's size is already checked against the kind's limit. */
  readonly #bytes: Buffer
  readonly #missing: Set<number>
  #fault: string | null = null

  constructor(manifest: ArtifactManifest) {
    this.#manifest = manifest
    this.#bytes = Buffer.alloc(manifest.bytes)
    this.#missing = new Set(Array.from({ length: chunkCountOf(manifest.bytes) }, (_, at) => at))
  }

  /** Null while chunks are missing; the bytes are not compared with the digest here. */
  get bytes(): Buffer | null {
    return this.#missing.size === 0 && this.#fault === null ? this.#bytes : null
  }

  /** The reason for which the chunks cannot be those of the manifest; null for none so far. */
  get fault(): string | null {
    return this.#fault
  }

  /** Takes a message of the topic; those of other artifacts are ignored. */
  add(key: string, value: Buffer | null): void {
    const chunk = chunkOfKey(key)
    if (chunk === null || value === null || chunk.upload !== this.#manifest.upload) return
    const from = chunk.index * CHUNK_BYTES
    const expected = Math.min(CHUNK_BYTES, this.#manifest.bytes - from)
    if (value.length !== expected) {
      this.#fault = `chunk ${chunk.index} has ${value.length} bytes instead of ${expected}`
      return
    }
    value.copy(this.#bytes, from)
    this.#missing.delete(chunk.index)
  }
}

function isArtifactKind(text: string): text is ArtifactKind {
  return Object.hasOwn(ARTIFACT_KINDS, text)
}
