// Goal: input behind an open transaction is measured and logged, and never reported as fine when its state is unknown.
// Method: fetches as a client passes them on, the clock moved by hand.

import { deepStrictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { HeldBackInput } from '../../../../services/scorer/intake/held-back-input.ts'
import { openLogger } from '../../../../services/platform/log.ts'
import { ManualClock } from '../../producer/manual-clock.ts'

const BEGINS = 'warn: An open transaction of a producer holds back the input'
const ENDS = 'info: The input is not held back any more'

class Setting {
  readonly clock = new ManualClock(1_800_000_000_000)
  readonly seconds = new Map<number, number | null>()
  readonly lines: string[] = []
  readonly input = new HeldBackInput({
    clock: this.clock,
    log: {
      ...openLogger('held-back-test', 'error', 'json'),
      warn: (_fields, text) => this.lines.push(`warn: ${text.split(/[:.]/)[0] ?? ''}`),
      info: (_fields, text) => this.lines.push(`info: ${text.split(/[:.]/)[0] ?? ''}`),
    },
    telemetry: {
      inputObserved: (partition, heldBackS) => {
        this.seconds.set(partition, heldBackS)
      },
      inputUnknown: (partition) => {
        this.seconds.set(partition, null)
      },
    },
  })

  saw(
    lastStableOffset: number | null,
    highWatermark: number,
    topic = 'transactions',
    partition = 0,
  ) {
    const nextOffset = lastStableOffset ?? highWatermark
    const ends = { highWatermark, lastStableOffset }
    this.input.saw({ topic, partition, records: [], nextOffset, ...ends })
  }

  /** The observation after more time, in which the same was fetched again. */
  observedAfter(ms: number): number | null | undefined {
    this.clock.advanceMs(ms)
    this.input.observe()
    return this.seconds.get(0)
  }
}

test('an end that is committed is 0, one that stands still behind is its age', () => {
  const setting = new Setting()
  setting.saw(10, 10)
  deepStrictEqual(setting.observedAfter(1_000), 0)
  setting.saw(10, 12)
  deepStrictEqual(setting.observedAfter(1_500), 1.5)
  setting.saw(10, 20)
  deepStrictEqual(setting.observedAfter(500), 2, 'more records behind it change nothing')
  setting.saw(12, 20)
  deepStrictEqual(setting.observedAfter(100), 0.1, 'another transaction is the oldest now')
  setting.saw(20, 20)
  deepStrictEqual(setting.observedAfter(0), 0)
  deepStrictEqual(setting.lines, [])
})

test('the worse of the two topics counts', () => {
  const setting = new Setting()
  setting.saw(3, 5, 'labels')
  setting.clock.advanceMs(2_000)
  setting.saw(7, 9)
  deepStrictEqual(setting.observedAfter(1_000), 3)
})

test('a hold of ten seconds is logged once, and so is its end', () => {
  const setting = new Setting()
  for (let second = 0; second < 20; second += 1) {
    setting.saw(10, 12)
    setting.observedAfter(1_000)
  }
  deepStrictEqual(setting.lines, [BEGINS])
  for (let second = 0; second < 3; second += 1) {
    setting.saw(12, 12)
    setting.observedAfter(1_000)
  }
  deepStrictEqual(setting.lines, [BEGINS, ENDS])
})

test('nothing is said of what a client does not tell, of old news, and of a partition that is given up', () => {
  const setting = new Setting()
  setting.saw(null, 12)
  deepStrictEqual(setting.observedAfter(1_000), undefined)
  setting.saw(10, 12)
  deepStrictEqual(setting.observedAfter(5_001), null, 'no news for 5 s')
  setting.saw(10, 12)
  deepStrictEqual(setting.observedAfter(0), 5.001, 'it has stood still all the while')
  setting.input.forget(0)
  deepStrictEqual(setting.seconds.get(0), null)
  deepStrictEqual(setting.observedAfter(20_000), null)
  deepStrictEqual(setting.lines, [])
})
