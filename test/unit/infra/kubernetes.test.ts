// Goal: the manifests are correct as far as that can be tested without a cluster. Method: both overlays are rendered,
// each manifest is checked against its published schema, and then related values are compared.

import { deepStrictEqual, notDeepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { MANIFEST_FILE, prometheusRuleManifest } from '../../../tools/docs/prometheus-rule.ts'
import { partitionCountOf, TOPICS, type Topic } from '../../../services/platform/kafka/topics.ts'
import { STOP_MS_MAX } from '../../../services/scorer/run.ts'
import { sizeBytes } from '../../support/compose-file.ts'
import { environmentOf, readDockerfile, ROOT, stageOf } from '../../support/dockerfile.ts'
import { schemaMistakes } from '../../support/manifest-schemas.ts'
import {
  readManifests,
  renderKustomization,
  type Json,
  type JsonObject,
  type Manifest,
} from '../../support/manifests.ts'
import {
  at,
  environment,
  one,
  podsOf,
  selects,
  type Selector,
} from '../../support/rendered-pods.ts'

const FOLDER = join(ROOT, 'infra/kubernetes')
const OVERLAYS = ['cpu', 'gpu'] as const

/** Workloads with metrics: all that run continuously. */
const MEASURED = ['sluice-scorer', 'sluice-alerts', 'sluice-skew']

const rendered = Object.fromEntries(
  OVERLAYS.map((overlay) => [overlay, renderKustomization(join(FOLDER, 'overlays', overlay))]),
) as Readonly<Record<(typeof OVERLAYS)[number], readonly Manifest[]>>

function partitionsOfJob(manifests: readonly Manifest[]): number {
  const args = at<readonly string[]>(
    one(manifests, 'Job', 'sluice-topics'),
    'spec',
    'template',
    'spec',
    'containers',
    0,
    'args',
  )
  deepStrictEqual(args.slice(0, 2), ['topics', 'create'])
  return Number(args[args.indexOf('--partitions') + 1])
}

for (const overlay of OVERLAYS) {
  const manifests = rendered[overlay]
  const pods = podsOf(manifests)

  test(`${overlay}: every manifest fits the schema of its kind, and has no unknown field`, async () => {
    ok(manifests.length > 0)
    for (const manifest of manifests) {
      const name = `${manifest.kind} ${manifest.metadata.name}`
      deepStrictEqual(await schemaMistakes(manifest), [], name)
    }
  })

  test(`${overlay}: everything but the namespace is in the namespace, and no name is there twice`, () => {
    const names = manifests.map(({ kind, metadata }) => `${kind} ${metadata.name}`)
    deepStrictEqual(names, [...new Set(names)])
    const elsewhere = manifests.filter(
      ({ kind, metadata }) => kind !== 'Namespace' && metadata['namespace'] !== 'sluice',
    )
    deepStrictEqual(elsewhere, [])
  })

  test(`${overlay}: no pod has rights, a token or a file system that it can write`, () => {
    strictEqual(pods.length, 4)
    for (const { owner, spec } of pods) {
      strictEqual(spec.automountServiceAccountToken, false, owner)
      one(manifests, 'ServiceAccount', spec.serviceAccountName)
      strictEqual(spec.securityContext['runAsNonRoot'], true)
      deepStrictEqual(spec.securityContext['seccompProfile'], { type: 'RuntimeDefault' })
      for (const { securityContext } of spec.containers)
        deepStrictEqual(securityContext, {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        })
    }
  })

  test(`${overlay}: the user of the pods is the user of the image`, () => {
    const { instructions } = stageOf(readDockerfile(), overlay)
    const user = instructions.find(({ keyword }) => keyword === 'USER')?.text
    for (const { spec } of pods)
      strictEqual(
        `${String(spec.securityContext['runAsUser'])}:${String(spec.securityContext['runAsGroup'])}`,
        user,
      )
  })

  test(`${overlay}: probes ask pages that the services have, at a port of the container and the image`, () => {
    const port = Number(environmentOf(stageOf(readDockerfile(), overlay))['SLUICE_METRICS_PORT'])
    const probed = pods
      .flatMap(({ spec }) => spec.containers)
      .filter(({ ports }) => ports !== undefined)
    deepStrictEqual(probed.map(({ name }) => name).toSorted(), ['alerts', 'scorer', 'skew'])
    for (const { ports = [], startupProbe, livenessProbe, readinessProbe } of probed) {
      deepStrictEqual(ports, [{ name: 'metrics', containerPort: port }])
      const pages = [startupProbe, livenessProbe, readinessProbe].map((probe) => probe?.httpGet)
      deepStrictEqual(pages, [
        { path: '/livez', port: 'metrics' },
        { path: '/livez', port: 'metrics' },
        { path: '/readyz', port: 'metrics' },
      ])
    }
  })

  test(`${overlay}: a pod gets longer to stop than the scorer takes at most`, () => {
    const scorer = pods.find(({ owner }) => owner === 'sluice-scorer')?.spec
    // No hook runs before SIGTERM, so all of the time is the scorer's.
    strictEqual(scorer?.containers[0]?.lifecycle, undefined)
    ok((scorer?.terminationGracePeriodSeconds ?? 0) * 1_000 >= 2 * STOP_MS_MAX)
  })

  test(`${overlay}: selectors find the pods that they mean`, () => {
    const found = (selector: Selector): readonly string[] =>
      pods.filter((pod) => selects(selector, pod)).map(({ owner }) => owner)
    for (const { owner } of pods.filter(({ owner }) => owner !== 'sluice-topics'))
      deepStrictEqual(found(at(one(manifests, 'Deployment', owner), 'spec', 'selector')), [owner])
    const budget = one(manifests, 'PodDisruptionBudget', 'sluice-scorer')
    deepStrictEqual(found(at(budget, 'spec', 'selector')), ['sluice-scorer'])
    const monitor = one(manifests, 'PodMonitor', 'sluice')
    deepStrictEqual(found(at(monitor, 'spec', 'selector')), MEASURED)
    const spread = pods.flatMap(({ spec }) => spec.topologySpreadConstraints ?? [])
    ok(spread.length > 0)
    for (const { labelSelector } of spread) deepStrictEqual(found(labelSelector), ['sluice-scorer'])
    const selected = (name: string): readonly string[] =>
      found(at(one(manifests, 'NetworkPolicy', name), 'spec', 'podSelector'))
    strictEqual(selected('sluice-default-deny').length, pods.length)
    strictEqual(selected('sluice-kafka').length, pods.length)
    strictEqual(selected('sluice-names').length, pods.length)
    deepStrictEqual(selected('sluice-redis'), ['sluice-scorer'])
    deepStrictEqual(selected('sluice-metrics'), MEASURED)
  })

  test(`${overlay}: the network lets through the ports that the addresses have, and no other`, () => {
    const scorer = pods.flatMap(({ spec }) => spec.containers).find(({ name }) => name === 'scorer')
    ok(scorer !== undefined)
    const variables = environment(manifests, scorer)
    const brokers = (variables['SLUICE_KAFKA_BROKERS'] ?? '').split(',')
    const portsOf = (name: string, way: 'egress' | 'ingress'): readonly Json[] =>
      at<readonly JsonObject[]>(one(manifests, 'NetworkPolicy', name), 'spec', way).flatMap(
        (rule) => at<readonly JsonObject[]>(rule, 'ports').map(({ port = null }) => port),
      )
    deepStrictEqual(portsOf('sluice-kafka', 'egress'), [
      ...new Set(brokers.map((each) => Number(each.split(':')[1]))),
    ])
    const redis = new URL(variables['SLUICE_REDIS_URL'] ?? '')
    deepStrictEqual(portsOf('sluice-redis', 'egress'), [Number(redis.port)])
    deepStrictEqual(portsOf('sluice-names', 'egress'), [53, 53])
    deepStrictEqual(portsOf('sluice-metrics', 'ingress'), ['metrics'])
    const [keda] = at<readonly JsonObject[]>(
      one(manifests, 'ScaledObject', 'sluice-scorer'),
      'spec',
      'triggers',
    )
    strictEqual(at(keda, 'metadata', 'bootstrapServers'), variables['SLUICE_KAFKA_BROKERS'])
    strictEqual(at(keda, 'metadata', 'consumerGroup'), variables['SLUICE_GROUP_ID'])
    ok(TOPICS.includes(at(keda, 'metadata', 'topic')))
  })

  test(`${overlay}: connections are encrypted, and both sides say who they are`, () => {
    for (const container of pods.flatMap(({ spec }) => spec.containers)) {
      const variables = environment(manifests, container)
      strictEqual(variables['SLUICE_KAFKA_TLS'], 'true')
      strictEqual(variables['SLUICE_KAFKA_SASL_MECHANISM'], 'scram-sha-512')
      ok((variables['SLUICE_KAFKA_SASL_USERNAME'] ?? '') !== '')
      const redis = variables['SLUICE_REDIS_URL']
      if (redis !== undefined) strictEqual(new URL(redis).protocol, 'rediss:')
    }
  })

  test(`${overlay}: secrets are mounted files, and each file variable points into a mount`, () => {
    for (const { spec } of pods) {
      for (const container of spec.containers) {
        const variables = environment(manifests, container)
        for (const [name, value] of Object.entries(variables)) {
          ok(!/PASSWORD$|SECRET|_KEY$|TOKEN/.test(name), `${name} would hold the secret itself`)
          if (!name.endsWith('_FILE')) continue
          const mount = container.volumeMounts.find(({ mountPath }) =>
            value.startsWith(`${mountPath}/`),
          )
          const volume = spec.volumes.find((each) => each.name === mount?.name)
          ok(volume?.secret !== undefined, `${container.name}: ${name} is in a mounted secret`)
        }
        for (const { name } of container.volumeMounts)
          ok(
            spec.volumes.some((volume) => volume.name === name),
            `${container.name} mounts ${name}`,
          )
      }
    }
    deepStrictEqual(
      manifests.filter(({ kind }) => kind === 'Secret'),
      [],
    )
  })

  test(`${overlay}: no more scorers than partitions, slow to shrink, and none by a fixed number`, () => {
    const scaled = one(manifests, 'ScaledObject', 'sluice-scorer')
    strictEqual(at(scaled, 'spec', 'maxReplicaCount'), partitionsOfJob(manifests))
    ok(at<number>(scaled, 'spec', 'minReplicaCount') >= 1)
    ok(at<number>(scaled, 'spec', 'cooldownPeriod') >= 300)
    const target = at<string>(scaled, 'spec', 'scaleTargetRef', 'name')
    strictEqual(at<JsonObject>(one(manifests, 'Deployment', target), 'spec')['replicas'], undefined)
    const authentication = at<string>(scaled, 'spec', 'triggers', 0, 'authenticationRef', 'name')
    one(manifests, 'TriggerAuthentication', authentication)
  })

  test(`${overlay}: every container asks for what it needs and is held to its memory`, () => {
    for (const { name, resources } of pods.flatMap(({ spec }) => spec.containers)) {
      const bytes = (text = ''): number => sizeBytes(text.replace(/i$/, ''))
      ok(bytes(resources.requests['memory']) <= bytes(resources.limits['memory']), name)
      ok(resources.requests['cpu'] !== undefined, name)
    }
  })

  test(`${overlay}: images carry the version of the package`, () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      version: string
    }
    const images = pods
      .flatMap(({ spec }) => spec.containers)
      .map(({ name, image }) => [name, image])
    deepStrictEqual(Object.fromEntries(images), {
      topics: `sluice:${version}`,
      scorer: overlay === 'gpu' ? `sluice:${version}-gpu` : `sluice:${version}`,
      alerts: `sluice:${version}`,
      skew: `sluice:${version}`,
    })
  })
}

