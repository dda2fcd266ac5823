// Erases a card whether or not a writer is active: a running writer gets a request and serves it between two of its own
// commits, so it need not be stopped.
//
// A request is a file in the lake's own folder, readable by its owner only. It names the card, and is deleted once the
// card is erased. It survives a kill, so the next writer completes it.

import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleepMs } from 'node:timers/promises'
import { isSluiceError, SluiceError } from '../core/errors.ts'
import { type ErasedRows, LAKE_RECORDS, parseErased } from '../core/lake/lake-log.ts'
import { errorCodeOf, makeFolder, syncPath } from '../platform/lake/durable-files.ts'
import { eraseFromLake, type EraseOptions, type EraseRequest, type EraseSummary } from './erase.ts'

/** Time limit for the writer's answer, which comes between two flushes. */
const WAIT_MS_MAX = 600_000
const POLL_MS = 500
/** Polls between two attempts to write directly, since the writer may have ended. */
const POLLS_PER_ATTEMPT = 10

export interface AskOptions extends EraseOptions {
  /** Called when another writer is active and has been sent the request. */
  readonly onAsked: () => void
}

/**
 * @throws SluiceError as eraseFromLake; SLUICE_LAKE_BUSY when the writer does not serve requests, such as
 * `sluice lake ingest --exit`.
 */
export async function eraseOrAsk(options: AskOptions, signal: AbortSignal): Promise<EraseSummary> {
  const { folder, request } = options
  const own = await unlessBusy(() => eraseFromLake(options, signal))
  if (own !== null) return own
  await submitRequest(folder, request)
  options.onAsked()
  try {
    for (let poll = 1; poll <= WAIT_MS_MAX / POLL_MS; poll += 1) {
      const answer = await takeAnswer(folder, request.id)
      if (answer !== null) return answer
      if (poll % POLLS_PER_ATTEMPT === 0) {
        const done = await unlessBusy(() => eraseFromLake(options, signal))
        if (done !== null) return done
      }
      await sleepMs(POLL_MS, undefined, { signal }).catch(() => undefined)
      signal.throwIfAborted()
    }
  } finally {
    await withdrawRequest(folder, request.id)
  }
  throw new SluiceError(
    'SLUICE_LAKE_BUSY',
    `The writer of the lake has not erased the card within ${WAIT_MS_MAX / 60_000} minutes. Wait for it or stop it, and ` +
      'run the command again.',
  )
}

async function unlessBusy(work: () => Promise<EraseSummary>): Promise<EraseSummary | null> {
  try {
    return await work()
  } catch (error) {
    if (isSluiceError(error, 'SLUICE_LAKE_BUSY')) return null
    throw error
  }
}

const FILE_MODE = 0o600
const REQUEST_NAME = /^erase-([0-9a-f-]{36})\.json$/
const ANSWER_NAME = /^erased-([0-9a-f-]{36})\.json$/

/** Sends a request to the active writer. */
export async function submitRequest(folder: string, request: EraseRequest): Promise<void> {
  await makeFolder(requestsFolder(folder))
  await put(requestPath(folder, request.id), request)
}

/** Withdraws a request; rows already erased stay erased. */
export async function withdrawRequest(folder: string, id: string): Promise<void> {
  await rm(requestPath(folder, id), { force: true })
}

/** Requests without an answer. */
export async function pendingRequests(folder: string): Promise<readonly EraseRequest[]> {
  const requests: EraseRequest[] = []
  for (const name of await namesIn(requestsFolder(folder))) {
    if (!REQUEST_NAME.test(name)) continue
    const request = requestOf(await readJson(join(requestsFolder(folder), name)))
    if (request !== null) requests.push(request)
  }
  return requests
}

/** Answers a request with the result or the problem. The request, which names the card, is deleted first. */
export async function answerRequest(
  folder: string,
  { id }: EraseRequest,
  answer: EraseSummary | { readonly problem: string },
): Promise<void> {
  await rm(requestPath(folder, id), { force: true })
  await put(answerPath(folder, id), answer)
}

/**
 * Reads and deletes the answer; null while there is none.
 * @throws SluiceError SLUICE_LAKE_DAMAGED when the writer could not erase.
 */
export async function takeAnswer(folder: string, id: string): Promise<EraseSummary | null> {
  const answer = await readJson(answerPath(folder, id))
  if (answer === null) return null
  await rm(answerPath(folder, id), { force: true })
  const erased = parseErased(answer)
  const { commit, problem } = answer as { readonly commit?: unknown; readonly problem?: unknown }
  if (erased === null) {
    throw new SluiceError(
      'SLUICE_LAKE_DAMAGED',
      `The writer of the lake could not erase the card: ${typeof problem === 'string' ? problem : 'it gave no reason'}`,
    )
  }
  return summaryOf(erased, commit)
}

/** Deletes answers that were never collected. */
export async function forgetAnswers(folder: string): Promise<void> {
  for (const name of await namesIn(requestsFolder(folder))) {
    if (ANSWER_NAME.test(name)) await rm(join(requestsFolder(folder), name), { force: true })
  }
}

function summaryOf({ id, reference, files, rows }: ErasedRows, commit: unknown): EraseSummary {
  return { id, reference, files, rows, commit: typeof commit === 'number' ? commit : null }
}

function requestsFolder(folder: string): string {
  return join(folder, LAKE_RECORDS, 'requests')
}

function requestPath(folder: string, id: string): string {
  return join(requestsFolder(folder), `erase-${id}.json`)
}

function answerPath(folder: string, id: string): string {
  return join(requestsFolder(folder), `erased-${id}.json`)
}

/** Writes the file atomically. */
async function put(path: string, value: object): Promise<void> {
  await writeFile(`${path}.new`, `${JSON.stringify(value)}\n`, { mode: FILE_MODE })
  await syncPath(`${path}.new`)
  await rename(`${path}.new`, path)
}

function requestOf(value: unknown): EraseRequest | null {
  if (typeof value !== 'object' || value === null) return null
  const { id, card, reference } = value as Partial<Record<keyof EraseRequest, unknown>>
  if (typeof id !== 'string' || typeof card !== 'string' || card === '') return null
  return { id, card, reference: typeof reference === 'string' ? reference : null }
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (errorCodeOf(error) === 'ENOENT') return []
    throw error
  }
}

/** Null when the file is missing or not JSON. */
async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as unknown
  } catch (error) {
    if (error instanceof SyntaxError || errorCodeOf(error) === 'ENOENT') return null
    throw error
  }
}
