// Erases a card whether or not somebody writes to the lake: a writer that runs is asked to do it between two commits of
// its own, so that nobody has to stop it.

import { setTimeout as sleepMs } from 'node:timers/promises'
import { SluiceError, isSluiceError } from '../core/errors.ts'
import { submitRequest, takeAnswer, withdrawRequest } from './erase-requests.ts'
import { eraseFromLake, type EraseOptions, type EraseSummary } from './erase.ts'

/** How long a writer may take to answer; it answers between two flushes. */
const WAIT_MS_MAX = 600_000
const POLL_MS = 500
/** Looks for an answer between two attempts to write ourselves: the writer may have ended meanwhile. */
const POLLS_PER_ATTEMPT = 10

export interface AskOptions extends EraseOptions {
  /** Somebody else writes, and was asked. */
  readonly onAsked: () => void
}

/**
 * @throws SluiceError as eraseFromLake; SLUICE_LAKE_BUSY when who writes does not answer, as `sluice lake ingest --exit`
 * does not.
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
    `Who writes to the lake has not erased the card within ${WAIT_MS_MAX / 60_000} minutes. Wait for it or stop it, and run ` +
      'the command again.',
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
