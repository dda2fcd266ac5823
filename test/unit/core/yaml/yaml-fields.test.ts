import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  faultSentence,
  openYaml,
  type YamlFields,
} from '../../../../services/core/yaml/yaml-fields.ts'

/** The faults found when the document is read this way. */
function faultsOf(
  text: string,
  read: (root: YamlFields) => void,
  showsValues = true,
): readonly string[] {
  const { root, faults } = openYaml(text, { showsValues })
  if (root !== null) {
    read(root)
    root.end()
  }
  return faults.all.map(faultSentence)
}

function readAll(root: YamlFields): void {
  root.name('name', 8)
  root.number('count', 0, 9, true)
  root.oneOf('word', ['yes', 'no'])
  root.flag('flag', true)
  root.words('words', ['a', 'b'])
  root.matching('url', /^https:/, 'a URL with https')
  root.texts('texts', /^[a-z]+$/, 'lower-case words', 3)
  root.object('inner', (fields) => fields.text('text', 5))
}

test('where values may be secret, no fault of any field repeats what stands in it', () => {
  const secret = fc.stringMatching(/^[A-Z]{12}$/)
  fc.assert(
    fc.property(secret, (value) => {
      const names = ['name', 'count', 'word', 'flag', 'url', 'inner']
      const text = [
        ...names.map((name) => `${name}: ${value}`),
        `words: [${value}]`,
        `texts: [${value}]`,
      ].join('\n')
      const hidden = faultsOf(text, readAll, false)
      strictEqual(hidden.length, names.length + 2)
      ok(!hidden.join('\n').includes(value), hidden.join('\n'))
      // Control: values that are not secret are shown, since that helps.
      ok(faultsOf(text, readAll).join('\n').includes(value))
    }),
    { numRuns: 50 },
  )
})

test('what is no mapping has one fault, not one more for each field that it cannot have', () => {
  const readItems = (root: YamlFields): void => {
    root.objects('items', 3, (item) => {
      item.name('name', 8)
      item.number('count', 0, 9)
    })
  }
  deepStrictEqual(faultsOf('items: [1, {name: a, count: 1}]', readItems), [
    'line 1: items[0] must be a mapping of fields',
  ])
})

test('a list that must have entries may be neither empty nor absent; any other may', () => {
  const read = (lengthMin: number) => (root: YamlFields) => {
    root.objects('items', 3, (item) => item.flag('on', true), lengthMin)
  }
  for (const text of ['items: []', 'other: 1', 'items: [{}, {}, {}, {}]']) {
    const [fault = ''] = faultsOf(text, read(1)).filter((line) => line.includes('items'))
    ok(fault.endsWith('must be a list of 1 to 3 entries'), fault)
  }
  deepStrictEqual(faultsOf('items: []', read(0)), [])
  deepStrictEqual(faultsOf('{}', read(0)), [])
})

test('a list of texts holds each once, and only such as are asked for', () => {
  const read = (root: YamlFields): void => {
    root.textsOr('texts', /^[a-z]+$/, 'words', 2, null)
  }
  for (const text of ['[]', '[a, a]', '[a, B]', '[a, b, c]', '[a, 1]', 'a']) {
    strictEqual(faultsOf(`texts: ${text}`, read).length, 1, text)
  }
  deepStrictEqual(faultsOf('texts: [b, a]', read), [])
  deepStrictEqual(faultsOf('{}', read), [])
})
