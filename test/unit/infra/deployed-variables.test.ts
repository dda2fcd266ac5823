// Goal: the services read exactly the variables that Compose, Kubernetes and the image set. Method: the page
// docs/configuration.md, which another test compares with the code.

import { deepStrictEqual, ok } from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { composeText, readCompose } from '../../support/compose-file.ts'
import { documentedVariables } from '../../support/documented-variables.ts'
import { environmentOf, readDockerfile, ROOT, stageOf } from '../../support/dockerfile.ts'
import { renderKustomization, type Manifest } from '../../support/manifests.ts'

/** Rows of the page that a service of Compose or Kubernetes may use: those of the command that it runs. */
const READS: Readonly<Record<string, readonly string[]>> = {
  scorer: ['scorer'],
  'scorer-gpu': ['scorer'],
  alerts: ['alerts'],
  skew: ['skew'],
  enforcer: ['enforce'],
  receipts: ['receipts'],
  cases: ['cases'],
  forwarder: ['forwarder'],
  lake: ['lake'],
  bridge: ['bridge'],
  gateway: ['gateway'],
  producer: ['producer', 'produce'],
  load: ['producer', 'produce'],
  topics: ['topics', 'producer'],
  schemas: ['schemas', 'producer'],
}

/** Variables that docker-compose.yml leaves at their default for a scorer, with the reason. */
const LEFT_AT_DEFAULT: readonly [names: RegExp, reason: string][] = [
  [
    /^SLUICE_(KAFKA|REDIS)_PORT$|^SLUICE_STACK_PROVIDER$/,
    'read by Compose and "sluice up" themselves',
  ],
  [/^SLUICE_FULL$/, 'tests only'],
  [
    /^SLUICE_KAFKA_(TLS|SASL)|^SLUICE_REDIS_(USERNAME|PASSWORD|TLS)/,
    'nothing leaves the network of Compose',
  ],
  [/_FILE$/, 'Compose hands on the variable itself; Kubernetes mounts the file'],
  [/^SLUICE_METRICS_(HOST|PORT)$/, 'set by the image'],
  [/^SLUICE_STORE_CACHE$/, 'the models of Compose are in a folder'],
  [/^SLUICE_(GROUP_ID|STREAM_ID|ALIGNMENT)$/, 'one stream, live'],
  [/^SLUICE_MODEL$/, 'the model that the image brings'],
  [/^SLUICE_FEATURES$/, 'the shipped catalogue, with which that model was trained'],
  [/^SLUICE_(RATES|MISSING_RATE)$/, 'example rates, as the demo; a table is activated by command'],
  [/^SLUICE_BACKEND(_EXPECTED)?$/, 'the fastest that there is; scorer-gpu names its own'],
  [
    /^SLUICE_(UNSCORED_OUTCOME|LEASE_MS|EVENT_AHEAD_MS_MAX|BREAKER_\w+)$/,
    'policy: change it on purpose, not here',
  ],
  [
    /^SLUICE_LEASES_MAX$|^SLUICE_LEASE_GRACE_MS$/,
    'fits any stream until a partition says otherwise',
  ],
  [/^SLUICE_(BATCH|STATE)_|^SLUICE_(SESSION_TIMEOUT_MS|KAFKA_CLIENT)$/, 'measured defaults'],
  [/^SLUICE_GROUP_INSTANCE_ID$/, 'each of several scorers would need a name of its own'],
  [/^SLUICE_LATE_VALUES_MAX$/, 'bounds memory, of which a batch takes as much everywhere'],
  [/^SLUICE_SCORING_THREAD$/, 'the model decides'],
  [/^SLUICE_VERIFY_TIMEOUT_MS$/, 'within the budget of an alert, which is the same everywhere'],
  [/^SLUICE_(LOG_FORMAT)$/, 'JSON where nobody watches, which is so in a container'],
  [/^SLUICE_TRACING_/, 'off: there is no collector here'],
]

const documented = documentedVariables()
const compose = readCompose()

