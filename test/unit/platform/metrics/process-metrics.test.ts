import { strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { memoryLimitBytes } from '../../../../services/platform/metrics/process-metrics.ts'

const MACHINE_BYTES = 8e9

test('a memory limit counts only when it is below what the machine has', () => {
  strictEqual(memoryLimitBytes(512e6, MACHINE_BYTES), 512e6)
  // Linux without a limit, by version of control groups and of Node.
  for (const none of [undefined, 0, MACHINE_BYTES, 9_223_372_036_854_771_712, 2 ** 64])
    strictEqual(memoryLimitBytes(none, MACHINE_BYTES), 0)
})
