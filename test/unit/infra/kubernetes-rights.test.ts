// Goal: pods in Kubernetes have the rights that they need, and run the same services as Compose. Method: the rights of
// the Strimzi examples are compared with infra/security/kafka-acls.json, which is tested against a real broker, and
// pods with Compose's services.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { readCompose } from '../../support/compose-file.ts'
import { ROOT } from '../../support/dockerfile.ts'
import { readManifests, renderKustomization, type Manifest } from '../../support/manifests.ts'
import { at, environment, one, podsOf } from '../../support/rendered-pods.ts'

interface Right {
  readonly resource: string
  readonly pattern: string
  readonly name: string
  readonly operations: readonly string[]
}

interface StrimziRight {
  readonly resource: {
    readonly type: string
    readonly name?: string
    readonly patternType?: string
  }
  readonly operations: readonly string[]
}

/** Users of the manifests by role. */
const USERS = {
  scorer: 'sluice-scorer',
  subscriber: 'sluice-alerts',
  'skew-meter': 'sluice-skew',
  enforcer: 'sluice-enforcer',
  'receipts-watch': 'sluice-receipts',
  analyst: 'sluice-cases',
  forwarder: 'sluice-forward',
  lake: 'sluice-lake',
  bridge: 'sluice-bridge',
  gateway: 'sluice-gateway',
}

const manifests = [
  ...renderKustomization(join(ROOT, 'infra/kubernetes/overlays/cpu')),
  ...renderKustomization(join(ROOT, 'infra/kubernetes/optional')),
]
const users = readManifests(join(ROOT, 'infra/kubernetes/examples/strimzi/kafka-users.yaml'))

function rightsOf(role: string): readonly Right[] {
  const file = readFileSync(join(ROOT, 'infra/security/kafka-acls.json'), 'utf8')
  const { roles } = JSON.parse(file) as {
    readonly roles: readonly { readonly role: string; readonly acls: readonly Right[] }[]
  }
  const { SLUICE_GROUP_ID: groupId = '' } = at<Readonly<Record<string, string>>>(
    one(manifests, 'ConfigMap', 'sluice-scorer'),
    'data',
  )
  const acls = roles.find((each) => each.role === role)?.acls ?? []
  return acls.map((acl) => ({
    ...acl,
    name: acl.name
      .replace('${TOPIC_PREFIX}', '')
      .replace('${GROUP_ID}', groupId)
      .replace('${SOURCE_TOPIC}', 'acme.payments'),
  }))
}

const plain = (text: string): string => text.toLowerCase().replaceAll('_', '')

function covers({ resource, operations }: StrimziRight, right: Right): boolean {
  const { type, name = '', patternType = 'literal' } = resource
  const isNamed = patternType === 'prefix' ? right.name.startsWith(name) : right.name === name
  // A right to one name does not cover all names that begin with it.
  const isWide = patternType === 'prefix' || right.pattern === 'LITERAL'
  return (
    plain(type) === plain(right.resource) &&
    isNamed &&
    isWide &&
    right.operations.every((wanted) => operations.map(plain).includes(plain(wanted)))
  )
}

function missingOf(role: string, user: Manifest): readonly string[] {
  const granted = at<readonly StrimziRight[]>(user, 'spec', 'authorization', 'acls')
  return rightsOf(role)
    .filter((right) => !granted.some((each) => covers(each, right)))
    .map(({ resource, name, operations }) => `${operations.join(', ')} ${resource} ${name}`)
}

/** Rights of a user that its role does not have. The right to describe is implied by the right to read or write. */
function needlessOf(role: string, user: Manifest): readonly string[] {
  const granted = at<readonly StrimziRight[]>(user, 'spec', 'authorization', 'acls')
  return granted.flatMap(({ resource, operations }) => {
    const { type, name = '', patternType = 'literal' } = resource
    const pattern = patternType === 'prefix' ? 'PREFIXED' : 'LITERAL'
    const needed = rightsOf(role)
      .filter((right) => plain(right.resource) === plain(type))
      .filter((right) => right.name === name && right.pattern === pattern)
      .flatMap((right) => right.operations.map(plain))
    return operations
      .filter((each) => !(needed.length > 0 && each === 'Describe'))
      .filter((each) => !needed.includes(plain(each)))
      .map((each) => `${each} ${type} ${name}`)
  })
}

