// Goal: a gateway answers with the decision that stands on the topic, the same one to every repetition, and within its
// deadline otherwise with the marked fallback; what it cannot answer it refuses with a problem that names the field.
// Method: gateways in this process, scorers as processes, real HTTP, Kafka and Redis; outputs read by another reader.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Transaction } from '../../services/core/transaction.ts'
import type { DecisionRecord } from '../../services/core/wire/records.ts'
import type { DecisionAnswer } from '../../services/gateway/api-schemas.ts'
import { ask, blockOfCard, score, scoreBatch, startGateway } from '../support/gateways.ts'
import { BLOCK_ALL, draftVariantOf, temporaryFolder } from '../support/model-variants.ts'
import { followOutputs, type Outputs } from '../support/outputs.ts'
import { eventually } from '../support/poll.ts'
import { startScorer } from '../support/scorer-process.ts'
import { LONG_SESSION, openStream, simulatedEvents, type TestStream } from '../support/streams.ts'

interface Setup {
  readonly stream: TestStream
  readonly outputs: Outputs
  /** Environment of its scorers. */
  readonly environment: Record<string, string>
}

async function setUp(t: TestContext, name: string, isBlocking = false): Promise<Setup> {
  const stream = await openStream(t, name)
  const blocking = {
    SLUICE_MODE: 'enforce',
    SLUICE_MODEL: isBlocking ? draftVariantOf(t, 'block-all', BLOCK_ALL).folder : '',
    SLUICE_MODEL_STORE: temporaryFolder(t, 'store'),
  }
  const environment = stream.patientEnvironment(isBlocking ? blocking : {})
  return { stream, outputs: followOutputs(t, stream), environment }
}

/** Transactions of now, as an authorisation system sends them. */
async function payments(count: number): Promise<readonly Transaction[]> {
  const events = await simulatedEvents(2 * count)
  const transactions = events.flatMap((event) =>
    event.kind === 'transaction' ? [event.transaction] : [],
  )
  const nowMs = Date.now()
  return transactions
    .slice(0, count)
    .map((transaction, index) => ({ ...transaction, eventTimeMs: nowMs - count + index }))
}

/** The first decision on a transaction, once the independent reader has it, and its version. */
async function decisionOn(outputs: Outputs, id: string) {
  const find = () => {
    for (const { batch, partition } of outputs.decisionBatches) {
      const decision = batch.decisions.find(
        (each) => each.transactionId === id && each.revision === 0,
      )
      if (decision !== undefined) return { batch, partition, decision }
    }
    return null
  }
  await outputs.until(`the decision on ${id}`, () => find() !== null)
  const found = find()
  ok(found !== null)
  return found
}

function decidedFields({ outcome, score: value, notScored, reasons, rules }: DecisionRecord) {
  return { outcome, score: value, notScored, reasons, rules }
}

test('an answer is the decision that another reader finds on the topic', async (t) => {
  const { stream, outputs, environment } = await setUp(t, 'gateway', true)
  await startScorer(t, environment)
  const gateway = await startGateway(t, stream)
  for (const transaction of await payments(40)) {
    const { status, body } = await score(gateway, transaction)
    strictEqual(status, 200)
    strictEqual(body.fallback, false)
    const answer: DecisionAnswer = body
    const { batch, partition, decision } = await decisionOn(outputs, transaction.id)
    strictEqual(answer.id, transaction.id)
    deepStrictEqual(
      {
        outcome: answer.outcome,
        score: answer.score,
        notScored: answer.notScored,
        reasons: answer.reasons,
        rules: answer.rules,
      },
      decidedFields(decision),
    )
    deepStrictEqual([answer.partition, answer.offset], [partition, decision.offset])
    deepStrictEqual(answer.versions, {
      model: batch.modelVersion,
      modelDigest: batch.modelDigest,
      policy: batch.policyVersion,
      policyDigest: batch.policyDigest,
      featureList: batch.featureListHash,
    })
    const findAlert = () =>
      outputs.alerts.find(
        ({ transactionId, revision }) => transactionId === transaction.id && revision === 0,
      )
    await outputs.until('its alert', () => findAlert() !== undefined)
    const alert = findAlert()
    deepStrictEqual(
      [answer.action, answer.alertId, answer.lease],
      ['block', alert?.alertId, alert?.lease],
    )
    await eventually('the block is known', async () => {
      const { body: block } = await blockOfCard(gateway, transaction.card)
      return block.blocked
    })
  }
})

