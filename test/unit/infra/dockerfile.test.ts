// Goal: the Dockerfile builds small images that run without rights. Method: a linter, then one test per rule; each rule
// is also tried on a line that breaks it. test/integration/image.test.ts carries out the steps.

import { deepStrictEqual, notDeepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { validate } from 'dockerfile-utils'
import { readCompose } from '../../support/compose-file.ts'
import {
  buildContext,
  environmentOf,
  listOf,
  readCopy,
  readDockerfile,
  ROOT,
  stageOf,
  type Instruction,
  type Stage,
} from '../../support/dockerfile.ts'

const IMAGES = ['gpu', 'cpu']

const text = readFileSync(join(ROOT, 'Dockerfile'), 'utf8')
const stages = readDockerfile()
const context = buildContext()

interface Rule {
  readonly rule: string
  /** The parts of an instruction that break the rule. */
  readonly check: (instruction: Instruction, stage: Stage) => readonly string[]
  readonly broken: Instruction
}

const RULES: readonly Rule[] = [
  {
    rule: 'nothing is fetched by ADD, and nothing is unpacked by it',
    check: ({ keyword, text }) => (keyword === 'ADD' ? [text] : []),
    broken: { keyword: 'ADD', text: 'https://example.org/tool.tgz /opt/' },
  },
  {
    rule: 'no secret is an argument, a variable or a file of the image',
    check: ({ keyword, text }) =>
      /^(ARG|ENV|COPY)$/.test(keyword) &&
      /password|secret|token|credential|_KEY\b|\.pem|\.env\b/i.test(text)
        ? [text]
        : [],
    broken: { keyword: 'ARG', text: 'NPM_TOKEN' },
  },
  {
    rule: 'npm installs what the lock file says, and runs no install script',
    check: ({ keyword, text }) =>
      keyword === 'RUN' &&
      /\bnpm (ci|install|i)\b/.test(text) &&
      !(text.includes('--ignore-scripts') && /npm ci\b|@\d+\.\d+\.\d+$/.test(text))
        ? [text]
        : [],
    broken: { keyword: 'RUN', text: 'npm install' },
  },
  {
    rule: 'everything that is copied from the repository is there and reaches the builder',
    check: ({ keyword, text }) => {
      if (keyword !== 'COPY') return []
      const { from, sources } = readCopy(text)
      if (from !== null) return []
      return sources.filter(
        (source) => !context.some((path) => path === source || path.startsWith(`${source}/`)),
      )
    },
    broken: { keyword: 'COPY', text: 'test test' },
  },
  {
    rule: 'a copy comes from the repository or from a stage above',
    check: ({ keyword, text }, stage) => {
      if (keyword !== 'COPY') return []
      const { from } = readCopy(text)
      const above = stages.slice(0, Math.max(0, stages.indexOf(stage))).map(({ name }) => name)
      return from === null || above.includes(from) ? [] : [from]
    },
    broken: { keyword: 'COPY', text: '--from=elsewhere a b' },
  },
  {
    rule: 'packages of the system leave no lists behind',
    check: ({ keyword, text }) =>
      keyword === 'RUN' &&
      text.includes('apt-get install') &&
      !(text.includes('--no-install-recommends') && text.includes('rm -rf /var/lib/apt/lists/*'))
        ? [text]
        : [],
    broken: { keyword: 'RUN', text: 'apt-get update && apt-get install -y curl' },
  },
]

test('a linter for Dockerfiles finds nothing', () => {
  deepStrictEqual(
    validate(text).map(({ message }) => message),
    [],
  )
  ok(validate(`${text}\nEXPOSE many\n`).length > 0, 'the linter finds a mistake')
})

for (const { rule, check, broken } of RULES) {
  test(rule, () => {
    const [first] = stages
    ok(first !== undefined)
    notDeepStrictEqual(check(broken, first), [], 'the rule finds what breaks it')
    const found = stages.flatMap((stage) =>
      stage.instructions.flatMap((instruction) =>
        check(instruction, stage).map((what) => `${stage.name}: ${what}`),
      ),
    )
    deepStrictEqual(found, [])
  })
}

test('every base image is a full version, or a stage above', () => {
  const names = stages.map(({ name }) => name)
  for (const [index, { base }] of stages.entries()) {
    if (names.slice(0, index).includes(base)) continue
    ok(/^[a-z0-9/]+:\d+\.\d+\.\d+-[a-z0-9.-]+$/.test(base), base)
  }
})

test('all stages use the one version of Node that a checkout fetches', () => {
  const runtimes = JSON.parse(readFileSync(join(ROOT, 'infra/node-runtimes.json'), 'utf8')) as {
    readonly 'linux-x64': { readonly version: string }
  }
  const versions = new Set(stages.flatMap(({ base }) => /^node:([\d.]+)/.exec(base)?.[1] ?? []))
  deepStrictEqual(versions, new Set([runtimes['linux-x64'].version]))
})

for (const name of IMAGES) {
  test(`${name}: runs as somebody, checks itself, stops by a signal, and is the scorer`, () => {
    const stage = stageOf(stages, name)
    const keywords = stage.instructions.map(({ keyword }) => keyword)
    const textOf = (keyword: string): string =>
      stage.instructions.findLast((each) => each.keyword === keyword)?.text ?? ''
    ok(/^[1-9]\d*:[1-9]\d*$/.test(textOf('USER')), 'a user by number, so that it can be checked')
    const settled = keywords.slice(keywords.indexOf('USER'))
    ok(!settled.includes('RUN') && !settled.includes('COPY'), 'files belong to root')
    strictEqual(textOf('STOPSIGNAL'), 'SIGTERM')
    ok(textOf('HEALTHCHECK').endsWith('CMD ["node", "infra/docker/healthcheck.mjs"]'))
    deepStrictEqual(listOf(stage, 'ENTRYPOINT'), ['node', 'dist/services/cli/main.js'])
    deepStrictEqual(listOf(stage, 'CMD'), ['scorer'])
    strictEqual(textOf('EXPOSE'), environmentOf(stage)['SLUICE_METRICS_PORT'])
  })

  test(`${name}: holds no source and no development package`, () => {
    const copies = stageOf(stages, name)
      .instructions.filter(({ keyword }) => keyword === 'COPY')
      .map(({ text }) => readCopy(text).target)
    deepStrictEqual(
      copies.toSorted(),
      [
        ...(name === 'gpu' ? ['/usr/local/bin/node'] : []),
        './',
        'dist',
        'infra/docker/',
        'models',
        'node_modules',
        'schemas',
      ].toSorted(),
    )
  })

  test(`${name}: its label has the version of the package`, () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      version: string
    }
    const label = stageOf(stages, name).instructions.find(({ keyword }) => keyword === 'LABEL')
    ok(label?.text.includes(`org.opencontainers.image.version="${version}"`), label?.text)
  })
}

