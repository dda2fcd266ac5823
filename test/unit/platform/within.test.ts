import { rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { within } from '../../../services/platform/within.ts'

function beBusyMs(spanMs: number): void {
  const endMs = performance.now() + spanMs
  while (performance.now() < endMs);
}

test('an answer, or a failure, comes through', async () => {
  strictEqual(await within(60_000, Promise.resolve(7)), 7)
  await rejects(within(60_000, Promise.reject(new Error('away'))), /away/)
})

test('no answer is a failure, and a later one is unheard', async () => {
  let answer = (): void => undefined
  const late = new Promise<void>((_, reject) => {
    answer = () => {
      reject(new Error('too late'))
    }
  })
  await rejects(within(1, late), /within 1 ms/)
  answer()
})

test('an answer that has arrived while the process was busy is in time', async () => {
  const arrived = new Promise<string>((resolve) => {
    setImmediate(() => {
      resolve('here')
    })
  })
  const waiting = within(1, arrived)
  beBusyMs(20)
  strictEqual(await waiting, 'here')
})

/** Resolves after this many turns of the event loop, in each of which the process is busy. */
async function busyTurns(count: number, busyMs: number): Promise<string> {
  for (let turn = 0; turn < count; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve))
    beBusyMs(busyMs)
  }
  return 'here'
}

test('an answer that takes several turns to read is in time when the process was busy in each', async () => {
  // 900 ms, hardly any of which was spent waiting.
  strictEqual(await within(400, busyTurns(9, 100)), 'here')
})

test('a process that is always busy does not wait for ever', async () => {
  const over = new AbortController()
  const busy = (async () => {
    while (!over.signal.aborted) await busyTurns(1, 10)
  })()
  await rejects(within(30, new Promise(() => undefined)), /within 30 ms/)
  over.abort()
  await busy
})
