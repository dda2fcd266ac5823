// Goal: whatever answers at the address, the error states clearly what is wrong. Method: a real HTTP server that
// answers wrongly in one way at a time.

import { deepStrictEqual, match, ok, rejects, strictEqual } from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import {
  ANSWER_BYTES_MAX,
  durationS,
  openPrometheusApi,
  refusalOf,
} from '../../../../tools/servers/prometheus-api.ts'
import { isSluiceError } from '../../../../services/core/errors.ts'

async function serve(context: TestContext, listener: RequestListener): Promise<URL> {
  const server = createServer(listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  context.after(() => {
    server.close()
    server.closeAllConnections()
  })
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
}

function answering(body: unknown, status = 200): RequestListener {
  return (_, response) => {
    response.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body))
  }
}

function matrix(result: unknown): unknown {
  return { status: 'success', data: { resultType: 'matrix', result } }
}

test('a range query asks for what it is given and returns series with numbers', async (context) => {
  const asked: string[] = []
  const url = await serve(context, (request, response) => {
    asked.push(request.url ?? '')
    response.end(
      JSON.stringify(
        matrix([
          {
            metric: { job: 'a' },
            values: [
              [10, '1.5'],
              [20, 'NaN'],
              [30, '+Inf'],
              [40, '-Inf'],
            ],
          },
        ]),
      ),
    )
  })
  const range = { fromS: 10, toS: 40, stepS: 10 }
  deepStrictEqual(await openPrometheusApi(url).queryRange('sum(rate(a[1m]))', range), [
    {
      labels: { job: 'a' },
      points: [
        [10, 1.5],
        [20, Number.NaN],
        [30, Number.POSITIVE_INFINITY],
        [40, Number.NEGATIVE_INFINITY],
      ],
    },
  ])
  const request = new URL(asked[0] ?? '', url)
  strictEqual(request.pathname, '/api/v1/query_range')
  deepStrictEqual(Object.fromEntries(request.searchParams), {
    query: 'sum(rate(a[1m]))',
    start: '10',
    end: '40',
    step: '10',
  })
})

test('an instant query returns one point per series, and a scalar is a series without labels', async (context) => {
  const vector = { resultType: 'vector', result: [{ metric: { job: 'a' }, value: [10, '2'] }] }
  const scalar = { resultType: 'scalar', result: [10, '7'] }
  for (const [data, expected] of [
    [vector, { labels: { job: 'a' }, points: [[10, 2]] }],
    [scalar, { labels: {}, points: [[10, 7]] }],
  ]) {
    const url = await serve(context, answering({ status: 'success', data }))
    deepStrictEqual(await openPrometheusApi(url).query('a', 10), [expected])
  }
})

test('a query that Prometheus refuses is an error with the reason, which can be told from others', async (context) => {
  const refusal = { status: 'error', errorType: 'bad_data', error: 'parse error at char 3' }
  const url = await serve(context, answering(refusal, 400))
  await rejects(openPrometheusApi(url).query('su(', 10), (error) => {
    strictEqual(refusalOf(error), 'parse error at char 3')
    match(String(error), /refused su\(: parse error at char 3/)
    return true
  })
  strictEqual(refusalOf(new Error('another')), null)
})

test('alerts that are pending or firing come by their names', async (context) => {
  const labels = { alertname: 'Late', severity: 'page' }
  const alerts = [{ state: 'firing', labels, annotations: { summary: 'It is late.' }, value: '1' }]
  const url = await serve(context, answering({ status: 'success', data: { alerts } }))
  deepStrictEqual(await openPrometheusApi(url).alerts(), [
    { name: 'Late', state: 'firing', labels, annotations: { summary: 'It is late.' } },
  ])
})

test('what is not Prometheus, or too much, is an error that names the address and the remedy', async (context) => {
  const wrong: readonly (readonly [RequestListener, RegExp])[] = [
    [answering('<html>not here</html>', 404), /status 404/],
    [answering('{"status":"success"}', 200), /does not answer as Prometheus does/],
    [answering('{"status":"success"}', 500), /status 500/],
    [answering('[]', 200), /no JSON of Prometheus/],
    [answering(' '.repeat(ANSWER_BYTES_MAX + 1)), /more than 16777216 bytes/],
    [(_, response) => response.writeHead(302, { location: '/login' }).end(), /cannot be reached/],
  ]
  for (const [listener, message] of wrong) {
    const url = await serve(context, listener)
    await rejects(openPrometheusApi(url).query('a', 1), (error) => {
      ok(isSluiceError(error, 'SLUICE_PROMETHEUS_UNAVAILABLE'))
      match(error.message, message)
      match(error.message, new RegExp(`127\\.0\\.0\\.1:${url.port}/.*check its address`))
      return true
    })
  }
})

test('an address where nothing listens is an error', async () => {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  await rejects(openPrometheusApi(new URL(`http://127.0.0.1:${port}`)).query('a', 1), {
    code: 'SLUICE_PROMETHEUS_UNAVAILABLE',
  })
})

test('a path is kept, and credentials are sent as HTTP has them and shown to nobody', async (context) => {
  const seen: (string | undefined)[] = []
  const url = await serve(context, (request, response) => {
    seen.push(request.url?.split('?')[0], request.headers.authorization)
    response.writeHead(500).end()
  })
  const address = new URL(`http://ada:s%40cret@127.0.0.1:${url.port}/prometheus/`)
  const prometheus = openPrometheusApi(address)
  strictEqual(prometheus.address, `http://127.0.0.1:${url.port}/prometheus`)
  await rejects(prometheus.query('a', 1), (error: Error) => {
    ok(!/s%40cret|s@cret|ada/.test(error.message))
    return true
  })
  const basic = Buffer.from('ada:s@cret').toString('base64')
  deepStrictEqual(seen, ['/prometheus/api/v1/query', `Basic ${basic}`])
})

test('the longest scrape interval of the targets counts, and 15 s where there are none', async (context) => {
  const targets = (intervals: readonly string[]): unknown => ({
    status: 'success',
    data: { activeTargets: intervals.map((scrapeInterval) => ({ scrapeInterval })) },
  })
  for (const [intervals, expected] of [
    [['1s', '5s'], 5],
    [['1m30s'], 90],
    [[], 15],
  ] as const) {
    const url = await serve(context, answering(targets(intervals)))
    strictEqual(await openPrometheusApi(url).scrapeIntervalS(), expected)
  }
  strictEqual(durationS('1h0m2.5s'), 3_602.5)
  strictEqual(durationS('500ms'), 0.5)
  strictEqual(durationS('soon'), 0)
})
