// Goal: an alert is one readable line, and no part of it can control the terminal.

import { match, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import {
  alertLine,
  amountText,
  receiptLine,
  wantsColor,
  whyNotLine,
} from '../../../services/cli/alert-line.ts'
import { fullAlert, minimalAlert } from '../core/wire/samples.ts'

const [reason] = fullAlert.reasons

test('a line has time, card, amount with currency, action, score and the first reason', () => {
  if (reason === undefined) throw new Error('The sample has a reason.')
  const line = alertLine(
    {
      ...fullAlert,
      eventTimeMs: Date.UTC(2025, 1, 3, 4, 5, 6),
      card: 'card-7',
      amountMinor: 123_456,
      currency: 'EUR',
      action: 'block',
      score: 0.98765,
      cause: null,
      rules: [],
      reasons: [{ ...reason, text: 'far from home' }],
    },
    false,
  )
  match(line, /^2025-02-03 04:05:06 {2}card-7 +1,234\.56 EUR {2}BLOCK +0\.988 {2}far from home$/)
})

test('a rule that fired comes before what the model says, and a later word says why it was said', () => {
  const blocked = { ...fullAlert, action: 'block', cause: null } as const
  match(alertLine(blocked, false), /Nine payments in one hour\.$/)
  match(
    alertLine({ ...blocked, cause: 'extended' }, false),
    /extended by new evidence, until 2018-/,
  )
  match(alertLine({ ...blocked, action: 'release', cause: 'expired' }, false), /its time is over$/)
})

test('below a block stands what would have made it milder, below a later word nothing', () => {
  const blocked = { ...fullAlert, action: 'block', cause: null } as const
  match(whyNotLine(blocked) ?? '', /^ +With 2 payments in one hour/)
  strictEqual(whyNotLine({ ...blocked, cause: 'extended' }), null)
  strictEqual(whyNotLine({ ...blocked, counterfactual: null }), null)
})

test('a receipt says what was done with which card, and why not', () => {
  const alert = { ...minimalAlert, card: 'card-\u001b7', action: 'block' } as const
  match(
    receiptLine(alert, { status: 'too_late', reason: 'lease_over' }),
    /^ +receipt: block of card-\?7 too late \(lease over\)$/,
  )
  match(
    receiptLine({ ...alert, action: 'release' }, { status: 'applied', reason: null }),
    /release of card-\?7 applied$/,
  )
})

test('an alert without score or reason says so instead of showing zero', () => {
  const line = alertLine({ ...minimalAlert, score: null, reasons: [] }, false)
  match(line, /none .*not scored$/)
})

test('amounts are written with the digits of their currency', () => {
  strictEqual(amountText(12_345, 'EUR'), '123.45')
  strictEqual(amountText(12_345, 'JPY'), '12,345')
  strictEqual(amountText(12_345, 'KWD'), '12.345')
  strictEqual(amountText(5, 'EUR'), '0.05')
})

test('control characters of a reason or a card do not reach the terminal', () => {
  if (reason === undefined) throw new Error('The sample has a reason.')
  const text = 'a\u001b[2J\r\nb\u009b'
  const line = alertLine({ ...fullAlert, card: text, reasons: [{ ...reason, text }] }, false)
  strictEqual(/\p{Cc}/u.test(line), false)
})

test('colour is for terminals, and not against NO_COLOR', () => {
  strictEqual(wantsColor(true, {}), true)
  strictEqual(wantsColor(true, { NO_COLOR: '' }), true)
  strictEqual(wantsColor(true, { NO_COLOR: '1' }), false)
  strictEqual(wantsColor(false, {}), false)
  ok(alertLine(fullAlert, true).includes('\u001b['))
  ok(!alertLine(fullAlert, false).includes('\u001b['))
})
