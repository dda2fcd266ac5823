// Goal: JSON and lines of CSV are decoded, and what is neither is refused. Method: examples, and a property over cells.

import { deepStrictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { MappingRefusal } from '../../../../services/core/mapping/mapping-refusal.ts'
import {
  csvCells,
  csvDecoder,
  jsonDecoder,
} from '../../../../services/core/mapping/message-decoder.ts'
import { holds } from '../../../support/property.ts'

const isRefusal = (reason: string) => (error: unknown) =>
  error instanceof MappingRefusal && error.reason === reason

test('JSON is decoded plain, and with framing behind the id of a schema', () => {
  const plain = jsonDecoder({ framing: 'none' })
  const framed = jsonDecoder({ framing: 'confluent' })
  const bytes = Buffer.from('{"a":"서울"}')
  deepStrictEqual(plain.decode(bytes), { a: '서울' })
  deepStrictEqual(framed.decode(Buffer.concat([Buffer.from([0, 0, 0, 0, 7]), bytes])), {
    a: '서울',
  })
  throws(() => framed.decode(bytes), isRefusal('not_framed'))
  throws(() => plain.decode(Buffer.from('{"a":')), isRefusal('malformed'))
  throws(() => plain.decode(Buffer.from([0x22, 0xff, 0x22])), isRefusal('malformed'))
  throws(() => plain.decode(Buffer.from('['.repeat(500_000))), isRefusal('malformed'))
})

test('a line of CSV has its columns, quoted as usual', () => {
  const decoder = csvDecoder({ columns: ['a', 'b'], delimiter: ';' })
  deepStrictEqual(decoder.decode(Buffer.from('1;"x;""y"""\r\n')), { a: '1', b: 'x;"y"' })
  deepStrictEqual(decoder.decode(Buffer.from(';')), { a: '', b: '' })
  for (const line of ['1', '1;2;3', '"1;2', '1;"2"3', '1;2"'])
    throws(() => decoder.decode(Buffer.from(line)), isRefusal('malformed'), line)
})

test('cells that are quoted where they must be come back', () => {
  const cell = fc.string().filter((text) => !/[\r\n]/.test(text))
  holds(
    300,
    fc.property(fc.array(cell, { minLength: 1 }), (cells) => {
      const line = cells
        .map((text) => (/[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text))
        .join(',')
      deepStrictEqual(csvCells(line, ','), cells)
    }),
  )
})
