// The schema registry of a team, read only: schemas by their ids, with what they refer to.

import { SluiceError } from '../../core/errors.ts'
import {
  fieldOf,
  type JsonResponse,
  parseAddress,
  requestJson,
  unavailable,
} from './http-registry.ts'

const TIMEOUT_MS = 5_000
/** Schemas that one schema may refer to, directly and indirectly. */
const REFERENCES_MAX = 64

export type SchemaType = 'avro' | 'protobuf' | 'json'

/** A schema that another one refers to, under the name that it uses. */
export interface ReferencedSchema {
  readonly name: string
  readonly text: string
}

/** A schema of the registry. */
export interface SourceSchema {
  readonly type: SchemaType
  readonly text: string
  /** What it refers to, each after what it refers to itself. */
  readonly references: readonly ReferencedSchema[]
}

/** Finds schemas by id. */
export interface SourceRegistry {
  /**
   * Null when the registry has no such id, or a type that is not known. @throws SluiceError SLUICE_REGISTRY_UNAVAILABLE
   * (retryable), SLUICE_CONFIG_INVALID for bad credentials
   */
  schemaOf(id: number): Promise<SourceSchema | null>
}

const TYPES: Readonly<Record<string, SchemaType>> = {
  AVRO: 'avro',
  PROTOBUF: 'protobuf',
  JSON: 'json',
}

/** @throws SluiceError SLUICE_CONFIG_INVALID when the URL is not http or https */
export function openSourceRegistry(url: string): SourceRegistry {
  const { base, authorization } = parseAddress({ url })
  const headers = {
    accept: 'application/vnd.schemaregistry.v1+json, application/json',
    ...(authorization === null ? {} : { authorization }),
  }
  const get = async (path: string): Promise<JsonResponse | null> => {
    const response = await requestJson({
      url: new URL(path, base),
      method: 'GET',
      headers,
      timeoutMs: TIMEOUT_MS,
    })
    if (response.status === 200) return response
    if (response.status === 404) return null
    if (response.status === 401 || response.status === 403) {
      throw new SluiceError(
        'SLUICE_CONFIG_INVALID',
        `The schema registry at ${base.origin} refuses the credentials (${response.status}); correct those in ` +
          'SLUICE_BRIDGE_REGISTRY_URL.',
      )
    }
    throw unavailable(base, `answers with status ${response.status}`)
  }
  const collect = async (
    response: JsonResponse,
    found: Map<string, string>,
    seen: Set<string>,
  ): Promise<void> => {
    for (const { name, path } of referencesOf(response)) {
      if (seen.has(name)) continue
      seen.add(name)
      if (seen.size > REFERENCES_MAX)
        throw unavailable(base, `has a schema with more than ${REFERENCES_MAX} references`)
      const referenced = await get(path)
      const text = referenced === null ? undefined : fieldOf(referenced, 'schema')
      if (referenced === null || typeof text !== 'string')
        throw unavailable(base, 'lacks a schema that another one refers to')
      await collect(referenced, found, seen)
      found.set(name, text)
    }
  }
  return {
    async schemaOf(id) {
      const response = await get(`schemas/ids/${id}`)
      if (response === null) return null
      const text = fieldOf(response, 'schema')
      if (typeof text !== 'string') throw unavailable(base, 'answers without a schema')
      // The registry leaves out the type of Avro.
      const named = fieldOf(response, 'schemaType')
      const type = TYPES[typeof named === 'string' ? named : 'AVRO']
      if (type === undefined) return null
      const found = new Map<string, string>()
      await collect(response, found, new Set())
      return { type, text, references: [...found].map(([name, own]) => ({ name, text: own })) }
    },
  }
}

function referencesOf(
  response: JsonResponse,
): readonly { readonly name: string; readonly path: string }[] {
  const references = fieldOf(response, 'references')
  if (!Array.isArray(references)) return []
  return references.flatMap((entry: unknown) => {
    const { name, subject, version } = Object(entry) as Readonly<Record<string, unknown>>
    if (typeof name !== 'string' || typeof subject !== 'string') return []
    const path = `subjects/${encodeURIComponent(subject)}/versions/${Number(version)}`
    return [{ name, path }]
  })
}