test('what the services get has no development dependency in it', () => {
  const runs = stageOf(stages, 'modules').instructions.map(({ text }) => text)
  ok(runs.includes('npm ci --omit=dev --ignore-scripts'))
  for (const name of IMAGES) {
    const sources = stageOf(stages, name)
      .instructions.filter(({ keyword }) => keyword === 'COPY')
      .map(({ text }) => readCopy(text))
      .filter(({ target }) => target === 'node_modules')
    ok(
      sources.every(({ from }) => from !== 'build'),
      'modules of the build stay there',
    )
  }
})

test('the GPU image asks for its backend by name, and finds the libraries it brings', () => {
  const environment = environmentOf(stageOf(stages, 'gpu'))
  strictEqual(environment['SLUICE_BACKEND'], 'tensorflow')
  strictEqual(environment['SLUICE_BACKEND_EXPECTED'], 'tensorflow-gpu')
  ok(environment['LD_LIBRARY_PATH']?.includes('/tfjs-node-gpu/deps/lib:/usr/local/cuda/lib64'))
})

test('the last stage is the image that a plain build gives, and Compose builds stages that exist', () => {
  strictEqual(stages.at(-1)?.name, 'cpu')
  const targets = Object.values(readCompose().services).flatMap(({ build }) => build?.target ?? [])
  for (const target of new Set(targets)) ok(IMAGES.includes(target), target)
})

test('the builder gets the sources and nothing that was left lying about', () => {
  ok(context.includes('services/cli/main.ts') && context.includes('package-lock.json'))
  deepStrictEqual(
    context.filter((path) => /^(test|docs|\.git|\.ci)\//.test(path) || /\.env|\.log$/.test(path)),
    [],
  )
  throws(() => readCopy('["a", "b"]'), /not read here/)
})
