// Decodes messages that name their schema: ids are resolved at the team's registry when they first occur, and remembered.
// While the registry does not answer the bridge waits, since nothing about the messages is known.

import { setTimeout as sleepMs } from 'node:timers/promises'
import { isSluiceError } from '../core/errors.ts'
import { avroDecoder, type DecodeBytes } from '../core/mapping/avro-decoder.ts'
import type { MessageDecoder } from '../core/mapping/message-decoder.ts'
import { MappingRefusal } from '../core/mapping/mapping-refusal.ts'
import { protobufDecoder } from '../core/mapping/protobuf-decoder.ts'
import { FRAME_HEADER_BYTES, frameSchemaId, NOT_FRAMED } from '../core/wire/codec.ts'
import type { SourceRegistry, SourceSchema } from '../platform/registry/source-registry.ts'

/** Schemas remembered; beyond, the oldest is forgotten. */
const SCHEMAS_MAX = 1_000
const RETRY_MS_FIRST = 100
const RETRY_MS_MAX = 5_000
/** A registry may learn of an id after its first message. */
const UNKNOWN_MS = 10_000

export interface RegistryDecoderOptions {
  readonly registry: SourceRegistry
  readonly format: 'avro' | 'protobuf'
  /** Called for each failed request. */
  readonly onFailure: (error: unknown) => void
  readonly monotonicMs: () => number
}

type Known = { readonly decode: DecodeBytes } | { readonly unknownAtMs: number }

export function registryDecoder(options: RegistryDecoderOptions): MessageDecoder {
  const known = new Map<number, Known>()
  const asking = new Map<number, Promise<void>>()
  const isKnown = (id: number): boolean => {
    const found = known.get(id)
    if (found === undefined) return false
    return 'decode' in found || options.monotonicMs() - found.unknownAtMs < UNKNOWN_MS
  }
  const learn = async (id: number, signal: AbortSignal): Promise<void> => {
    const found = await resolved(id, options, signal)
    if (signal.aborted) return
    const [oldest] = known.keys()
    if (known.size >= SCHEMAS_MAX && oldest !== undefined) known.delete(oldest)
    known.set(id, found ?? { unknownAtMs: options.monotonicMs() })
  }
  const ask = (id: number, signal: AbortSignal): Promise<void> => {
    const running = asking.get(id) ?? learn(id, signal).finally(() => asking.delete(id))
    asking.set(id, running)
    return running
  }
  return {
    prepare(values, signal) {
      const missing = new Set<number>()
      for (const value of values) {
        const id = value === null ? NOT_FRAMED : frameSchemaId(value)
        if (id !== NOT_FRAMED && !isKnown(id)) missing.add(id)
      }
      if (missing.size === 0) return null
      return Promise.all([...missing].map((id) => ask(id, signal))).then(() => undefined)
    },
    decode(value) {
      const id = frameSchemaId(value)
      if (id === NOT_FRAMED)
        throw new MappingRefusal('not_framed', null, 'does not begin with the id of a schema')
      const found = known.get(id)
      if (found === undefined || !('decode' in found))
        throw new MappingRefusal('unknown_schema', null, 'has a schema that the registry lacks')
      return found.decode(value, FRAME_HEADER_BYTES)
    },
  }
}

/** Asks until the registry answers or the signal is aborted; null for an id that it lacks, or that cannot be used. */
async function resolved(
  id: number,
  { registry, format, onFailure }: RegistryDecoderOptions,
  signal: AbortSignal,
): Promise<Known | null> {
  for (
    let retryMs = RETRY_MS_FIRST;
    !signal.aborted;
    retryMs = Math.min(2 * retryMs, RETRY_MS_MAX)
  ) {
    try {
      const schema = await registry.schemaOf(id)
      return schema?.type === format ? { decode: decoderOf(id, schema) } : null
    } catch (error) {
      onFailure(error)
      if (isSluiceError(error, 'SLUICE_SCHEMA_INCOMPATIBLE')) return null
      await sleepMs(retryMs, undefined, { signal }).catch(() => undefined)
    }
  }
  return null
}

function decoderOf(id: number, { type, text, references }: SourceSchema): DecodeBytes {
  const name = `schema ${id}`
  return type === 'avro'
    ? avroDecoder(
        name,
        text,
        references.map((each) => each.text),
      )
    : protobufDecoder(name, text, references)
}
