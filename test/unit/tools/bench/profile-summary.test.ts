import { deepStrictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { summarizeProfile } from '../../../../tools/bench/profile-summary.ts'

function node(id: number, functionName: string, url: string) {
  return { id, callFrame: { functionName, url, lineNumber: 9 } }
}

test('time is summed by area and by function, and idle time is no share of it', () => {
  const profile = {
    nodes: [
      node(1, '(idle)', ''),
      node(2, '(garbage collector)', ''),
      node(3, 'encode', 'file:///x/node_modules/kafkajs/src/encoder.js'),
      node(4, 'encode', 'file:///x/node_modules/kafkajs/src/encoder.js'),
      node(5, 'applyTransaction', 'file:///x/services/core/features/partition-fold.ts'),
    ],
    samples: [1, 2, 3, 4, 5, 5],
    timeDeltas: [5_000, 1_000, 2_000, 1_000, 3_000, 3_000],
  }
  deepStrictEqual(summarizeProfile(JSON.stringify(profile), 2), {
    totalMs: 15,
    idleMs: 5,
    areas: [
      { name: 'features', milliseconds: 6, share: 0.6 },
      { name: 'kafkajs', milliseconds: 3, share: 0.3 },
      { name: 'garbage collection', milliseconds: 1, share: 0.1 },
    ],
    functions: [
      { name: 'applyTransaction core/features/partition-fold.ts:10', milliseconds: 6, share: 0.6 },
      { name: 'encode kafkajs/src/encoder.js:10', milliseconds: 3, share: 0.3 },
    ],
  })
})
