import { strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { shortenRules } from '../../../../services/platform/provision/shortened-rules.ts'

test('waiting times, ranges and offsets are divided, and nothing else changes', () => {
  const text = `
      - alert: SluiceExample5m
        expr: rate(a_total[5m]) > 0.05 and rate(a_total[1h] offset 1d) < 30
        for: 2m
        keep_firing_for: 30s
        annotations: { summary: 'For 5m, see [the page](x#5m).' }`
  strictEqual(
    shortenRules(text, 10),
    `
      - alert: SluiceExample5m
        expr: rate(a_total[30000ms]) > 0.05 and rate(a_total[360000ms] offset 8640000ms) < 30
        for: 12000ms
        keep_firing_for: 3000ms
        annotations: { summary: 'For 5m, see [the page](x#5m).' }`,
  )
})

test('a range keeps room for several scrapes, however short it would be', () => {
  strictEqual(shortenRules('increase(a_total[30s])', 60), 'increase(a_total[5000ms])')
})
