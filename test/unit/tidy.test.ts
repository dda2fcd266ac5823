// Goal: the rules of this repository that no linter knows. Method: each rule reads the files as text. Each rule comes
// with a file that breaks it and must be found, so that no rule passes by checking nothing. An exception has a reason,
// and must still be needed.

import { deepStrictEqual, notDeepStrictEqual, ok } from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const LINES_MAX = 600
const OPENING_LINES_MIN = 30
const LUA_HEADER_LINES_MAX = 12

interface SourceFile {
  /** Relative to the repository root, with forward slashes. */
  readonly path: string
  readonly text: string
}

interface Rule {
  /** A sentence; it is the name of the test. */
  readonly rule: string
  readonly files: RegExp
  /** The faults of a file; empty when there are none. */
  readonly check: (file: SourceFile) => readonly string[]
  /** Each text breaks the rule, in a file of this path. */
  readonly broken: { readonly path: string; readonly texts: readonly string[] }
  /** Paths that may break the rule, with the reason. */
  readonly exceptions?: Readonly<Record<string, string>>
}

const root = join(import.meta.dirname, '../..')
const files = listFiles()

function listFiles(): readonly SourceFile[] {
  const isSkipped = /^(node_modules|dist|coverage|\.git|\.sluice)$/
  const paths: string[] = []
  const walk = (folder: string): void => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`
      if (folder === '' && isSkipped.test(entry.name)) continue
      if (entry.isDirectory()) walk(path)
      // This file quotes what is forbidden; logs and summaries at the top are not part of the repository.
      else if (!/\.(bin|log)$|^out\.json$|^test\/unit\/tidy\.test\.ts$/.test(path)) paths.push(path)
    }
  }
  walk('')
  return paths.map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }))
}

/** Removes comments, since a comment may mention what the code must not do. */
function codeOf({ text }: SourceFile): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1')
}

/**
 * Words for which the field has better ones: lane (partition), wish (deployment), live block (active block), board
 * (dashboard), rehearsal (backtest), truth book (ground truth), cut (frontier), standing (status), answering reader
 * (transactional consumer), once led (waitForLeader), bring near (prefetch), kept smallest (KmvSketch).
 */
const REPLACED_WORDS =
  /(^|[-_./])(lanes?|wish(es)?|boards?|rehears(e|al|ed)|truth-?book|standings?|live[-_]blocks?|decision[-_]blocks?|answering|once-led|ask-again|port-speech|bring-near|kept-smallest|touched|operator-words?|marks-shown)(?=$|[-_./])/i

/** The name of a file, and the names of its exports. */
function namesOf(file: SourceFile): readonly string[] {
  const exported =
    /^export (?:async )?(?:abstract )?(?:function\*?|class|const|interface|type) (\w+)/gm
  const base = file.path.split('/').at(-1) ?? file.path
  return [base, ...[...codeOf(file).matchAll(exported)].map(([, name = '']) => name)]
}

/** Every match of the pattern in the code. */
function uses(pattern: RegExp): (file: SourceFile) => readonly string[] {
  return (file) => [...codeOf(file).matchAll(new RegExp(pattern, 'g'))].map(([found]) => found)
}

/** Every match in the file, comments included. */
function holds(pattern: RegExp): (file: SourceFile) => readonly string[] {
  return ({ text }) => [...text.matchAll(new RegExp(pattern, 'g'))].map(([found]) => found)
}

/** Imports, static and dynamic, including types: a type also ties a file to a package. */
function imports(packages: string): RegExp {
  return new RegExp(`(?:from|import)\\s*\\(?\\s*['"](?:${packages})['"]`)
}

function codeLines(file: SourceFile): number {
  return codeOf(file)
    .split('\n')
    .filter((line) => line.trim() !== '').length
}

/** Every metric that a file creates. */
function metricsMade(
  file: SourceFile,
): readonly { readonly kind: string; readonly name: string }[] {
  const made =
    /\b(?:bulk)?([cC]ounter|[gG]auge|[hH]istogram|Summary)(?:<[^>]*>)?\(\s*(?:\{\s*name:\s*)?['"`]([^'"`]*)/g
  return [...codeOf(file).matchAll(made)].map(([, kind = '', name = '']) => ({
    kind: kind.toLowerCase(),
    name,
  }))
}

function isGoodMetric({ kind, name }: { readonly kind: string; readonly name: string }): boolean {
  if (!/^sluice(_[a-z0-9]+)+$/.test(name) || /_(ms|milliseconds|kb|mb)(_|$)/.test(name))
    return false
  return name.endsWith('_total') === (kind === 'counter')
}

const TYPESCRIPT = /\.ts$/
const SERVICES = /^(services|tools)\/.*\.ts$/
const CODE = /^(services|tools|test|infra)\/.*\.(ts|mjs)$/

const RULES: readonly Rule[] = [
  {
    rule: 'core reads no clock, no chance, no environment and no outside world by itself',
    files: /^services\/core\/.*\.ts$/,
    check: uses(
      /Date\.now\(|new Date\(\)|performance\.|Math\.random\(|random(?:Bytes|UUID|Int)\b|\bprocess\.|console\.|set(?:Timeout|Interval|Immediate)\(|import\.meta|\bfetch\(|['"]node:(?:fs|os|net|http|https|dns|tls|child_process|worker_threads|timers|process)/,
    ),
    broken: {
      path: 'services/core/a.ts',
      texts: [
        'const now = Date.now()',
        'const share = Math.random()',
        "const url = process.env['URL']",
        "console.log('a')",
        'setTimeout(stop, 5)',
        "import { readFileSync } from 'node:fs'",
      ],
    },
  },
  {
    rule: 'JSON is parsed only where bytes from outside are turned into checked values',
    files: SERVICES,
    check: uses(/JSON\.parse\(/),
    broken: { path: 'services/scorer/a.ts', texts: ['const value = JSON.parse(text) as Config'] },
    exceptions: {
      'tools/bench/bench-servers.ts': 'what processes of the benchmark print',
      'tools/bench/machine.ts': 'package.json of a dependency, for its version',
      'tools/bench/profile-summary.ts': 'a profile that Node wrote',
      'tools/dashboards/dashboard-files.ts': 'our own dashboards',
      'tools/dashboards/preview/dashboard-files.ts': 'the committed dashboards',
      'services/cli/commands/produce.ts': 'column mapping given by a person',
      'services/cli/model/gate.ts': 'the rule of the fairness gate, given by a person',
      'services/core/mapping/avro-decoder.ts': 'schemas of a registry, which avsc checks',
      'services/core/mapping/message-decoder.ts': 'messages, whose fields a mapping checks',
      'services/core/parse-json.ts': 'text whose form a schema checks',
      'services/lake/erase-requests.ts': 'requests to erase and their answers, from files',
      'services/core/control/deployment.ts': 'what a control message remembers',
      'services/core/policy/policy-lists.ts': 'lists of a store',
      'services/core/policy/ruleset.ts': 'rulesets of a store',
      'services/core/decision/block-guard.ts': 'commit metadata from Kafka',
      'services/cli/audit/verify-chain.ts': 'copies of blocks, from a file',
      'tools/bench/reasons-bench.ts': 'the manifest of the released model',
      'services/cli/main.ts': 'our own package.json, for the version',
      'services/core/stream/partition-progress.ts':
        'progress from Redis and commit metadata from Kafka',
      'services/trainer/net/net-checkpoint.ts': 'our own bytes, which their digest says are whole',
      'tools/model-documentation/verify-folder.ts': 'documentation of a model folder',
      'services/trainer/run-folder.ts': 'what an interrupted run was a run of',
      'services/platform/lake/commit-log.ts': 'commits and checkpoints of a lake',
      'services/platform/lake/lake-writer.ts': 'lock file of another process',
      'tools/doctor/machine-checks.ts': 'our own package.json, for the version of Node',
      'tools/servers/prometheus-api.ts': 'answer of a Prometheus',
      'services/platform/build-version.ts': 'our own package.json, for the version',
      'services/platform/http/json-body.ts': 'bodies of HTTP requests',
      'tools/servers/run-lock.ts': 'lock file of another process',
      'services/platform/registry/file-registry.ts': 'schemas/registry.json',
      'services/platform/registry/http-registry.ts':
        'answers and schema texts of a schema registry',
      'services/platform/registry/release.ts': 'schema files about to be released',
      'services/platform/stores/content-models.ts': 'the manifest of a model in a store',
      'services/platform/tensorflow/model-folder.ts': 'manifest and net of a model folder',
    },
  },
  {
    rule: 'clients of Kafka and Redis are opened in one place each, where TLS and login are set',
    files: SERVICES,
    check: uses(/new (?:kafkajs\.)?Kafka\(|new (?:ioredis\.)?Redis\(/),
    broken: { path: 'services/scorer/a.ts', texts: ['new kafkajs.Kafka({', 'new Redis(url)'] },
    exceptions: {
      'services/platform/kafka/kafka-client.ts': 'the place for Kafka',
      'services/platform/redis/redis-client.ts': 'the place for Redis',
    },
  },
  {
    rule: 'no test shuts out the others of its file',
    files: /^test\/.*\.ts$/,
    check: uses(/\.only\(|\bonly: true/),
    broken: { path: 'test/unit/a.test.ts', texts: ["test.only('a', () => {})"] },
  },
  {
    rule: 'a file named main.ts exports nothing',
    files: /(^|\/)main\.ts$/,
    check: uses(/^export\b.*/m),
    broken: { path: 'services/a/main.ts', texts: ['export const a = 1'] },
  },
  {
    rule: 'nothing imports a main.ts, since it does its work when it is loaded',
    files: TYPESCRIPT,
    check: uses(/(?:from|import)\s*\(?\s*['"][^'"]*\/main\.ts['"]/),
    broken: { path: 'test/unit/a.test.ts', texts: ["await import('../../services/a/main.ts')"] },
  },
  {
    rule: 'nothing exports a binding that can change',
    files: TYPESCRIPT,
    check: uses(/\bexport (?:let|var) \w+/),
    broken: { path: 'services/core/a.ts', texts: ['export let count = 0'] },
  },
  {
    rule: 'the environment is read by entries, commands and tests only, and handed on',
    files:
      /^(services\/(?!cli\/)(?!.*\/main\.ts$)|tools\/(?!bench\/|demo\/|dashboards\/)(?!.*command\.ts$)).*\.ts$/,
    check: uses(/process\.env\b/),
    broken: { path: 'services/scorer/a.ts', texts: ["const url = process.env['URL']"] },
    exceptions: {
      'tools/servers/run-program.ts': 'programs that we start inherit it',
      'tools/servers/stack-choice.ts': 'PATH, to find docker; default of an option that tests give',
      'tools/servers/stack.ts': 'default of an option that tests give',
      'services/platform/config/rates-setting.ts':
        'one rate table for the whole process, read once, for many commands',
      'services/platform/tensorflow/native-backend.ts':
        'native libraries take settings from nowhere else',
      'services/platform/tensorflow/scoring-worker.ts': 'the entry of a thread',
    },
  },
  {
    rule: 'metrics and logs go through platform, which alone imports their libraries',
    files: /^(services\/(?!platform\/)|tools\/).*\.ts$/,
    check: uses(imports('prom-client|pino')),
    broken: {
      path: 'services/scorer/a.ts',
      texts: [
        "import { Counter } from 'prom-client'",
        "const { default: pino } = await import('pino')",
      ],
    },
  },
  {
    rule: 'TensorFlow is imported by its adapter and the trainer only',
    files: /^(services\/(?!platform\/tensorflow\/|trainer\/)|tools\/).*\.ts$/,
    check: uses(imports('@tensorflow/[^\'"]*')),
    broken: { path: 'services/scorer/a.ts', texts: ["await import('@tensorflow/tfjs')"] },
  },
  {
    // A unit test is named after the file that it tests, which states the purpose.
    rule: `a file of more than ${OPENING_LINES_MIN} lines opens with what it is for`,
    files: /^(services|tools|infra|test\/(?!unit\/)).*\.(ts|mjs)$/,
    check: ({ text }) =>
      text.split('\n').length <= OPENING_LINES_MIN || /^(#!.*\n)?(\/\/ |\/\*\*)/.test(text)
        ? []
        : ['no opening comment'],
    broken: { path: 'services/core/a.ts', texts: ['const a = 1\n'.repeat(OPENING_LINES_MIN + 1)] },
  },
  {
    rule: `a file has at most ${LINES_MAX} lines of code, comments and blank lines not counted`,
    files: CODE,
    check: (file) => (codeLines(file) <= LINES_MAX ? [] : [`${codeLines(file)} lines`]),
    broken: { path: 'services/core/a.ts', texts: ['const a = 1\n'.repeat(LINES_MAX + 1)] },
  },
  {
    rule: 'files and exports are named in the words of the field',
    files: CODE,
    check: (file) => [
      ...namesOf(file).filter((name) =>
        REPLACED_WORDS.test(name.replace(/([a-z])([A-Z])/g, '$1-$2')),
      ),
    ],
    broken: {
      path: 'services/a/lane-inbox.ts',
      texts: ['const a = 1', 'export class WishSwitch {}', 'export const LIVE_BLOCKS = 1'],
    },
  },
  {
    rule: 'what is left to do carries the number of its issue',
    files: /^(?!package-lock\.json).*\.(ts|mjs|cjs|js|json|lua|md|ya?ml|conf|properties|sh)$/,
    check: holds(/\b(?:TODO|FIXME|HACK)\b(?!\(#\d+\)).*/),
    broken: { path: 'services/core/a.ts', texts: ['// TODO: later'] },
  },
  {
    rule: 'no file names a folder of one machine or the host of a package registry',
    files: /./,
    check: holds(
      /(?<![\w.$}*-])\/(?:work|home|root|Users)\/\w+|\b[A-Z]:\\\\?Users\b|https?:\/\/(?:registry|repo\d?|npm|pypi|proxy|mirrors?|artifactory|nexus)\.[a-z][^\s"']*|"resolved":/,
    ),
    broken: {
      path: 'package-lock.json',
      texts: [
        '{ "resolved": "x" }',
        "open('/home/somebody/sluice')",
        'fetch from https://registry.example.org/a',
      ],
    },
  },
  {
    rule: 'a script for Redis opens with its contract: what it does, KEYS, ARGV and Reply',
    files: /\.lua$/,
    check: ({ text }) => {
      const lines = text.split('\n')
      const end = lines.findIndex((line) => !line.startsWith('--'))
      const header = lines.slice(0, Math.min(end, LUA_HEADER_LINES_MAX)).join('\n')
      return [/^-- [A-Z]/, /^-- KEYS: /m, /^-- ARGV: /m, /^-- Reply: /m]
        .filter((part) => !part.test(header))
        .map((part) => `no ${part.source}`)
    },
    broken: { path: 'services/platform/redis/a.lua', texts: ["return redis.call('GET', KEYS[1])"] },
  },
  {
    rule: 'every key of Redis is built in keys.ts',
    files: SERVICES,
    check: uses(
      /['"`]sluice:(?! )|:\{\$\{|\bredis\.(?:call|get|getBuffer|set|mget|mgetBuffer|del|unlink|incr|expire|exists|scan)\(\s*\[?\s*['"`]/,
    ),
    broken: {
      path: 'services/scorer/a.ts',
      texts: [
        "await redis.get('epoch')",
        'const key = `sluice:${name}`',
        'const key = `${prefix}:{${stream}:0}`',
      ],
    },
    exceptions: { 'services/platform/redis/keys.ts': 'here they are built' },
  },
  {
    rule: 'metrics are named sluice_… in base units, counters and only they end in _total',
    files: SERVICES,
    check: (file) =>
      metricsMade(file)
        .filter((metric) => !isGoodMetric(metric))
        .map(({ name }) => name),
    broken: {
      path: 'services/scorer/a.ts',
      texts: [
        "new Counter({ name: 'sluice_alerts', help })",
        "gauge('sluice_partitions_total', 'Partitions.')",
        "histogram('sluice_wait_ms', 'Waits.', [1])",
        "counter<Label>('alerts_total', 'Alerts.')",
      ],
    },
  },
]

for (const { rule, files: pattern, check, broken, exceptions = {} } of RULES) {
  test(rule, () => {
    ok(pattern.test(broken.path), 'the rule looks at the file that breaks it')
    for (const text of broken.texts) {
      notDeepStrictEqual(check({ path: broken.path, text }), [], `the rule does not find: ${text}`)
    }
    const looked = files.filter(({ path }) => pattern.test(path))
    ok(looked.length > 0, 'the rule looks at some file')
    const found = looked
      .filter(({ path }) => !(path in exceptions))
      .flatMap((file) => check(file).map((what) => `${file.path}: ${what}`))
    deepStrictEqual(found, [])
    const superfluous = Object.keys(exceptions).filter((path) => {
      const file = looked.find((each) => each.path === path)
      return file === undefined || check(file).length === 0
    })
    deepStrictEqual(superfluous, [], 'exceptions that are no longer needed')
  })
}

test('the rule about metrics sees every metric that the services make', () => {
  const makers = files.filter(
    (file) =>
      SERVICES.test(file.path) &&
      uses(imports('prom-client|\\./process-metrics\\.ts'))(file).length > 0,
  )
  const quoted = makers.flatMap(uses(/(?<=['"`])sluice_[a-z0-9_]+(?=['"`])/))
  ok(quoted.length > 0)
  deepStrictEqual(
    makers.flatMap(metricsMade).map(({ name }) => name),
    quoted,
  )
})
