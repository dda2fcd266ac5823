import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { isSluiceError } from '../../../../services/core/errors.ts'
import {
  checkFields,
  findMapping,
  mappingText,
  parseFieldList,
} from '../../../../services/core/files/column-mapping.ts'

test('common column names are found whatever their case and separators', () => {
  const header = ['TX-ID', 'tx_datetime', 'Customer ID', 'TERMINAL_ID', 'TxAmount', 'is_fraud', 'x']
  deepStrictEqual(findMapping('f.csv', header, {}, {}), {
    id: 'TX-ID',
    eventTime: 'tx_datetime',
    card: 'Customer ID',
    terminal: 'TERMINAL_ID',
    amount: 'TxAmount',
    label: 'is_fraud',
  })
})

test('a given column wins over a derived one, and a constant over both', () => {
  const header = ['card', 'customer', 'time', 'amount', 'currency']
  const mapping = findMapping('f.csv', header, { card: 'customer' }, { currency: 'GBP' })
  deepStrictEqual(mapping, { card: 'customer', eventTime: 'time', amount: 'amount' })
  strictEqual(mappingText(mapping), 'card=customer,eventTime=time,amount=amount')
})

test('a missing field is an error that suggests a mapping', () => {
  throws(
    () => findMapping('f.csv', ['source_id', 'amount', 'when'], {}, {}),
    (error) =>
      isSluiceError(error, 'SLUICE_INPUT_INVALID') &&
      error.message.includes('no column for eventTime') &&
      error.message.includes('--map card=source_id,amount=amount,eventTime=COLUMN'),
  )
})

test('a given column that does not exist is named', () => {
  throws(
    () => findMapping('f.csv', ['card', 'time', 'amount'], { device: 'phone' }, {}),
    (error) =>
      isSluiceError(error, 'SLUICE_INPUT_INVALID') &&
      error.message.includes('"phone"') &&
      error.message.includes('device=phone'),
  )
})

test('a file without a header line shows no digits of its data', () => {
  try {
    findMapping('f.csv', ['4111111111111111', '2018-07-25', '10.00'], {}, {})
    ok(false, 'must throw')
  } catch (error) {
    ok(isSluiceError(error, 'SLUICE_INPUT_INVALID'))
    ok(!error.message.includes('4111') && !JSON.stringify(error.details).includes('4111'))
  }
})

test('field lists are read, and mistakes in them are named', () => {
  deepStrictEqual(parseFieldList('--map', 'card=a, amount=b=c'), { card: 'a', amount: 'b=c' })
  const mistakes: readonly [string, string][] = [
    ['kard=a', '"kard" is not a field'],
    ['card=a,card=b', '"card" is given twice'],
    ['card=', '"card" has no value'],
    ['card', '"card" has no value'],
  ]
  for (const [text, problem] of mistakes) {
    throws(
      () => parseFieldList('--map', text),
      (error) => isSluiceError(error, 'SLUICE_USAGE') && error.message.includes(problem),
      text,
    )
  }
  throws(() => checkFields('--map m.json', [['card', 7]]), /"card" has no value/)
})
