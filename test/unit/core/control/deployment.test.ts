import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import {
  activated,
  controlOf,
  type Deployment,
  deploymentKindOf,
  deploymentOf,
  EARLIER_MAX,
  NO_DEPLOYMENT,
  rolledBack,
  shadowed,
} from '../../../../services/core/control/deployment.ts'

const A = 'a'.repeat(64)
const B = 'b'.repeat(64)
const WORD = { author: 'jo', reason: 'better', atMs: 5 }

function roundTrip(deployment: Deployment): unknown {
  const control = controlOf(deployment, WORD)
  strictEqual(deploymentKindOf(control), 'model')
  return deploymentOf(control)
}

test('what a message says is what was wanted, the way back included', () => {
  const deployment = activated(activated(NO_DEPLOYMENT, A), B)
  deepStrictEqual(deployment, { active: B, shadow: null, earlier: [A, null] })
  deepStrictEqual(roundTrip(deployment), { ok: true, deployment })
  deepStrictEqual(roundTrip(NO_DEPLOYMENT), { ok: true, deployment: NO_DEPLOYMENT })
})

test('a rollback goes back by one, to the configured model at last, and then no further', () => {
  const deployment = activated(activated(NO_DEPLOYMENT, A), B)
  const once = rolledBack(deployment)
  strictEqual(once?.active, A)
  const twice = rolledBack(once)
  deepStrictEqual(twice, NO_DEPLOYMENT)
  strictEqual(rolledBack(NO_DEPLOYMENT), null)
})

test('the model that is active already is not remembered as an earlier one', () => {
  const deployment = activated(NO_DEPLOYMENT, A)
  strictEqual(activated(deployment, A), deployment)
})

test('a model that becomes active is no longer its own shadow', () => {
  const deployment = shadowed(activated(NO_DEPLOYMENT, A), B)
  strictEqual(deployment.shadow, B)
  strictEqual(activated(deployment, B).shadow, null)
  strictEqual(rolledBack(shadowed(activated(activated(NO_DEPLOYMENT, A), B), A))?.shadow, null)
})

test(`a message remembers at most ${EARLIER_MAX} earlier models`, () => {
  let deployment = NO_DEPLOYMENT
  for (let turn = 0; turn < 3 * EARLIER_MAX; turn += 1)
    deployment = activated(deployment, turn % 2 ? A : B)
  strictEqual(deployment.earlier.length, EARLIER_MAX)
  deepStrictEqual(roundTrip(deployment), { ok: true, deployment })
})

test('a message that cannot be followed says why', () => {
  const control = controlOf(activated(NO_DEPLOYMENT, A), WORD)
  const fault = (change: object): unknown => deploymentOf({ ...control, ...change })
  deepStrictEqual(fault({ activeDigest: '../etc' }), { ok: false, fault: 'bad_digest' })
  deepStrictEqual(fault({ shadowDigest: A.toUpperCase() }), { ok: false, fault: 'bad_digest' })
  deepStrictEqual(fault({ body: '{' }), { ok: false, fault: 'bad_body' })
  deepStrictEqual(fault({ body: '{}' }), { ok: false, fault: 'bad_body' })
  deepStrictEqual(fault({ body: '{"earlier":["x"]}' }), { ok: false, fault: 'bad_body' })
  deepStrictEqual(fault({ body: 'null' }), { ok: false, fault: 'bad_body' })
  deepStrictEqual(fault({ body: null }), { ok: false, fault: 'bad_body' })
  strictEqual(deploymentKindOf({ ...control, subject: 'model/other' }), null)
  strictEqual(deploymentKindOf({ ...control, kind: 'policy' }), null)
  strictEqual(deploymentKindOf(controlOf(NO_DEPLOYMENT, WORD, 'policy')), 'policy')
})
