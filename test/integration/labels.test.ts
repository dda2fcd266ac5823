// Goal: a person's finding becomes one label in the partition of its card, however often it is sent, and removes the
// alert from the queue; an unauthorised or invalid label is refused with a reason. Method: real topics, real HTTP.

import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { partitionOf } from '../../services/core/murmur2.ts'
import { readToEnd } from '../../services/platform/kafka/committed-reader.ts'
import { topicName } from '../../services/platform/kafka/topics.ts'
import {
  actingEnvironment,
  alertMessages,
  blockOf,
  metricOf,
  openSender,
  post,
  readTopic,
  releaseOf,
  startCases,
  TOKEN,
} from '../support/acting.ts'
import { eventually } from '../support/poll.ts'
import { startOf } from '../support/services-build.ts'
import { openStream, PARTITION_COUNT, type TestStream } from '../support/streams.ts'

const ROOT = join(import.meta.dirname, '../..')
const READ_TOKEN = 'only-looks-0123456789abcdef'
const FRAUD = { finding: 'confirmed_fraud', reason: 'the holder did not make it' }

interface QueueBody {
  readonly openAlerts: number
  readonly cases: readonly {
    readonly caseId: string
    readonly priority: number
    readonly expectedLossMinor: number
    readonly cards: readonly string[]
    readonly compromisedTerminals: readonly string[]
  }[]
}

async function queueOf(url: string, token = TOKEN): Promise<QueueBody> {
  const response = await fetch(`${url}/queue`, { headers: { authorization: `Bearer ${token}` } })
  strictEqual(response.status, 200)
  return (await response.json()) as QueueBody
}

function labelsOf(stream: TestStream, countMin: number) {
  return readTopic(stream, 'labels', stream.codecs.label, countMin)
}

test('alerts of one terminal form one case, and labelled alerts leave the queue', async (t) => {
  const stream = await openStream(t, 'labels')
  const send = await openSender(t, stream)
  const cases = await startCases(t, stream, { SLUICE_CASES_READ_TOKEN: READ_TOKEN })
  const atTerminal = [1, 2, 3].map((number) =>
    blockOf(`card-${number}`, number, { terminal: 'term-9', amountMinor: 10_000 }),
  )
  const alone = blockOf('card-4', 4, { amountMinor: 500_000, terminal: 'term-1' })
  const gone = blockOf('card-5', 5)
  await send('alerts', alertMessages(stream, [...atTerminal, alone, gone, releaseOf(gone)]))
  await eventually('all alerts are in the queue', async () => {
    const { openAlerts } = await queueOf(cases.url, READ_TOKEN)
    return openAlerts === 4
  })
  const before = await queueOf(cases.url)
  deepStrictEqual(
    before.cases.map(({ priority, expectedLossMinor, cards, compromisedTerminals }) => ({
      priority,
      expectedLossMinor,
      cards,
      compromisedTerminals,
    })),
    [
      { priority: 1, expectedLossMinor: 485_000, cards: ['card-4'], compromisedTerminals: [] },
      {
        priority: 3,
        expectedLossMinor: 29_100,
        cards: ['card-1', 'card-2', 'card-3'],
        compromisedTerminals: ['term-9'],
      },
    ],
  )

  const first = await post(`${cases.url}/labels`, { id: alone.alertId, ...FRAUD })
  strictEqual(first.status, 201)
  const again = await post(`${cases.url}/labels`, { id: 'tx-4', ...FRAUD, reason: 'as I said' })
  deepStrictEqual([again.status, again.body['said']], [200, 'repeated'])
  const open = await post(`${cases.url}/labels`, { id: 'tx-1', ...FRAUD, finding: 'inconclusive' })
  deepStrictEqual([open.status, open.body['isLabel']], [201, false])

  const after = await queueOf(cases.url)
  deepStrictEqual(
    [after.openAlerts, after.cases.map(({ cards }) => cards.join())],
    // Two cards are too few for a compromised terminal.
    [2, ['card-2', 'card-3']],
  )
  const labels = await labelsOf(stream, 1)
  deepStrictEqual(
    labels.map(({ transactionId, card, verdict, source, terminal, eventTimeMs }) => ({
      transactionId,
      card,
      verdict,
      source,
      terminal,
      eventTimeMs,
    })),
    [
      {
        transactionId: 'tx-4',
        card: 'card-4',
        verdict: 'fraud',
        source: 'analyst',
        terminal: 'term-1',
        eventTimeMs: alone.eventTimeMs,
      },
    ],
  )
  let partition = -1
  await readToEnd(
    {
      brokers: stream.brokers,
      name: `test-labels-${stream.streamId}`,
      topics: [topicName(stream.prefix, 'labels')],
      startAt: 'beginning',
    },
    (batch) => {
      partition = batch.partition
    },
  )
  strictEqual(partition, partitionOf(Buffer.from('card-4'), PARTITION_COUNT))
  strictEqual(
    await metricOf(
      cases.metricsPort,
      'sluice_findings_total{finding="confirmed_fraud",said="repeated"}',
    ),
    1,
  )
})

