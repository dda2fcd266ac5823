// Decodes Protobuf by the .proto text of a registry. A message begins with the indexes of its type in the file.

import protobuf from 'protobufjs'
import { SluiceError } from '../errors.ts'
import { messageOf } from '../wire/codec.ts'
import type { DecodeBytes } from './avro-decoder.ts'
import { MappingRefusal } from './mapping-refusal.ts'

const INDEXES_MAX = 16
const VARINT_BYTES_MAX = 5

/** A .proto file that another one imports. */
export interface ImportedProto {
  readonly name: string
  readonly text: string
}

/** 64-bit numbers are texts, since a double cannot represent all; enumerations are their names. */
const AS_VALUES = { longs: String, enums: String, bytes: String, defaults: true } as const

/** Compiles a .proto file. @throws SluiceError SLUICE_SCHEMA_INCOMPATIBLE when it cannot be read */
export function protobufDecoder(
  name: string,
  text: string,
  imports: readonly ImportedProto[],
): DecodeBytes {
  const { root, types } = compiled(name, text, imports)
  const byIndexes = new Map<string, protobuf.Type | null>()
  const typeAt = (indexes: readonly number[]): protobuf.Type | null => {
    const key = indexes.join('.')
    const known = byIndexes.get(key)
    if (known !== undefined) return known
    const found = nestedAt(root, types, indexes)
    if (found !== null) byIndexes.set(key, found)
    return found
  }
  return (value, from) => {
    const read = readIndexes(value, from)
    const type = read === null ? null : typeAt(read.indexes)
    if (read === null || type === null)
      throw new MappingRefusal('unexpected_schema', null, 'names no message of its schema')
    try {
      return type.toObject(type.decode(value.subarray(read.end)), AS_VALUES)
    } catch {
      throw new MappingRefusal('malformed', null, 'is no such Protobuf message')
    }
  }
}

/** The whole schema, and the full names of the message types of its own file in their order. */
function compiled(
  name: string,
  text: string,
  imports: readonly ImportedProto[],
): { readonly root: protobuf.Root; readonly types: readonly string[] } {
  try {
    const own = new protobuf.Root()
    protobuf.parse(text, own, { keepCase: true })
    const types = messagesOf(own).map(({ fullName }) => fullName)
    const root = new protobuf.Root()
    const wanted = new Set<string>()
    for (const file of [...imports.map((each) => each.text), text]) {
      for (const imported of protobuf.parse(file, root, { keepCase: true }).imports ?? [])
        wanted.add(imported)
    }
    for (const file of wanted) {
      const common = protobuf.common.get(file)
      if (common?.nested !== undefined && !imports.some((each) => each.name === file))
        root.addJSON(common.nested)
    }
    root.resolveAll()
    return { root, types }
  } catch (error) {
    throw new SluiceError(
      'SLUICE_SCHEMA_INCOMPATIBLE',
      `The schema of ${name} is no .proto file that can be read (${messageOf(error)}).`,
      { cause: error },
    )
  }
}

/** Message types of a file, below its package. */
function messagesOf(space: protobuf.NamespaceBase): readonly protobuf.Type[] {
  return space.nestedArray.flatMap((inner) => {
    if (inner instanceof protobuf.Type) return [inner]
    return inner instanceof protobuf.Namespace ? messagesOf(inner) : []
  })
}

function nestedAt(
  root: protobuf.Root,
  types: readonly string[],
  [first = 0, ...rest]: readonly number[],
): protobuf.Type | null {
  const name = types[first]
  if (name === undefined) return null
  let type: protobuf.Type | undefined = root.lookupType(name)
  for (const index of rest) {
    const inner: protobuf.Type[] = type.nestedArray.filter((each) => each instanceof protobuf.Type)
    type = inner[index]
    if (type === undefined) return null
  }
  return type
}

/** The indexes before a message: a count and the numbers, zigzag; a single zero byte is the first type. */
function readIndexes(
  value: Buffer,
  from: number,
): { readonly indexes: readonly number[]; readonly end: number } | null {
  const count = readVarint(value, from)
  if (count === null || count.number < 0 || count.number > INDEXES_MAX) return null
  if (count.number === 0) return { indexes: [0], end: count.end }
  const indexes: number[] = []
  let { end } = count
  for (let at = 0; at < count.number; at += 1) {
    const index = readVarint(value, end)
    if (index === null || index.number < 0) return null
    indexes.push(index.number)
    ;({ end } = index)
  }
  return { indexes, end }
}

function readVarint(
  value: Buffer,
  from: number,
): { readonly number: number; readonly end: number } | null {
  let raw = 0
  for (let at = 0; at < VARINT_BYTES_MAX; at += 1) {
    const byte = value[from + at]
    if (byte === undefined) return null
    raw += (byte & 0x7f) * 2 ** (7 * at)
    if (byte < 0x80) {
      const half = Math.floor(raw / 2)
      return { number: raw % 2 === 0 ? half : -half - 1, end: from + at + 1 }
    }
  }
  return null
}