test('a repeated transaction gets the same decision from every gateway, and other content is a 409', async (t) => {
  const { stream, outputs, environment } = await setUp(t, 'gateway')
  await startScorer(t, environment)
  const gateway = await startGateway(t, stream)
  const other = await startGateway(t, stream)
  const [transaction, shared] = await payments(2)
  ok(transaction !== undefined && shared !== undefined)
  const withAttributes = { ...transaction, attributes: { tds: 'frictionless', score: 0.5 } }
  const first = await score(gateway, withAttributes)
  strictEqual(first.body.fallback, false)
  const sameInOtherOrder = { ...transaction, attributes: { score: 0.5, tds: 'frictionless' } }
  for (const again of [gateway, other]) {
    await eventually('the other one has read the decision', async () => {
      const { body } = await score(again, sameInOtherOrder)
      return JSON.stringify(body) === JSON.stringify(first.body)
    })
  }
  const later = await startGateway(t, stream)
  deepStrictEqual((await score(later, sameInOtherOrder)).body, first.body)
  for (const changed of [
    { ...withAttributes, amountMinor: transaction.amountMinor + 1 },
    { ...withAttributes, attributes: { tds: 'challenged', score: 0.5 } },
  ]) {
    for (const asked of [gateway, other, later]) {
      const { status, body } = await score(asked, changed)
      deepStrictEqual([status, body.type, body.field], [409, 'urn:sluice:problem:conflict', 'id'])
    }
  }
  const all = await Promise.all([gateway, gateway, other, later].map((each) => score(each, shared)))
  const answer = all[0]?.body
  ok(answer !== undefined)
  for (const { body } of all) deepStrictEqual(body, answer)
  const { body } = await scoreBatch(gateway, [shared, { ...shared, amountMinor: 1 }])
  deepStrictEqual(body.answers[0], answer)
  ok(body.answers[1] !== undefined && 'problem' in body.answers[1])
  strictEqual(body.answers[1].problem.status, 409)
  await decisionOn(outputs, shared.id)
  // Gateways that are asked before they have read a decision write the transaction again; the scorer marks that.
  const decided = outputs.decisionBatches.flatMap(({ batch }) =>
    batch.decisions.filter(({ duplicateOfOffset }) => duplicateOfOffset === null),
  )
  deepStrictEqual(
    decided.map(({ transactionId }) => transactionId).toSorted(),
    [shared.id, transaction.id].toSorted(),
  )
})

test('without a scorer the marked fallback is answered, and the late decision stands on the topic', async (t) => {
  const { stream, outputs, environment } = await setUp(t, 'gateway')
  const scorer = await startScorer(t, { ...environment, ...LONG_SESSION })
  const gateway = await startGateway(t, stream, {
    SLUICE_GATEWAY_FALLBACK_OUTCOME: 'flag',
    SLUICE_GATEWAY_IN_FLIGHT_MAX: '1',
  })
  const [warmUp, late, refused] = await payments(3)
  ok(warmUp !== undefined && late !== undefined && refused !== undefined)
  strictEqual((await score(gateway, warmUp)).body.fallback, false)
  scorer.signal('SIGSTOP')
  const waiting = score(gateway, late, 1_000)
  await eventually('it waits', async () => {
    const { status, headers, body } = await score(gateway, refused, 1)
    if (status !== 429) return false
    deepStrictEqual(
      [headers.get('retry-after'), body.type],
      ['1', 'urn:sluice:problem:too_many_requests'],
    )
    return true
  })
  deepStrictEqual((await waiting).body, {
    id: late.id,
    fallback: true,
    fallbackReason: 'not_decided',
    outcome: 'flag',
    action: 'flag',
  })
  scorer.signal('SIGCONT')
  const { decision } = await decisionOn(outputs, late.id)
  const again = await score(gateway, late)
  strictEqual(again.body.fallback, false)
  deepStrictEqual([again.body.offset, again.body.outcome], [decision.offset, decision.outcome])
})

