// Goal: the example clients get the same decision, go on at another gateway when one is away, and say what is wrong with
// a payment. Method: both as the programs that the documents show, against a real gateway, scorer, Kafka and Redis.

import { deepStrictEqual, match, strictEqual } from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import type { ScoreAnswer } from '../../services/gateway/api-schemas.ts'
import { claimPorts } from '../support/claims.ts'
import { closeWith } from '../support/cleanup.ts'
import { GATEWAY_TOKEN, PATIENT_DEADLINE_MS, startGateway } from '../support/gateways.ts'
import { startScorer } from '../support/scorer-process.ts'
import { openStream } from '../support/streams.ts'

const CLIENTS = join(import.meta.dirname, '../../docs/examples/gateway')
const PROGRAMS = [
  [process.execPath, 'client.ts'],
  ['python3', 'client.py'],
] as const

async function run(
  [program, file]: (typeof PROGRAMS)[number],
  payment: unknown,
  environment: Readonly<Record<string, string>>,
): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  const child = spawn(program, [join(CLIENTS, file)], {
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, ...environment },
  })
  child.stdin.end(JSON.stringify(payment))
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ])
  return { code, stdout, stderr }
}

test('both clients pass a gateway that is away, get the same decision, and say what is refused', async (t) => {
  const stream = await openStream(t, 'gateway-clients')
  await startScorer(t, stream.patientEnvironment())
  const gateway = await startGateway(t, stream)
  const { ports, release } = await claimPorts(1)
  closeWith(t, release)
  const away = `http://127.0.0.1:${ports[0] ?? 0}`
  const environment = {
    GATEWAY_URLS: `${away},${gateway.url}`,
    GATEWAY_TOKEN,
    DEADLINE_MS: String(PATIENT_DEADLINE_MS),
  }
  const facts = { card: 'card-1', eventTimeMs: Date.now(), amountMinor: 1_999, currency: 'EUR' }
  const payment = { id: 'payment-1', ...facts }
  const answers: ScoreAnswer[] = []
  for (const program of PROGRAMS) {
    const { code, stdout, stderr } = await run(program, payment, environment)
    strictEqual(code, 0, stderr)
    const { action, answer } = JSON.parse(stdout) as { action: string; answer: ScoreAnswer }
    strictEqual(answer.id, payment.id)
    strictEqual(answer.fallback, false)
    strictEqual(action, answer.action)
    answers.push(answer)

    const alone = await run(program, payment, { ...environment, GATEWAY_URLS: away })
    strictEqual(alone.code, 0, alone.stderr)
    deepStrictEqual(JSON.parse(alone.stdout), { action: 'none', answer: null })

    const refused = await run(program, { ...payment, currency: 'euro' }, environment)
    strictEqual(refused.code, 1)
    match(refused.stderr, /currency/)
  }
  deepStrictEqual(answers[0], answers[1])
})
