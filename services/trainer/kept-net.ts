// A net in training as it is kept between two epochs: a line of JSON, the numbers, and a digest over both, so that a file
// that was cut off is told from a whole one.

import { createHash } from 'node:crypto'
import type { OptimizerState } from './adam-state.ts'

/** What came of one epoch. */
export interface EpochFigures {
  readonly epoch: number
  readonly loss: number
  /** Null without validation rows. */
  readonly validationPrecision: number | null
  readonly seconds: number
}

/** All that the next epoch rests on. */
export interface KeptNet {
  readonly epochs: readonly EpochFigures[]
  readonly bestEpoch: number
  readonly bestPrecision: number
  /** Nothing is to be trained any more; then only the best weights are kept. */
  readonly isDone: boolean
  readonly best: readonly Float32Array[]
  readonly average: readonly Float32Array[]
  readonly own: readonly Float32Array[]
  readonly optimizer: OptimizerState | null
}

/** Where the progress of one net is kept. */
export interface NetKeeper {
  /** Null before the first epoch. */
  read(): Promise<KeptNet | null>
  write(kept: KeptNet): Promise<void>
}

const DIGEST_BYTES = 32
const LINE_FEED = 0x0a

const ARRAYS = ['best', 'average', 'own', 'moments'] as const

interface Head extends Omit<KeptNet, 'best' | 'average' | 'own' | 'optimizer'> {
  readonly optimizer: Omit<OptimizerState, 'moments'> | null
  /** Lengths of the arrays that follow. */
  readonly lengths: Readonly<Record<(typeof ARRAYS)[number], readonly number[]>>
}

/** The bytes of a file. */
export function encodeKeptNet({ best, average, own, optimizer, ...rest }: KeptNet): Buffer {
  const arrays = { best, average, own, moments: optimizer?.moments ?? [] }
  const lengthsOf = (values: readonly Float32Array[]): readonly number[] =>
    values.map(({ length }) => length)
  const head: Head = {
    ...rest,
    optimizer: optimizer === null ? null : { steps: optimizer.steps, powers: optimizer.powers },
    lengths: {
      best: lengthsOf(best),
      average: lengthsOf(average),
      own: lengthsOf(own),
      moments: lengthsOf(arrays.moments),
    },
  }
  const numbers = ARRAYS.flatMap((name) => arrays[name]).map(({ buffer, byteOffset, byteLength }) =>
    Buffer.from(buffer, byteOffset, byteLength),
  )
  const content = Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), ...numbers])
  return Buffer.concat([content, digestOf(content)])
}

/** Reads what `encodeKeptNet` wrote; null when it is not whole. */
export function decodeKeptNet(bytes: Buffer): KeptNet | null {
  const content = bytes.subarray(0, Math.max(0, bytes.length - DIGEST_BYTES))
  if (!digestOf(content).equals(bytes.subarray(content.length))) return null
  const end = content.indexOf(LINE_FEED)
  // The digest says that these are the bytes that we wrote.
  const { lengths, optimizer, ...rest } = JSON.parse(content.toString('utf8', 0, end)) as Head
  const numbers = new Float32Array(Uint8Array.from(content.subarray(end + 1)).buffer)
  let at = 0
  const take = (name: (typeof ARRAYS)[number]): readonly Float32Array[] =>
    lengths[name].map((length) => numbers.slice(at, (at += length)))
  const [best, average, own, moments] = [
    take('best'),
    take('average'),
    take('own'),
    take('moments'),
  ]
  return {
    ...rest,
    ...{ best, average, own },
    optimizer: optimizer === null ? null : { ...optimizer, moments },
  }
}

function digestOf(content: Buffer): Buffer {
  return createHash('sha256').update(content).digest()
}
