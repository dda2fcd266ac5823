// Lays out the memory of the kernel: parts are placed one after the other, and the memory is created when all are
// known.

import assert from 'node:assert/strict'
import { BackendProblem } from '../tensorflow/open-backend.ts'

/** Address 0 means none, so nothing is placed there. */
const FIRST_ADDRESS = 64
/** Vectors are loaded 16 bytes at a time; a line of the cache is 64. */
const ALIGNMENT = 64
const PAGE_BYTES = 65_536
/** Most memory of a model, bytes. */
export const IMAGE_BYTES_MAX = 128 * 1024 * 1024

/** A record whose fields are filled in before the memory is created. */
export interface ImageRecord {
  readonly at: number
  readonly fields: DataView
}

export class ImageWriter {
  #end = FIRST_ADDRESS
  readonly #parts: { readonly at: number; readonly bytes: Uint8Array }[] = []

  /** An address with room for this many bytes, which are 0. @throws BackendProblem beyond IMAGE_BYTES_MAX */
  reserve(bytes: number): number {
    const at = this.#end
    const end = Math.ceil((at + bytes) / ALIGNMENT) * ALIGNMENT
    if (end > IMAGE_BYTES_MAX) {
      const most = IMAGE_BYTES_MAX / 1024 / 1024
      throw new BackendProblem(null, `the model needs more than ${most} MiB as tables`)
    }
    this.#end = end
    return at
  }

  record(bytes: number): ImageRecord {
    const at = this.reserve(bytes)
    const fields = new DataView(new ArrayBuffer(bytes))
    this.#parts.push({ at, bytes: new Uint8Array(fields.buffer) })
    return { at, fields }
  }

  /** 32-bit numbers of a vector. */
  floats(values: ArrayLike<number>): number {
    return this.#put(Float32Array.from(values))
  }

  doubles(values: ArrayLike<number>): number {
    return this.#put(Float64Array.from(values))
  }

  addresses(values: ArrayLike<number>): number {
    return this.#put(Uint32Array.from(values))
  }

  #put(values: Float32Array | Float64Array | Uint32Array): number {
    const at = this.reserve(values.byteLength)
    this.#parts.push({ at, bytes: new Uint8Array(values.buffer) })
    return at
  }

  /** The memory, which never grows. */
  finish(): WebAssembly.Memory {
    const pages = Math.ceil(this.#end / PAGE_BYTES)
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages })
    const all = new Uint8Array(memory.buffer)
    for (const { at, bytes } of this.#parts) {
      assert(at + bytes.length <= all.length, 'Every part has its place.')
      all.set(bytes, at)
    }
    return memory
  }
}