test('a scorer on a GPU has one, goes where they are, and says when it scores without', () => {
  const scorer = podsOf(rendered.gpu).find(({ owner }) => owner === 'sluice-scorer')?.spec
  const [container] = scorer?.containers ?? []
  ok(container !== undefined)
  strictEqual(container.resources.limits['nvidia.com/gpu'], '1')
  deepStrictEqual(scorer?.nodeSelector, { 'nvidia.com/gpu.present': 'true' })
  const variables = environment(rendered.gpu, container)
  strictEqual(variables['SLUICE_BACKEND_EXPECTED'], 'tensorflow-gpu')
  strictEqual(variables['SLUICE_BACKEND'], 'tensorflow')
  const [ofCpu] =
    podsOf(rendered.cpu).find(({ owner }) => owner === 'sluice-scorer')?.spec.containers ?? []
  deepStrictEqual(container.readinessProbe, ofCpu?.readinessProbe, 'all else stays as it is')
})

test('a mistake in a manifest is found: a wrong type, a missing field, an unknown field at any depth', async () => {
  const deployment = one(rendered.cpu, 'Deployment', 'sluice-scorer')
  const container = at<JsonObject>(deployment, 'spec', 'template', 'spec', 'containers', 0)
  const withContainer = (changed: JsonObject): Manifest => {
    const copy = structuredClone(deployment) as unknown as {
      spec: { template: { spec: { containers: unknown } } }
    }
    copy.spec.template.spec.containers = [changed]
    return copy as unknown as Manifest
  }
  const nameless = Object.fromEntries(Object.entries(container).filter(([name]) => name !== 'name'))
  const broken = [
    { ...deployment, sepc: {} },
    withContainer({ ...container, args: 'scorer' }),
    withContainer(nameless),
    withContainer({ ...container, readynessProbe: {} }),
    { ...one(rendered.cpu, 'ScaledObject', 'sluice-scorer'), spec: { triggers: [] } },
    { ...deployment, kind: 'Deployments' },
  ]
  for (const manifest of broken) notDeepStrictEqual(await schemaMistakes(manifest), [])
})