test('a label repeated after a restart, or sent twice at once, is written once', async (t) => {
  const stream = await openStream(t, 'labels')
  const said = { id: 'tx-7', ...FRAUD, card: 'card-7', eventTimeMs: 1_767_225_600_000 }
  const first = await startCases(t, stream)
  const answers = await Promise.all(
    Array.from({ length: 5 }, () => post(`${first.url}/labels`, said, { 'idempotency-key': 'k1' })),
  )
  deepStrictEqual(answers.map(({ status }) => status).toSorted(), [200, 200, 200, 200, 201])
  await first.stop()

  const second = await startCases(t, stream)
  const again = await post(`${second.url}/labels`, said, { 'idempotency-key': 'k1' })
  strictEqual(again.status, 200)
  const contradicts = { ...said, finding: 'genuine' }
  const other = await post(`${second.url}/labels`, contradicts, { 'idempotency-key': 'k1' })
  strictEqual(other.status, 409)
  strictEqual((await labelsOf(stream, 1)).length, 1)
  // A person may correct an earlier finding, under a new key.
  const correction = await post(`${second.url}/labels`, contradicts, { 'idempotency-key': 'k2' })
  strictEqual(correction.status, 201)
  deepStrictEqual(
    (await labelsOf(stream, 2)).map(({ verdict }) => verdict),
    ['fraud', 'genuine'],
  )
})

test('sluice label writes once, and sluice queue shows the open alerts', async (t) => {
  const stream = await openStream(t, 'labels')
  const send = await openSender(t, stream)
  await send('alerts', alertMessages(stream, [blockOf('card-1', 1), blockOf('card-2', 2)]))
  const sluice = (...args: readonly string[]) =>
    spawnSync(process.execPath, startOf('services/cli/main.ts', args), {
      cwd: ROOT,
      encoding: 'utf8',
      env: { ...process.env, NODE_TEST_CONTEXT: undefined, ...actingEnvironment(stream) },
    })
  const say = ['label', 'tx-1', '--verdict', 'fraud', '--reason', 'stolen', '--author', 'ana']
  const first = sluice(...say)
  deepStrictEqual(
    [first.status, first.stdout],
    [0, 'tx-1: confirmed_fraud; label written\n'],
    first.stderr,
  )
  match(sluice(...say).stdout, /known already, nothing written/)
  strictEqual((await labelsOf(stream, 1)).length, 1)
  const unknown = sluice('label', 'tx-99', '--verdict', 'genuine', '--reason', 'called back')
  strictEqual(unknown.status, 2)
  match(unknown.stderr, /--card and --event-time-ms/)

  const queue = JSON.parse(sluice('queue', '--json').stdout) as QueueBody
  deepStrictEqual(
    queue.cases.map(({ cards }) => cards),
    [['card-2']],
  )
  match(sluice('queue').stdout, /1 open cases with 1 alerts\n.*\n.*card card-2/)
})

test('an unauthorised, invalid or too frequent label is refused with a reason, and nothing is written', async (t) => {
  const stream = await openStream(t, 'labels')
  const cases = await startCases(t, stream, {
    SLUICE_CASES_READ_TOKEN: READ_TOKEN,
    // More requests than the refusals below, and few enough that a busy machine exceeds them in a second.
    SLUICE_HTTP_REQUESTS_PER_SECOND_MAX: '20',
  })
  const url = `${cases.url}/labels`
  const good = { id: 'tx-1', ...FRAUD, card: 'card-1', eventTimeMs: 1_767_225_600_000 }
  const tries: readonly [
    what: string,
    status: number,
    problem: string,
    body: unknown,
    headers: Record<string, string>,
  ][] = [
    ['no token', 401, 'unauthorised', good, { authorization: '' }],
    ['a wrong token', 401, 'unauthorised', good, { authorization: 'Bearer 0123456789abcdef' }],
    [
      'a token that may only look',
      403,
      'forbidden',
      good,
      { authorization: `Bearer ${READ_TOKEN}` },
    ],
    ['no JSON', 400, 'malformed', '{"id":', {}],
    ['another type', 415, 'unsupported_media_type', 'id=1', { 'content-type': 'text/plain' }],
    ['too much', 413, 'too_large', { ...good, reason: 'x'.repeat(20_000) }, {}],
    ['no finding', 422, 'invalid', { ...good, finding: undefined }, {}],
    ['an unknown finding', 422, 'invalid', { ...good, finding: 'fraud?' }, {}],
    ['a misspelt field', 422, 'invalid', { ...good, terminall: 'term-1' }, {}],
    ['another author', 422, 'invalid', { ...good, author: 'ben' }, {}],
    ['a card number', 422, 'card_number_suspected', { ...good, card: '4111111111111111' }, {}],
    [
      'a card number in a token',
      422,
      'card_number_suspected',
      { ...good, finding: 'inconclusive', id: 'tok_4111111111111111' },
      {},
    ],
    [
      'a card number in the reason',
      422,
      'card_number_suspected',
      { ...good, finding: 'inconclusive', reason: 'says 4111 1111 1111 1111 was stolen' },
      {},
    ],
    ['an unknown transaction', 404, 'not_found', { id: 'tx-99', ...FRAUD }, {}],
  ]
  for (const [what, status, problem, body, headers] of tries) {
    const answer = await post(url, body, headers)
    strictEqual(answer.status, status, what)
    deepStrictEqual(
      [answer.body['type'], answer.body['status']],
      [`urn:sluice:problem:${problem}`, status],
    )
    ok(!/4111 ?1111/.test(JSON.stringify(answer.body)), what)
  }
  strictEqual((await fetch(`${cases.url}/nowhere`)).status, 404)
  strictEqual((await fetch(url)).status, 405)

  const many = await Promise.all(
    Array.from({ length: 200 }, () => post(url, { id: 'tx-99', ...FRAUD })),
  )
  ok(many.some(({ status }) => status === 429))
  const refused = await metricOf(
    cases.metricsPort,
    'sluice_cases_requests_total{result="too_many_requests"}',
  )
  strictEqual(refused, many.filter(({ status }) => status === 429).length)
  deepStrictEqual(await labelsOf(stream, 0), [])
})
