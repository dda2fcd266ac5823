// Goal: the services deployed alongside the scorers match them, and have no more access than their work needs. Method:
// their manifests are rendered together with an overlay, checked against their published schemas, and compared with
// each other.

import { deepStrictEqual, notStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { VARIABLES } from '../../../services/platform/config/variables.ts'
import { sizeBytes } from '../../support/compose-file.ts'
import { environmentOf, readDockerfile, ROOT, stageOf } from '../../support/dockerfile.ts'
import { schemaMistakes } from '../../support/manifest-schemas.ts'
import { renderKustomization, type JsonObject } from '../../support/manifests.ts'
import {
  at,
  environment,
  one,
  podsOf,
  selects,
  type Selector,
} from '../../support/rendered-pods.ts'

const FOLDER = join(ROOT, 'infra/kubernetes')
const OWNERS = [
  'sluice-enforcer',
  'sluice-receipts',
  'sluice-cases',
  'sluice-forward',
  'sluice-lake',
  'sluice-bridge',
  'sluice-gateway',
]
/** Services of which a second process would fence the first, or be refused. */
const ONE_AT_A_TIME = ['sluice-enforcer', 'sluice-receipts', 'sluice-lake']
/** Services with an HTTP interface, by the variable of its port. */
const ASKED = {
  'sluice-enforcer': 'SLUICE_ENFORCER_PORT',
  'sluice-cases': 'SLUICE_CASES_PORT',
  'sluice-gateway': 'SLUICE_GATEWAY_PORT',
} as const

const optional = renderKustomization(join(FOLDER, 'optional'))
const all = [...renderKustomization(join(FOLDER, 'overlays/cpu')), ...optional]
const pods = podsOf(optional)

function podOf(owner: string) {
  const pod = pods.find((each) => each.owner === owner)
  const [container] = pod?.spec.containers ?? []
  ok(pod !== undefined && container !== undefined, owner)
  return { ...pod, container }
}

const found = (selector: Selector): readonly string[] =>
  podsOf(all)
    .filter((pod) => selects(selector, pod))
    .map(({ owner }) => owner)

test('every manifest fits the schema of its kind, is in the namespace, and is there once', async () => {
  for (const manifest of optional) {
    const name = `${manifest.kind} ${manifest.metadata.name}`
    deepStrictEqual(await schemaMistakes(manifest), [], name)
    strictEqual(manifest.metadata['namespace'], 'sluice', name)
  }
  const names = all.map(({ kind, metadata }) => `${kind} ${metadata.name}`)
  deepStrictEqual(names, [...new Set(names)])
  deepStrictEqual(
    pods.map(({ owner }) => owner),
    OWNERS,
  )
})

test('each file holds one of them with all that is its own, so that a line less takes it away', () => {
  for (const { owner, spec } of pods) {
    one(optional, 'ServiceAccount', owner)
    strictEqual(spec.serviceAccountName, owner)
    one(optional, 'NetworkPolicy', owner)
    deepStrictEqual(found(at(one(optional, 'NetworkPolicy', owner), 'spec', 'podSelector')), [
      owner,
    ])
    deepStrictEqual(found(at(one(optional, 'Deployment', owner), 'spec', 'selector')), [owner])
  }
})

test('no pod has rights, a token, a file system that it can write, or another user than the image', () => {
  const user = stageOf(readDockerfile(), 'cpu').instructions.find(
    ({ keyword }) => keyword === 'USER',
  )?.text
  for (const { spec } of pods) {
    strictEqual(spec.automountServiceAccountToken, false)
    const { runAsNonRoot, runAsUser, runAsGroup, seccompProfile } = spec.securityContext
    strictEqual(runAsNonRoot, true)
    strictEqual(`${String(runAsUser)}:${String(runAsGroup)}`, user)
    deepStrictEqual(seccompProfile, { type: 'RuntimeDefault' })
    for (const { securityContext } of spec.containers)
      deepStrictEqual(securityContext, {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      })
  }
})

test('probes and Prometheus ask the port that the image has, and everybody is scraped', () => {
  const port = Number(environmentOf(stageOf(readDockerfile(), 'cpu'))['SLUICE_METRICS_PORT'])
  for (const { container } of OWNERS.map(podOf)) {
    deepStrictEqual(container.ports?.[0], { name: 'metrics', containerPort: port })
    const { startupProbe, livenessProbe, readinessProbe } = container
    deepStrictEqual(
      [startupProbe, livenessProbe, readinessProbe].map((probe) => probe?.httpGet),
      ['/livez', '/livez', '/readyz'].map((path) => ({ path, port: 'metrics' })),
    )
  }
  deepStrictEqual(
    found(at(one(optional, 'PodMonitor', 'sluice-optional'), 'spec', 'selector')),
    OWNERS,
  )
})

test('what must be one process is one pod, and the old one goes before the new one comes', () => {
  for (const owner of OWNERS) {
    const deployment = one(optional, 'Deployment', owner)
    const isOne = ONE_AT_A_TIME.includes(owner)
    strictEqual(at(deployment, 'spec', 'strategy', 'type'), isOne ? 'Recreate' : 'RollingUpdate')
    if (isOne) strictEqual(at(deployment, 'spec', 'replicas'), 1)
  }
  // A budget for a single pod would only delay the drain of its node.
  const budgets = optional.filter(({ kind }) => kind === 'PodDisruptionBudget')
  const many = OWNERS.filter(
    (owner) => at<number>(one(optional, 'Deployment', owner), 'spec', 'replicas') > 1,
  )
  deepStrictEqual(
    budgets.flatMap((budget) => found(at(budget, 'spec', 'selector'))),
    many,
  )
})

test('only those that are asked can be asked, at the port that they listen on', () => {
  for (const owner of OWNERS) {
    const rules = at<readonly JsonObject[]>(
      one(optional, 'NetworkPolicy', owner),
      'spec',
      'ingress',
    )
    const ports = rules.flatMap((rule) => at<readonly JsonObject[]>(rule, 'ports'))
    const isAsked = owner in ASKED
    deepStrictEqual(
      ports.map(({ port }) => port),
      isAsked ? ['metrics', 'http'] : ['metrics'],
    )
    for (const rule of rules) ok(at<readonly unknown[]>(rule, 'from').length > 0, 'not from all')
  }
  for (const [owner, variable] of Object.entries(ASKED)) {
    const { container } = podOf(owner)
    const { default: port } = VARIABLES[variable]
    deepStrictEqual(container.ports?.[1], { name: 'http', containerPort: port })
    const service = one(optional, 'Service', owner)
    deepStrictEqual(at(service, 'spec', 'ports'), [{ name: 'http', port, targetPort: 'http' }])
    deepStrictEqual(found({ matchLabels: at(service, 'spec', 'selector') }), [owner])
    strictEqual(environment(all, container)[variable.replace('PORT', 'HOST')], '0.0.0.0')
  }
})

test('only the forwarder reaches beyond Kafka, by https, and not the services of the cloud', () => {
  const reaching = optional.filter(
    ({ kind, spec }) => kind === 'NetworkPolicy' && (spec as JsonObject)['egress'] !== undefined,
  )
  deepStrictEqual(
    reaching.map(({ metadata }) => metadata.name),
    ['sluice-forward'],
  )
  const [rule] = at<readonly JsonObject[]>(reaching[0], 'spec', 'egress')
  deepStrictEqual(at(rule, 'ports'), [{ protocol: 'TCP', port: 443 }])
  deepStrictEqual(at(rule, 'to', 0, 'ipBlock', 'except'), ['169.254.0.0/16'])
  // The base allows DNS and Kafka for all.
  for (const policy of ['sluice-names', 'sluice-kafka'])
    for (const owner of OWNERS)
      ok(found(at(one(all, 'NetworkPolicy', policy), 'spec', 'podSelector')).includes(owner))
})

test('secrets are mounted files; connections are encrypted, each with a login of its own', () => {
  const logins = new Set<string>()
  for (const { spec, container } of OWNERS.map(podOf)) {
    const variables = environment(all, container)
    strictEqual(variables['SLUICE_KAFKA_TLS'], 'true')
    strictEqual(variables['SLUICE_KAFKA_SASL_MECHANISM'], 'scram-sha-512')
    logins.add(variables['SLUICE_KAFKA_SASL_USERNAME'] ?? '')
    strictEqual(variables['SLUICE_REDIS_URL'], undefined)
    const files = Object.entries(variables).filter(([name]) => name.endsWith('_FILE'))
    ok(files.length >= 2)
    for (const name of Object.keys(variables))
      ok(name.endsWith('_FILE') || !/PASSWORD|SECRET|_KEY$|TOKEN/.test(name), name)
    const places = [...files, ...container.args.map((word) => ['argument', word] as const)]
    for (const [name, path] of places.filter(([, text]) => text.startsWith('/etc/'))) {
      const mount = container.volumeMounts.find(({ mountPath }) => path.startsWith(`${mountPath}/`))
      const volume = spec.volumes.find((each) => each.name === mount?.name)
      notStrictEqual(volume?.secret, undefined, `${container.name}: ${name}`)
    }
  }
  deepStrictEqual([...logins], OWNERS)
  deepStrictEqual(
    optional.filter(({ kind }) => kind === 'Secret'),
    [],
  )
})

test('the lake is written to a volume that outlives its pod', () => {
  const { spec, container } = podOf('sluice-lake')
  const folder = environment(all, container)['SLUICE_LAKE_FOLDER']
  const mount = container.volumeMounts.find(({ mountPath }) => mountPath === folder)
  const volume = spec.volumes.find(({ name }) => name === mount?.name) as JsonObject | undefined
  one(optional, 'PersistentVolumeClaim', at(volume, 'persistentVolumeClaim', 'claimName'))
  strictEqual(spec.securityContext['fsGroup'], spec.securityContext['runAsGroup'])
})

test('every container asks for what it needs, is held to its memory, and has the version of the package', () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    version: string
  }
  for (const { container } of OWNERS.map(podOf)) {
    const { resources, image, name } = container
    const bytes = (text = ''): number => sizeBytes(text.replace(/i$/, ''))
    ok(bytes(resources.requests['memory']) <= bytes(resources.limits['memory']), name)
    ok(resources.requests['cpu'] !== undefined, name)
    strictEqual(image, `sluice:${version}`)
  }
})
