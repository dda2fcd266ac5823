// Ways to damage a valid message, drawn from a seeded generator, so that a run can be repeated.

import { FRAME_HEADER_BYTES } from '../../../../services/core/wire/codec.ts'

type Draw = () => number
type Mutation = (bytes: Buffer, draw: Draw, other: Buffer) => Buffer

/** Varints at the edges: -1, 2^31 - 1 and its neighbours, 2^53, 2^63, endless, and padded zeros. */
const EXTREME_VARINTS = [
  [0x01],
  [0xfe, 0xff, 0xff, 0xff, 0x0f],
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0x80, 0x80, 0x80, 0x80, 0x10],
  [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20],
  [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  Array<number>(16).fill(0xff),
  [0x80, 0x80, 0x80, 0x00],
].map((bytes) => Buffer.from(bytes))

const MUTATIONS: readonly Mutation[] = [
  function flipBit(bytes, draw) {
    const changed = Buffer.from(bytes)
    const at = draw() % changed.length
    changed[at] = (changed[at] ?? 0) ^ (1 << (draw() % 8))
    return changed
  },
  function setByte(bytes, draw) {
    const changed = Buffer.from(bytes)
    changed[draw() % changed.length] = draw() & 0xff
    return changed
  },
  function cutShort(bytes, draw) {
    return Buffer.from(bytes.subarray(0, draw() % bytes.length))
  },
  function putExtremeVarint(bytes, draw) {
    const at = bodyPosition(bytes, draw)
    const varint = EXTREME_VARINTS[draw() % EXTREME_VARINTS.length] ?? Buffer.alloc(0)
    return Buffer.concat([bytes.subarray(0, at), varint, bytes.subarray(at + 1)])
  },
  function removeRun(bytes, draw) {
    const at = bodyPosition(bytes, draw)
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + (draw() % 16))])
  },
  function repeatRun(bytes, draw) {
    const at = bodyPosition(bytes, draw)
    const run = bytes.subarray(at, at + 1 + (draw() % 64))
    return Buffer.concat([bytes.subarray(0, at), run, run, bytes.subarray(at)])
  },
  function spliceOther(bytes, draw, other) {
    const at = bodyPosition(bytes, draw)
    return Buffer.concat([bytes.subarray(0, at), other.subarray(draw() % other.length)])
  },
  function randomBody(bytes, draw) {
    const body = Buffer.alloc(draw() % 256)
    for (let index = 0; index < body.length; index += 1) body[index] = draw() & 0xff
    return Buffer.concat([bytes.subarray(0, FRAME_HEADER_BYTES), body])
  },
]

/** A damaged copy of `bytes`, by one to three mutations. `other` is a message to splice from. */
export function mutate(bytes: Buffer, other: Buffer, draw: Draw): Buffer {
  let changed = bytes
  const rounds = 1 + (draw() % 3)
  for (let round = 0; round < rounds; round += 1) {
    const mutation = MUTATIONS[draw() % MUTATIONS.length]
    if (mutation !== undefined && changed.length > 0) changed = mutation(changed, draw, other)
  }
  return changed
}

/** A position after the header, if there is one. */
function bodyPosition(bytes: Buffer, draw: Draw): number {
  const bodyBytes = bytes.length - FRAME_HEADER_BYTES
  return bodyBytes <= 0 ? 0 : FRAME_HEADER_BYTES + (draw() % bodyBytes)
}
