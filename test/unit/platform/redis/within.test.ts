import { rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { within } from '../../../../services/platform/redis/within.ts'

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
  const endMs = performance.now() + 20
  while (performance.now() < endMs);
  strictEqual(await waiting, 'here')
})
