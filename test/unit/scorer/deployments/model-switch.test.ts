import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import type { Choice, Deployment } from '../../../../services/core/control/deployment.ts'
import { SluiceError } from '../../../../services/core/errors.ts'
import { openLogger } from '../../../../services/platform/log.ts'
import { createScorerTelemetry } from '../../../../services/platform/metrics/scorer-telemetry.ts'
import { ModelSwitch } from '../../../../services/scorer/deployments/model-switch.ts'
import { ServedModels } from '../../../../services/scorer/deployments/served-models.ts'
import { digestOf, namedModel, policyOfTest, type NamedModel } from './named-model.ts'
import { seriesOf } from '../../../../services/cli/metrics-page.ts'

function setUp(broken: readonly string[] = []) {
  const configured = namedModel('own')
  const served = new ServedModels(configured, policyOfTest)
  const telemetry = createScorerTelemetry()
  const opened: NamedModel[] = []
  const shadow = {
    model: null as NamedModel | null,
    get digest() {
      return this.model?.info.digest ?? null
    },
    set(model: unknown) {
      this.model = model as NamedModel | null
    },
  }
  const names = ['own', 'one', 'two', 'three']
  let switched = 0
  const models = new ModelSwitch({
    open: async (choice: Choice) => {
      // Asynchronous, like reading a folder.
      await Promise.resolve()
      const name = choice === null ? 'own' : names.find((each) => digestOf(each) === choice)
      if (name === undefined) throw new SluiceError('SLUICE_MODEL_NOT_FOUND', 'It is not there.')
      if (broken.includes(name)) throw new SluiceError('SLUICE_MODEL_CORRUPT', 'It is damaged.')
      const model = namedModel(name)
      opened.push(model)
      return model
    },
    configuredDigest: configured.info.digest,
    served,
    shadow,
    onSwitched: () => {
      switched += 1
    },
    telemetry,
    log: openLogger('test', 'silent', 'json'),
  })
  const refusals = async () =>
    seriesOf(await telemetry.registry.metrics(), 'sluice_model_refused')
      .filter(({ value }) => value === 1)
      .map(({ labels }) => `${labels['role'] ?? ''} ${labels['reason'] ?? ''}`)
  return { models, served, shadow, opened, refusals, switches: () => switched }
}

function deployment(active: string | null, more: Partial<Deployment> = {}): Deployment {
  return { active: active === null ? null : digestOf(active), shadow: null, earlier: [], ...more }
}

test('what is asked for serves from then on, with the position of the message', async () => {
  const { models, served, switches } = setUp()
  models.want(deployment('one'), 4)
  strictEqual(served.current.model.info.version, 'own')
  await models.settled()
  strictEqual(served.current.model.info.version, 'one')
  strictEqual(served.current.controlPosition, 4)
  models.want(deployment(null), 5)
  await models.settled()
  strictEqual(served.current.model.info.version, 'own')
  strictEqual(switches(), 2)
})

test('of several deployments only the newest is opened when the first is done', async () => {
  const { models, served, opened } = setUp()
  models.want(deployment('one'), 0)
  models.want(deployment('two'), 1)
  models.want(deployment('three'), 2)
  await models.settled()
  strictEqual(served.current.model.info.version, 'three')
  deepStrictEqual(
    opened.map(({ info, closed }) => [info.version, closed]),
    [
      ['one', 1],
      ['three', 0],
    ],
  )
})

test('a model that cannot be opened is refused with its reason, and the old one serves', async () => {
  const { models, served, refusals, switches } = setUp(['one'])
  models.want(deployment('one'), 0)
  await models.settled()
  strictEqual(served.current.model.info.version, 'own')
  strictEqual(served.current.controlPosition, null)
  deepStrictEqual(await refusals(), ['active corrupt'])
  models.want(deployment('unknown'), 1)
  await models.settled()
  deepStrictEqual(await refusals(), ['active not_found'])
  models.want(deployment('two'), 2)
  await models.settled()
  deepStrictEqual(await refusals(), [])
  strictEqual(switches(), 1)
  await models.close()
})

test('a process that starts takes the last model before a refused one', async () => {
  const { models, served, refusals } = setUp(['one', 'two'])
  const earlier = ['two', 'three', 'own'].map(digestOf)
  await models.startWith(deployment('one', { earlier }), 9)
  strictEqual(served.current.model.info.version, 'three')
  strictEqual(served.current.controlPosition, null)
  deepStrictEqual(await refusals(), ['active corrupt'])
  await models.close()
})

test('a shadow comes, goes, and is refused by itself', async () => {
  const { models, served, shadow, refusals } = setUp(['two'])
  models.want(deployment(null, { shadow: digestOf('one') }), 0)
  await models.settled()
  strictEqual(shadow.model?.info.version, 'one')
  models.want(deployment(null, { shadow: digestOf('two') }), 1)
  await models.settled()
  strictEqual(shadow.model.info.version, 'one')
  deepStrictEqual(await refusals(), ['shadow corrupt'])
  models.want(deployment(null), 2)
  await models.settled()
  strictEqual(shadow.model, null)
  strictEqual(served.current.model.info.version, 'own')
  await models.close()
})
