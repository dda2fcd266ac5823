import { deepStrictEqual, strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { Registry, Gauge } from 'prom-client'
import { isSluiceError } from '../../../services/core/errors.ts'
import { metricsUrl, seriesOf, sumOfSeries } from '../../../services/cli/metrics-page.ts'

test('what a service serves is read back, with labels of any signs', async () => {
  const registry = new Registry()
  const make = (name: string, labelNames: readonly string[]) =>
    new Gauge({ name, help: 'of a test', labelNames, registers: [registry] })
  const gauge = make('a_gauge', ['role', 'text'])
  const odd = 'a "quoted" {brace}, \\ and\nline = 5'
  gauge.set({ role: 'active', text: odd }, 2.5)
  gauge.set({ role: 'shadow', text: '' }, 1e-9)
  make('a_gauge_more', []).set(7)
  make('plain', []).set(3)
  const page = await registry.metrics()
  deepStrictEqual(seriesOf(page, 'a_gauge'), [
    { labels: { role: 'active', text: odd }, value: 2.5 },
    { labels: { role: 'shadow', text: '' }, value: 1e-9 },
  ])
  deepStrictEqual(seriesOf(page, 'plain'), [{ labels: {}, value: 3 }])
  strictEqual(sumOfSeries(page, 'a_gauge'), 2.5 + 1e-9)
  strictEqual(sumOfSeries(page, 'nothing'), null)
  strictEqual(sumOfSeries(page, 'a_gauge{role="active"}'), 2.5)
  strictEqual(sumOfSeries(page, 'a_gauge{role="other"}'), null)
})

test('an address is a host with a port, or a URL', () => {
  strictEqual(metricsUrl('127.0.0.1:9464'), 'http://127.0.0.1:9464/metrics')
  strictEqual(metricsUrl('https://a.example:1'), 'https://a.example:1/metrics')
  strictEqual(metricsUrl('http://a.example/other'), 'http://a.example/other')
  throws(
    () => metricsUrl('a b'),
    (error) => isSluiceError(error, 'SLUICE_USAGE'),
  )
})