test('the PrometheusRule holds the rules of infra/prometheus', async () => {
  strictEqual(
    readFileSync(MANIFEST_FILE, 'utf8'),
    await prometheusRuleManifest(),
    'run: npm run node -- tools/docs/prometheus-rule.ts',
  )
})

test('the Strimzi examples make every topic, with the partitions of the Job', () => {
  const topics = readManifests(join(FOLDER, 'examples/strimzi/kafka-topics.yaml'))
  deepStrictEqual(topics.map(({ metadata }) => metadata.name).toSorted(), [...TOPICS].toSorted())
  for (const topic of topics)
    strictEqual(
      at(topic, 'spec', 'partitions'),
      partitionCountOf(topic.metadata.name as Topic, partitionsOfJob(rendered.cpu)),
      topic.metadata.name,
    )
})

test('the Strimzi examples have a user for every login of the manifests', () => {
  const users = readManifests(join(FOLDER, 'examples/strimzi/kafka-users.yaml')).map(
    ({ metadata }) => metadata.name,
  )
  const all = [...rendered.cpu, ...renderKustomization(join(FOLDER, 'optional'))]
  const logins = podsOf(all).flatMap(({ spec }) =>
    spec.containers.map((each) => environment(all, each)['SLUICE_KAFKA_SASL_USERNAME']),
  )
  const keda = at<readonly JsonObject[]>(
    one(rendered.cpu, 'TriggerAuthentication', 'sluice-keda'),
    'spec',
    'secretTargetRef',
  ).find(({ parameter }) => parameter === 'password')
  deepStrictEqual(users.toSorted(), [...logins, keda?.['name']].toSorted())
})
