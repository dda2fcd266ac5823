// Goal: no card number reaches the topics through POST /labels, and the author is the holder of the token.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import type { LabelWriter } from '../../../../services/alerts/cases/label-request.ts'
import { QueueState } from '../../../../services/alerts/cases/queue-state.ts'
import { casesRoutes } from '../../../../services/alerts/cases/routes.ts'
import type { Disposition } from '../../../../services/core/wire/records.ts'
import { openApiServer, type ApiServer } from '../../../../services/platform/http/api-server.ts'
import { systemClock } from '../../../../services/platform/clock.ts'
import { Secret } from '../../../../services/platform/config/secrets.ts'
import { openLogger } from '../../../../services/platform/log.ts'
import { createCodecs } from '../../../../services/core/wire/codecs.ts'
import { FileRegistry } from '../../../../services/platform/registry/file-registry.ts'

const TOKEN = 'ana-token-0123456789'
const LABEL = {
  id: 'tx-1',
  finding: 'inconclusive',
  reason: 'nobody answers the phone',
  card: 'card-1',
  eventTimeMs: 1_767_225_600_000,
}

async function serve(written: Disposition[]): Promise<ApiServer> {
  const writer: LabelWriter = {
    write: (disposition) => {
      written.push(disposition)
      return Promise.resolve('new')
    },
    close: () => Promise.resolve(),
  }
  const clock = systemClock
  const cases = { cardMs: 1, terminalMs: 1, terminalCardsMin: 3 }
  const state = new QueueState({
    topicPrefix: '',
    horizonMs: 1_000,
    cases,
    clock,
    codecs: createCodecs(await new FileRegistry().load()),
  })
  return openApiServer({
    host: '127.0.0.1',
    port: 0,
    tokens: [{ name: 'ana', token: new Secret(TOKEN), right: 'write' }],
    requestsPerSecondMax: 1_000,
    routes: casesRoutes({
      state,
      writer,
      clock,
      catchUp: () => Promise.resolve(),
      telemetry: { findingSaid: () => undefined },
      isReady: () => true,
    }),
    clock,
    log: openLogger('test', 'silent'),
    onAnswered: () => undefined,
  })
}

async function post(port: number, body: object): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://127.0.0.1:${port}/labels`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  return { status: response.status, text: await response.text() }
}

test('POST /labels refuses card numbers in every field, also of a finding that is no label', async (t) => {
  const written: Disposition[] = []
  const api = await serve(written)
  t.after(() => api.close())
  const number = '4111 1111 1111 1111'
  const token = 'tok_4111111111111111'
  for (const finding of ['inconclusive', 'genuine']) {
    for (const change of [
      { reason: `customer says ${number} was stolen` },
      { id: token },
      { card: '4111.1111.1111.1111' },
      { merchant: '%B4111111111111111^DOE/J^2512' },
      { terminal: token },
      { device: token },
      { ipNetwork: token },
    ]) {
      const answer = await post(api.port, { ...LABEL, finding, ...change })
      const problem = JSON.parse(answer.text) as { readonly type: string; readonly field: string }
      deepStrictEqual(
        [answer.status, problem.type, problem.field],
        [422, 'urn:sluice:problem:card_number_suspected', Object.keys(change)[0]],
      )
      ok(!/4111[ .]?1111/.test(answer.text), answer.text)
    }
  }
  deepStrictEqual(written, [])
})

test('the author is the holder of the token, and a request that names one is refused', async (t) => {
  const written: Disposition[] = []
  const api = await serve(written)
  t.after(() => api.close())
  const claimed = await post(api.port, { ...LABEL, author: 'ben' })
  strictEqual(claimed.status, 422)
  ok(claimed.text.includes('"field":"author"'), claimed.text)
  deepStrictEqual(written, [])
  strictEqual((await post(api.port, LABEL)).status, 201)
  deepStrictEqual(
    written.map(({ author }) => author),
    ['ana'],
  )
})
