// Goal: an alert is one readable line, and nothing in it can steer the terminal.

import { match, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { alertLine, amountText, wantsColor } from '../../../../services/cli/demo/alert-line.ts'
import { fullAlert, minimalAlert } from '../../core/wire/samples.ts'

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
      reasons: [{ ...reason, text: 'far from home' }],
    },
    false,
  )
  match(line, /^2025-02-03 04:05:06 {2}card-7 +1,234\.56 EUR {2}BLOCK +0\.988 {2}far from home$/)
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