test('a request without a right, or with a fault, is refused with the field and never with a stack', async (t) => {
  const { stream } = await setUp(t, 'gateway')
  const gateway = await startGateway(t, stream, { SLUICE_GATEWAY_REQUESTS_PER_SECOND_MAX: '40' })
  const url = `${gateway.url}/v1/score`
  const [sound] = await payments(1)
  ok(sound !== undefined)
  const incomplete = { ...sound, currency: undefined }
  const cases: readonly [number, string, string | undefined, unknown][] = [
    [422, 'invalid', 'currency', incomplete],
    [422, 'invalid', 'amountMinor', { ...sound, amountMinor: -1 }],
    [422, 'invalid', 'amuont', { ...sound, amuont: 1 }],
    [422, 'card_number_suspected', 'card', { ...sound, card: '4111111111111111' }],
    [400, 'malformed', undefined, '{"id":'],
    [413, 'too_large', undefined, { ...sound, merchant: 'm'.repeat(20_000) }],
  ]
  for (const [status, code, field, body] of cases) {
    const answer = await ask<{ type: string; field?: string }>(url, { body })
    deepStrictEqual(
      [answer.status, answer.body.type, answer.body.field],
      [status, `urn:sluice:problem:${code}`, field],
    )
    strictEqual(answer.headers.get('content-type'), 'application/problem+json; charset=utf-8')
    ok(!JSON.stringify(answer.body).includes('4111'))
  }
  strictEqual((await ask(url, { body: sound, token: 'a-token-of-nobody-0123456789' })).status, 401)
  strictEqual((await ask(`${url}?deadlineMs=0`, { body: sound })).status, 422)
  strictEqual((await ask(url)).status, 405)
  strictEqual((await ask(`${gateway.url}/elsewhere`)).status, 404)
  const named = await ask(`${gateway.url}/openapi.json`, { headers: { 'x-request-id': 'r-1' } })
  deepStrictEqual([named.status, named.headers.get('x-request-id')], [200, 'r-1'])
  const burst = await Promise.all(
    Array.from({ length: 120 }, () => ask(`${gateway.url}/v1/cards/card-1/block`)),
  )
  const tooMany = burst.find(({ status }) => status === 429)
  strictEqual(tooMany?.headers.get('retry-after'), '1')
})

test('a gateway that ends fails its readiness, and answers what it has accepted', async (t) => {
  const { stream, outputs, environment } = await setUp(t, 'gateway')
  const scorer = await startScorer(t, { ...environment, ...LONG_SESSION })
  const gateway = await startGateway(t, stream, { SLUICE_GATEWAY_DRAIN_MS: '500' })
  const [warmUp, transaction] = await payments(2)
  ok(warmUp !== undefined && transaction !== undefined)
  await score(gateway, warmUp)
  scorer.signal('SIGSTOP')
  const waiting = score(gateway, transaction)
  const ready = `http://127.0.0.1:${gateway.metricsPort}/readyz`
  strictEqual((await fetch(ready)).status, 200)
  const stopped = gateway.stop()
  strictEqual((await fetch(ready)).status, 503)
  scorer.signal('SIGCONT')
  const { body } = await waiting
  strictEqual(body.fallback, false)
  await stopped
  await decisionOn(outputs, transaction.id)
})
