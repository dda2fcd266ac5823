import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import {
  activated,
  controlOf,
  EARLIER_MAX,
  NO_WISH,
  rolledBack,
  shadowed,
  wishKindOf,
  wishOf,
  type Wish,
} from '../../../../services/core/control/wish.ts'

const A = 'a'.repeat(64)
const B = 'b'.repeat(64)
const WORD = { author: 'jo', reason: 'better', atMs: 5 }

function roundTrip(wish: Wish): unknown {
  const control = controlOf(wish, WORD)
  strictEqual(wishKindOf(control), 'model')
  return wishOf(control)
}

test('what a message says is what was wanted, the way back included', () => {
  const wish = activated(activated(NO_WISH, A), B)
  deepStrictEqual(wish, { active: B, shadow: null, earlier: [A, null] })
  deepStrictEqual(roundTrip(wish), { ok: true, wish })
  deepStrictEqual(roundTrip(NO_WISH), { ok: true, wish: NO_WISH })
})

test('a rollback goes back by one, to the configured model at last, and then no further', () => {
  const wish = activated(activated(NO_WISH, A), B)
  const once = rolledBack(wish)
  strictEqual(once?.active, A)
  const twice = rolledBack(once)
  deepStrictEqual(twice, NO_WISH)
  strictEqual(rolledBack(NO_WISH), null)
})

test('the model that is active already is not remembered as an earlier one', () => {
  const wish = activated(NO_WISH, A)
  strictEqual(activated(wish, A), wish)
})

test('a model that becomes active is no longer its own shadow', () => {
  const wish = shadowed(activated(NO_WISH, A), B)
  strictEqual(wish.shadow, B)
  strictEqual(activated(wish, B).shadow, null)
  strictEqual(rolledBack(shadowed(activated(activated(NO_WISH, A), B), A))?.shadow, null)
})

test(`a message remembers at most ${EARLIER_MAX} earlier models`, () => {
  let wish = NO_WISH
  for (let turn = 0; turn < 3 * EARLIER_MAX; turn += 1) wish = activated(wish, turn % 2 ? A : B)
  strictEqual(wish.earlier.length, EARLIER_MAX)
  deepStrictEqual(roundTrip(wish), { ok: true, wish })
})

test('a message that cannot be followed says why', () => {
  const control = controlOf(activated(NO_WISH, A), WORD)
  const fault = (change: object): unknown => wishOf({ ...control, ...change })
  deepStrictEqual(fault({ activeDigest: '../etc' }), { ok: false, fault: 'bad_digest' })
  deepStrictEqual(fault({ shadowDigest: A.toUpperCase() }), { ok: false, fault: 'bad_digest' })
  deepStrictEqual(fault({ body: '{' }), { ok: false, fault: 'bad_body' })
  deepStrictEqual(fault({ body: '{}' }), { ok: false, fault: 'bad_body' })
  deepStrictEqual(fault({ body: '{"earlier":["x"]}' }), { ok: false, fault: 'bad_body' })
  deepStrictEqual(fault({ body: 'null' }), { ok: false, fault: 'bad_body' })
  deepStrictEqual(fault({ body: null }), { ok: false, fault: 'bad_body' })
  strictEqual(wishKindOf({ ...control, subject: 'model/other' }), null)
  strictEqual(wishKindOf({ ...control, kind: 'policy' }), null)
  strictEqual(wishKindOf(controlOf(NO_WISH, WORD, 'policy')), 'policy')
})
