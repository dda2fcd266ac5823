import { ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { summarizeMemory } from '../../../../tools/bench/live-bench.ts'

const MEBIBYTE = 1024 * 1024

test('memory is summarised by its first and last 20 seconds and its rise per minute', () => {
  const rising = Array.from({ length: 61 }, (_, second) => (100 + second / 10) * MEBIBYTE)
  const summary = summarizeMemory(rising)
  ok(summary !== null)
  ok(Math.abs((summary.slopeMebibytesPerMinute ?? NaN) - 6) < 1e-9)
  ok(summary.firstMedianBytes < 102 * MEBIBYTE && summary.lastMedianBytes > 104 * MEBIBYTE)
  strictEqual(summary.maxBytes, 106 * MEBIBYTE)
})

test('memory that could not be read has no summary', () => {
  strictEqual(summarizeMemory([]), null)
})