for (const [role, name] of Object.entries(USERS)) {
  test(`the Strimzi user ${name} has every right of the role ${role}`, () => {
    ok(rightsOf(role).length > 0)
    const user = one(users, 'KafkaUser', name)
    deepStrictEqual(missingOf(role, user), [])
    // Control: without its topics the same user lacks rights.
    const acls = at<readonly StrimziRight[]>(user, 'spec', 'authorization', 'acls')
    const lesser = acls.filter(({ resource }) => resource.type !== 'topic')
    const changed = { ...user, spec: { authorization: { acls: lesser } } } as unknown as Manifest
    ok(missingOf(role, changed).length > 0)
  })

  test(`the Strimzi user ${name} has no right beyond the role ${role}`, () => {
    const user = one(users, 'KafkaUser', name)
    deepStrictEqual(needlessOf(role, user), [])
    const acls = at<readonly StrimziRight[]>(user, 'spec', 'authorization', 'acls')
    const wider = [
      ...acls,
      { resource: { type: 'topic', name: 'leases' }, operations: ['Delete'] },
      { resource: { type: 'group', name: 'sluice-', patternType: 'prefix' }, operations: ['Read'] },
    ]
    const changed = { ...user, spec: { authorization: { acls: wider } } } as unknown as Manifest
    deepStrictEqual(needlessOf(role, changed), ['Delete topic leases', 'Read group sluice-'])
  })
}

test('what goes on running runs the commands that Compose runs', () => {
  const { services } = readCompose()
  const running = podsOf(manifests).flatMap(({ spec }) => spec.containers)
  ok(running.length >= 9)
  for (const { name, args } of running.filter((each) => each.name !== 'topics')) {
    // Secrets are mounted elsewhere.
    const expected = services[name]?.command?.map((word) =>
      word === '/run/secrets/forward-targets' ? '/etc/sluice/forward/targets.yaml' : word,
    )
    deepStrictEqual(args, expected, name)
  }
})

test('whatever has metrics is a job of the committed Prometheus, too', () => {
  const file = readFileSync(join(ROOT, 'infra/prometheus/prometheus.yml'), 'utf8')
  const { scrape_configs: scraped } = parse(file) as {
    readonly scrape_configs: readonly { readonly job_name: string }[]
  }
  const jobs = scraped.map(({ job_name: name }) => name)
  for (const monitor of ['sluice', 'sluice-optional']) {
    const manifest = one(manifests, 'PodMonitor', monitor)
    const [selected] = at<readonly { readonly values: readonly string[] }[]>(
      manifest,
      'spec',
      'selector',
      'matchExpressions',
    )
    ok(selected !== undefined && selected.values.length > 0)
    for (const name of selected.values) ok(jobs.includes(name), name)
    strictEqual(at(manifest, 'spec', 'jobLabel'), 'app.kubernetes.io/name')
  }
})

test('the skew meter reads Kafka and nothing else, one at a time', () => {
  const pod = podsOf(manifests).find(({ owner }) => owner === 'sluice-skew')
  const [container] = pod?.spec.containers ?? []
  ok(pod !== undefined && container !== undefined)
  deepStrictEqual(
    pod.spec.volumes.map(({ secret }) => secret?.secretName),
    ['sluice-cluster-ca-cert', 'sluice-skew'],
  )
  const variables = environment(manifests, container)
  strictEqual(variables['SLUICE_REDIS_URL'], undefined)
  const deployment = one(manifests, 'Deployment', 'sluice-skew')
  strictEqual(at(deployment, 'spec', 'replicas'), 1)
  strictEqual(at(deployment, 'spec', 'strategy', 'type'), 'Recreate')
})
