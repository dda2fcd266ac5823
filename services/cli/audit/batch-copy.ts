// A copy of decision batches in a file, for longer than the topic keeps them: a line of JSON a block, its place and its
// bytes. The chain of a copy verifies like that of the topic, also when a card was erased from it.

import { createReadStream, createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { finished } from 'node:stream/promises'
import { eraseCard } from '../../core/audit/erase-card.ts'
import { SluiceError } from '../../core/errors.ts'
import type { Codecs } from '../../core/wire/codecs.ts'
import { readToEnd } from '../../platform/kafka/committed-reader.ts'
import { topicName } from '../../platform/kafka/topics.ts'
import type { DecidedStream } from '../features/open-stream.ts'

export interface CopiedBatch {
  readonly partition: number
  readonly offset: number
  readonly value: Buffer
}

/** Writes all blocks that the topic holds; whole or not at all. Returns how many. */
export async function exportBatches(
  { brokers, security, topicPrefix }: DecidedStream,
  file: string,
  signal: AbortSignal,
): Promise<number> {
  const topics = [topicName(topicPrefix, 'decisions')]
  return await writeCopy(file, async (put) => {
    await readToEnd(
      { brokers, security, name: 'sluice-audit', topics, startAt: 'beginning' },
      async ({ partition, messages }) => {
        for (const { offset, value } of messages) {
          await put({ partition, offset: Number(offset), value: value ?? Buffer.alloc(0) })
        }
      },
      signal,
    )
  })
}

export interface ErasedCopy {
  readonly blocks: number
  readonly erased: number
}

/** Takes a card's values out of a copy, in place. @throws SluiceError SLUICE_INPUT_INVALID for a file that is none. */
export async function eraseFromCopy(
  file: string,
  card: string,
  { decisionBatch }: Codecs,
): Promise<ErasedCopy> {
  let erased = 0
  const blocks = await writeCopy(file, async (put) => {
    for await (const copied of readCopy(file)) {
      const decoded = decisionBatch.decode(copied.value)
      if (!decoded.ok) throw notACopy(file, `block ${copied.offset} cannot be read`)
      const before = decoded.value
      const after = eraseCard(before, card)
      erased += after.erased.length - before.erased.length
      await put(after === before ? copied : { ...copied, value: decisionBatch.encode(after) })
    }
  })
  return { blocks, erased }
}

/** Blocks in the order of the file. @throws SluiceError SLUICE_INPUT_INVALID naming the line that is none. */
export async function* readCopy(file: string): AsyncGenerator<CopiedBatch> {
  const input = createReadStream(file)
  let number = 0
  try {
    for await (const line of createInterface({ input, crlfDelay: Infinity })) {
      number += 1
      const copied = parseLine(line)
      if (copied === null) throw notACopy(file, `line ${number} is no block`)
      yield copied
    }
  } catch (error) {
    if (error instanceof SluiceError) throw error
    throw notACopy(file, error instanceof Error ? error.message : String(error))
  } finally {
    input.destroy()
  }
}

function parseLine(line: string): CopiedBatch | null {
  try {
    const { partition, offset, value } = JSON.parse(line) as Readonly<Record<string, unknown>>
    if (!Number.isSafeInteger(partition) || !Number.isSafeInteger(offset)) return null
    if (typeof value !== 'string') return null
    const place = { partition: Number(partition), offset: Number(offset) }
    return { ...place, value: Buffer.from(value, 'base64') }
  } catch {
    return null
  }
}

async function writeCopy(
  file: string,
  write: (put: (copied: CopiedBatch) => Promise<void>) => Promise<void>,
): Promise<number> {
  const part = `${file}.part`
  const output = createWriteStream(part)
  const failed = finished(output)
  failed.catch(() => undefined)
  let count = 0
  try {
    await write(async ({ partition, offset, value }) => {
      const line = JSON.stringify({ partition, offset, value: value.toString('base64') })
      count += 1
      if (!output.write(`${line}\n`)) await Promise.race([once(output, 'drain'), failed])
    })
    output.end()
    await failed
    await rename(part, file)
    return count
  } catch (error) {
    output.destroy()
    await rm(part, { force: true })
    if (error instanceof SluiceError || !isOfFile(error)) throw error
    throw notACopy(file, error.message)
  }
}

function isOfFile(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error && 'path' in error
}

function notACopy(file: string, problem: string): SluiceError {
  return new SluiceError(
    'SLUICE_INPUT_INVALID',
    `${file} cannot be used as a copy of blocks (${problem}); give a file that "sluice audit export" wrote, in a ` +
      'folder that can be written.',
  )
}
