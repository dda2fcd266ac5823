// Goal: in a lake with an active writer the writer erases: the request names the card only as long as necessary, and
// its answer does not. Method: the test process is the writer, and answers by hand.

import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { isSluiceError } from '../../../services/core/errors.ts'
import {
  answerRequest,
  forgetAnswers,
  pendingRequests,
  withdrawRequest,
} from '../../../services/lake/erase-requests.ts'
import { eraseCard, type EraseRequest, type EraseSummary } from '../../../services/lake/erase.ts'
import { eraseOrAsk, eraseRequest } from '../../../services/lake/index.ts'
import { systemClock } from '../../../services/platform/clock.ts'
import { openDuckDb } from '../../../services/platform/lake/duckdb.ts'
import { filesShowing } from '../../support/erasable-lake.ts'
import { filledLake, openWriter, simulatedStream } from '../../support/lake.ts'

const NEVER = new AbortController().signal
const MODE_BITS = 0o777

/** A lake locked by this process, and a request to erase the first card of its stream. */
async function heldLake(t: TestContext) {
  const folder = await filledLake(t, { transactions: 100, commits: 1 })
  const [card = ''] = simulatedStream(1).flatMap((event) =>
    event.kind === 'transaction' ? [event.transaction.card] : [],
  )
  const writer = await openWriter(folder)
  const requests = join(folder, '_sluice/requests')
  const ask = (
    signal = NEVER,
  ): { readonly asked: Promise<void>; answer: Promise<EraseSummary> } => {
    let tell = (): void => undefined
    const asked = new Promise<void>((resolve) => {
      tell = resolve
    })
    const request = eraseRequest(card, null)
    const options = { folder, request, clock: systemClock, onStep: () => undefined }
    const answer = eraseOrAsk({ ...options, onAsked: tell }, signal)
    answer.catch(() => undefined)
    return { asked, answer }
  }
  return { folder, card, writer, requests, ask }
}

test('the writer serves a request, and nothing of the request is left', async (t) => {
  const { folder, card, writer, requests, ask } = await heldLake(t)
  const { asked, answer } = ask()
  await asked
  const [name = ''] = readdirSync(requests)
  strictEqual(statSync(join(requests, name)).mode & MODE_BITS, 0o600, 'others cannot read it')
  const [request, ...more] = await pendingRequests(folder)
  ok(request !== undefined && more.length === 0)
  strictEqual(request.card, card)
  const session = await openDuckDb(null)
  const options = { request, clock: systemClock, onStep: () => undefined }
  const summary = await eraseCard(session, writer, options, NEVER)
  await session.close()
  await answerRequest(folder, request, summary)
  deepStrictEqual(await answer, summary)
  ok(summary.rows.transactions > 0)
  deepStrictEqual(readdirSync(requests), [])
  await writer.close()
  deepStrictEqual(await filesShowing(folder, card), [])
})

test('a writer that cannot erase answers with the reason', async (t) => {
  const { folder, writer, ask } = await heldLake(t)
  const { asked, answer } = ask()
  await asked
  const [request] = await pendingRequests(folder)
  await answerRequest(folder, request as EraseRequest, { problem: 'a file is missing' })
  await rejects(
    answer,
    (error) =>
      isSluiceError(error, 'SLUICE_LAKE_DAMAGED') && error.message.includes('a file is missing'),
  )
  await writer.close()
})

test('a client that stops waiting withdraws its request', async (t) => {
  const { folder, requests, writer, ask } = await heldLake(t)
  const stop = new AbortController()
  const { asked, answer } = ask(stop.signal)
  await asked
  stop.abort(new Error('enough'))
  await rejects(answer, /enough/)
  deepStrictEqual(readdirSync(requests), [])
  deepStrictEqual(await pendingRequests(folder), [])
  await writer.close()
})

test('answers never collected are deleted, requests are not', async (t) => {
  const { folder, writer, requests, ask } = await heldLake(t)
  const { asked, answer } = ask()
  await asked
  const [request] = await pendingRequests(folder)
  const other = eraseRequest('card-of-somebody', null)
  await answerRequest(folder, other, { problem: 'none' })
  strictEqual(readdirSync(requests).length, 2)
  await forgetAnswers(folder)
  deepStrictEqual(await pendingRequests(folder), [request])
  await withdrawRequest(folder, request?.id ?? '')
  await answerRequest(folder, request as EraseRequest, { problem: 'the test is over' })
  await rejects(answer, /the test is over/)
  await writer.close()
})