/** True when the page lists the service as a reader of the variable. */
function isReadBy(service: string, variable: string): boolean {
  const row = documented.find(({ name }) => name === variable)
  if (row === undefined) return false
  const readers = READS[service]
  ok(readers !== undefined, `${service} runs a command that this test knows`)
  return row.readBy.includes('all') || readers.some((reader) => row.readBy.includes(reader))
}

const isOurs = (name: string): boolean => name.startsWith('SLUICE_')

interface Deployed {
  readonly where: string
  readonly service: string
  readonly names: readonly string[]
}

function deployedByKubernetes(overlay: string): readonly Deployed[] {
  const manifests = [
    ...renderKustomization(join(ROOT, 'infra/kubernetes/overlays', overlay)),
    ...renderKustomization(join(ROOT, 'infra/kubernetes/optional')),
  ]
  const configMaps = new Map(
    manifests
      .filter(({ kind }) => kind === 'ConfigMap')
      .map(({ metadata, data }) => [metadata.name, Object.keys(data ?? {})]),
  )
  return manifests.flatMap((manifest) =>
    containersOf(manifest).map(({ name, env = [], envFrom = [] }) => ({
      where: `Kubernetes, ${overlay}`,
      service: name,
      names: [
        ...env.map((variable) => variable.name),
        ...envFrom.flatMap(({ configMapRef }) => configMaps.get(configMapRef.name) ?? ['missing']),
      ],
    })),
  )
}

interface Container {
  readonly name: string
  readonly env?: readonly { readonly name: string }[]
  readonly envFrom?: readonly { readonly configMapRef: { readonly name: string } }[]
}

function containersOf({ spec }: Manifest): readonly Container[] {
  const { template } = (spec ?? {}) as unknown as {
    readonly template?: { readonly spec: { readonly containers: readonly Container[] } }
  }
  return template?.spec.containers ?? []
}

const deployed: readonly Deployed[] = [
  ...Object.entries(compose.services).map(([service, { environment = {} }]) => ({
    where: 'docker-compose.yml',
    service,
    names: Object.keys(environment).filter(isOurs),
  })),
  ...['cpu', 'gpu'].flatMap(deployedByKubernetes),
]

test('every variable that is set somewhere is one that this service reads', () => {
  ok(deployed.flatMap(({ names }) => names).length > 0)
  const unread = deployed.flatMap(({ where, service, names }) =>
    names
      .filter((name) => !isReadBy(service, name))
      .map((name) => `${where}: ${service} does not read ${name}`),
  )
  deepStrictEqual(unread, [])
})

test('every variable of the images and every one that Compose asks the environment for is documented', () => {
  const names = documented.map(({ name }) => name)
  const ofImages = ['cpu', 'gpu'].flatMap((stage) =>
    Object.keys(environmentOf(stageOf(readDockerfile(), stage))).filter(isOurs),
  )
  const asked = [...composeText().matchAll(/\$\{(\w+)/g)].map(([, name = '']) => name)
  ok(ofImages.length > 0 && asked.length > 0)
  deepStrictEqual(
    [...ofImages, ...asked].filter((name) => !names.includes(name)),
    [],
  )
})

test('every variable that the scorer reads is set under Compose, or left at its default for a reason', () => {
  const set = new Set(Object.keys(compose.services['scorer']?.environment ?? {}))
  const isLeft = (name: string): boolean => LEFT_AT_DEFAULT.some(([names]) => names.test(name))
  const forgotten = documented
    .map(({ name }) => name)
    .filter((name) => isReadBy('scorer', name) && !set.has(name) && !isLeft(name))
  deepStrictEqual(forgotten, [])
  deepStrictEqual([...set].filter(isLeft), [], 'what is set is not called left')
})

test('a service that nobody told this test about, or a variable that nobody reads, is found', () => {
  ok(!isReadBy('scorer', 'NOT_A_VARIABLE'))
  ok(!isReadBy('alerts', 'SLUICE_REDIS_URL'), 'a subscriber has no business with Redis')
  ok(isReadBy('alerts', 'SLUICE_KAFKA_BROKERS'))
})
