import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { ServedModels } from '../../../../services/scorer/deployments/served-models.ts'
import { namedModel, policyOfTest } from './named-model.ts'

test('a batch keeps the model that it began with, and later batches get the new one', () => {
  const [one, two] = [namedModel('one'), namedModel('two')]
  const served = new ServedModels(one, policyOfTest)
  const before = served.take()
  served.replace(two, 7)
  const after = served.take()
  deepStrictEqual(
    [before, after].map(({ model, controlPosition }) => [model.info.version, controlPosition]),
    [
      ['one', null],
      ['two', 7],
    ],
  )
  strictEqual(after.policy.digest, 'policy of two')
})

test('an older model is closed when the last batch that holds it has ended, and not before', () => {
  const [one, two] = [namedModel('one'), namedModel('two')]
  const served = new ServedModels(one, policyOfTest)
  const holds = [served.take(), served.take()]
  served.replace(two, 0)
  holds[0]?.release()
  strictEqual(one.closed, 0)
  holds[1]?.release()
  strictEqual(one.closed, 1)
  strictEqual(two.closed, 0)
})

test('a model that no batch holds is closed at once, and the last one at the end', async () => {
  const [one, two] = [namedModel('one'), namedModel('two')]
  const served = new ServedModels(one, policyOfTest)
  served.replace(two, 0)
  deepStrictEqual([one.closed, two.closed], [1, 0])
  await served.close()
  deepStrictEqual([one.closed, two.closed], [1, 1])
})

test('the same model may be named by another message', () => {
  const served = new ServedModels(namedModel('one'), policyOfTest)
  served.confirm(3)
  strictEqual(served.take().controlPosition, 3)
})
