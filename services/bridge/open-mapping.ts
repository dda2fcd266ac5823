// Opens a mapping: its file, the keys of its tokens, and the decoder of its messages. All faults end here, before anything
// is read from Kafka.

import { readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { SluiceError } from '../core/errors.ts'
import { avroDecoder } from '../core/mapping/avro-decoder.ts'
import { type CardTokeniser, cardTokeniser } from '../core/mapping/card-tokens.ts'
import {
  compileMapping,
  type FindLabelled,
  type MapMessage,
  needsTokenKeys,
} from '../core/mapping/compile-mapping.ts'
import { MAPPING_LIMITS, type MappingDocument } from '../core/mapping/mapping-document.ts'
import { loadMapping } from '../core/mapping/mapping-parsing.ts'
import { csvDecoder, jsonDecoder, type MessageDecoder } from '../core/mapping/message-decoder.ts'
import { EnvReader } from '../platform/config/env-reader.ts'
import { systemClock } from '../platform/clock.ts'
import { openSourceRegistry } from '../platform/registry/source-registry.ts'
import type { BridgeConfig } from './config.ts'
import { registryDecoder } from './registry-decoder.ts'
import { readTokenKeys } from './token-keys.ts'

export interface OpenedMapping {
  readonly document: MappingDocument
  /** Name, version and digest. */
  readonly label: string
  readonly map: MapMessage
  readonly decoder: MessageDecoder
}

/** @throws SluiceError SLUICE_CONFIG_INVALID naming every fault of the mapping, or what is missing for it. */
export function openMapping(
  file: string,
  config: Pick<BridgeConfig, 'tokenKeys' | 'sourceRegistryUrl'>,
  onRegistryFailure: (error: unknown) => void,
): OpenedMapping {
  const { document, label } = loadMapping(file, textOf(file))
  return {
    document,
    label,
    map: compileMapping(document, { tokenise: tokeniserOf(file, document, config) }),
    decoder: decoderOf(file, document, config.sourceRegistryUrl, onRegistryFailure),
  }
}

/** A mapping of the labels of files. */
export interface LabelMapping {
  readonly document: MappingDocument
  readonly compile: (find: FindLabelled | null) => MapMessage
}

/** @throws SluiceError SLUICE_CONFIG_INVALID naming every fault of the mapping, or what is missing for it. */
export function openLabelMapping(
  file: string,
  env: Readonly<Record<string, string | undefined>>,
): LabelMapping {
  const read = new EnvReader(env)
  const tokenKeys = readTokenKeys(read)
  read.throwIfInvalid()
  const { document } = loadMapping(file, textOf(file), 'label_files')
  if (document.rules.every(({ label }) => label === null))
    throw invalid(`${file} has no rule with a label, so that nothing can be imported by it.`)
  const tokenise = tokeniserOf(file, document, { tokenKeys })
  return { document, compile: (find) => compileMapping(document, { tokenise, find }) }
}

function tokeniserOf(
  file: string,
  document: MappingDocument,
  { tokenKeys: [oldest, ...others] }: Pick<BridgeConfig, 'tokenKeys'>,
): CardTokeniser | null {
  if (oldest !== undefined) return cardTokeniser([oldest, ...others])
  if (!needsTokenKeys(document)) return null
  throw invalid(
    `${file} makes tokens of card numbers, but there is no key; give SLUICE_BRIDGE_TOKEN_KEY or ` +
      'SLUICE_BRIDGE_TOKEN_KEYS_FILE.',
  )
}

function decoderOf(
  file: string,
  { source }: MappingDocument,
  registryUrl: string | null,
  onFailure: (error: unknown) => void,
): MessageDecoder {
  const { format, schemaFile } = source
  if (format === 'json') return jsonDecoder(source)
  if (format === 'csv') {
    if (source.columns.length > 0) return csvDecoder(source)
    throw invalid(`${file} lacks source.columns: lines of CSV in a topic have no header.`)
  }
  if (schemaFile !== null) return plainAvro(join(dirname(file), schemaFile))
  if (registryUrl === null) {
    throw invalid(
      `${file}: the schemas of ${format} come from a registry; give SLUICE_BRIDGE_REGISTRY_URL.`,
    )
  }
  return registryDecoder({
    registry: openSourceRegistry(registryUrl),
    format,
    onFailure,
    monotonicMs: () => systemClock.monotonicMs(),
  })
}

/** Messages of one schema, without framing. */
function plainAvro(schemaFile: string): MessageDecoder {
  const decode = avroDecoder(schemaFile, textOf(schemaFile, 'schema'), [])
  return { prepare: () => null, decode: (value) => decode(value, 0) }
}

function textOf(file: string, what: 'mapping' | 'schema' = 'mapping'): string {
  try {
    if (statSync(file).size > MAPPING_LIMITS.bytesMax)
      throw invalid(`${file} has more than ${MAPPING_LIMITS.bytesMax} bytes; is it a ${what}?`)
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (error instanceof SluiceError) throw error
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    throw invalid(`The ${what} ${file} cannot be read (${code}); correct its path or its rights.`)
  }
}

function invalid(message: string): SluiceError {
  return new SluiceError('SLUICE_CONFIG_INVALID', message)
}
