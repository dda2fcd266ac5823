// Goal: background work is done once, in slices and in order, is bounded, and continues after failures.

import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { test } from 'node:test'
import { ShadowQueue } from '../../../../services/scorer/deployments/shadow-queue.ts'

type Step = readonly [batch: string, from: number, to: number]

function queueOf(
  step: (done: Step, isWanted: () => boolean) => Promise<void> | void = () => undefined,
) {
  const steps: Step[] = []
  const failures: number[] = []
  const queue = new ShadowQueue<string>({
    rowsMax: 10,
    sliceRows: 4,
    step: (batch, from, to, isWanted) => {
      steps.push([batch, from, to])
      return step([batch, from, to], isWanted)
    },
    failed: (_, rows) => {
      failures.push(rows)
    },
  })
  return { queue, steps, failures }
}

test('batches are worked through in slices, in order, a slice a turn, one without rows included', async () => {
  const { queue, steps } = queueOf()
  queue.push('a', 6)
  queue.push('b', 0)
  queue.push('c', 4)
  strictEqual(steps.length, 0)
  await queue.rest()
  deepStrictEqual(steps, [
    ['a', 0, 4],
    ['a', 4, 6],
    ['b', 0, 0],
    ['c', 0, 4],
  ])
  strictEqual(queue.isWorking, false)
})

test('rows that wait are bounded, and those that are done make room', async () => {
  const { queue } = queueOf()
  queue.push('a', 8)
  strictEqual(queue.hasRoomFor(2), true)
  strictEqual(queue.hasRoomFor(3), false)
  await queue.rest()
  strictEqual(queue.hasRoomFor(10), true)
})

test('what was emptied is worked on no more, and its step is told', async () => {
  const wanted: boolean[] = []
  const { queue, steps } = queueOf(async (_, isWanted) => {
    queue.empty()
    await nextTurn()
    wanted.push(isWanted())
  })
  queue.push('a', 8)
  await queue.rest()
  deepStrictEqual(steps, [['a', 0, 4]])
  deepStrictEqual(wanted, [false])
  strictEqual(queue.hasRoomFor(10), true)
})

test('a step that fails leaves out what waits, counted with its own rows, and the next batch is worked on', async () => {
  const { queue, steps, failures } = queueOf(([batch]) => {
    if (batch === 'bad') throw new Error('a test')
  })
  queue.push('bad', 6)
  queue.push('behind', 3)
  await queue.rest()
  deepStrictEqual(failures, [9])
  queue.push('good', 2)
  await queue.rest()
  deepStrictEqual(steps.at(-1), ['good', 0, 2])
})
