import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { tableLine, tableLines } from '../../../services/cli/table.ts'

test('columns are as wide as their widest cell, and no line ends in spaces', () => {
  const rows = [
    ['name', 'count', 'said'],
    ['a', '12', ''],
    ['longer', '3'],
  ]
  deepStrictEqual(tableLines(rows, { align: 'lr', indent: '> ' }), [
    '> name    count  said',
    '> a          12',
    '> longer      3',
  ])
})

test('a row of one cell is a heading over all columns', () => {
  deepStrictEqual(tableLines([['a heading over all'], ['a', 'b']], { indent: '  ' }), [
    'a heading over all',
    '  a  b',
  ])
  deepStrictEqual(tableLines([]), [])
})

test('colours take no place, and a line by itself keeps the least widths', () => {
  const red = '\u001b[31mBLOCK\u001b[0m'
  strictEqual(tableLine([red, 'x'], { widths: [7] }), `${red}    x`)
  strictEqual(tableLine(['too wide', 'x'], { widths: [3] }), 'too wide  x')
})
