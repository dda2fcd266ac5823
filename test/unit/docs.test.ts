// Goal: the reference pages match the code. Method: errors, variables and dependencies are compared both ways;
// defaults, ranges and words of the configuration page are tried on the configuration itself.

import { deepStrictEqual, match, ok, strictEqual, throws } from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { configurationPage } from '../../tools/docs/configuration-page.ts'
import { featuresPage } from '../../tools/docs/features-page.ts'
import { lakePage } from '../../tools/docs/lake-page.ts'
import { loadPromotionConfig } from '../../services/cli/policy/promotion-evidence.ts'
import { loadCasesConfig } from '../../services/alerts/cases/config.ts'
import { loadAlertsConfig } from '../../services/alerts/service-config.ts'
import { loadForwardConfig } from '../../services/alerts/forward/config.ts'
import { loadEnforcerConfig } from '../../services/alerts/enforcer/config.ts'
import { loadGatewayConfig } from '../../services/gateway/index.ts'
import { loadReceiptsConfig } from '../../services/alerts/receipts/config.ts'
import { errorCodes, isSluiceError } from '../../services/core/errors.ts'
import { readGivenAddresses } from '../../tools/servers/stack-choice.ts'
import { loadProducerConfig } from '../../services/producer/config.ts'
import { loadLakeConfig } from '../../services/lake/config.ts'
import { loadScorerConfig } from '../../services/scorer/config.ts'
import { loadSkewConfig } from '../../services/skew/config.ts'

type Environment = Readonly<Record<string, string>>

const root = join(import.meta.dirname, '../..')
const read = (path: string): string => readFileSync(join(root, path), 'utf8')

const PAGES = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...markdownOf('docs')]
const LOADERS: readonly ((env: Environment) => unknown)[] = [
  loadScorerConfig,
  loadProducerConfig,
  loadAlertsConfig,
  loadForwardConfig,
  loadSkewConfig,
  loadLakeConfig,
  loadPromotionConfig,
  withToken('SLUICE_ENFORCER_TOKEN', loadEnforcerConfig),
  withToken('SLUICE_CASES_TOKENS', loadCasesConfig),
  withToken('SLUICE_GATEWAY_TOKENS', loadGatewayConfig),
  loadReceiptsConfig,
  readGivenAddresses,
]

/** A loader that needs a token, with one supplied when the environment has none. */
function withToken(
  token: string,
  loader: (env: Environment) => unknown,
): (env: Environment) => unknown {
  return (env) =>
    loader(
      new Proxy(env, {
        get: (given, name) =>
          typeof name === 'string'
            ? (given[name] ?? (name === token ? 'ana:0123456789abcdef' : undefined))
            : undefined,
      }),
    )
}

function markdownOf(folder: string): readonly string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.md'))
    .map((path) => `${folder}/${path}`)
}

/** Rows of all tables of a page whose first cell is in backticks, as cells. */
function rowsOf(page: string): readonly (readonly string[])[] {
  return read(page)
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.slice(1, line.lastIndexOf('|')).split('|'))
    .map((cells) => cells.map((cell) => cell.trim()))
}

function quoted(cell: string): readonly string[] {
  return [...cell.matchAll(/`([^`]*)`/g)].map(([, word = '']) => word)
}

interface Variable {
  readonly name: string
  /** Null for none. */
  readonly default: string | null
  readonly words: readonly string[]
  readonly range: readonly [min: number, max: number] | null
}

/** Words that have a meaning only together with other variables, or that are yes or no. */
const COMPANIONS: Readonly<Record<string, Environment>> = {
  SLUICE_KAFKA_TLS: { SLUICE_KAFKA_BROKERS: 'a:1', SLUICE_DEAD_LETTER_HMAC_KEY: 'own' },
  SLUICE_KAFKA_SASL_MECHANISM: {
    SLUICE_KAFKA_BROKERS: 'a:1',
    SLUICE_KAFKA_SASL_USERNAME: 'user',
    SLUICE_KAFKA_SASL_PASSWORD: 'word',
    SLUICE_DEAD_LETTER_HMAC_KEY: 'own',
  },
}

function documentedVariables(): readonly Variable[] {
  return rowsOf('docs/configuration.md').map((cells) => {
    strictEqual(cells.length, 5, cells.join('|'))
    const [name = '', , , given = '', values = ''] = cells
    const range = /^(\d+) to (\d+)$/.exec(values)
    return {
      name: quoted(name)[0] ?? '',
      default: quoted(given)[0] ?? null,
      words: quoted(values),
      range: range === null ? null : [Number(range[1]), Number(range[2])],
    }
  })
}

/** Loads everything that reads this variable; returns the result, or the error. */
function load(env: Environment): unknown {
  return LOADERS.map((loader) => loader(env))
}

/** Names of the variables that the configurations read. */
function variablesRead(): ReadonlySet<string> {
  const names = new Set<string>()
  const env = new Proxy<Record<string, string>>(
    {},
    {
      get(_, name) {
        if (typeof name === 'string') names.add(name)
        return undefined
      },
    },
  )
  load(env)
  return names
}

/** Names beginning with SLUICE_ in code and settings, without the codes of errors. */
function namesInCode(): ReadonlySet<string> {
  const files = ['services', 'infra', 'test'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map(
      (path) => `${folder}/${path}`,
    ),
  )
  const texts = [...files, 'docker-compose.yml']
    .filter((path) => /\.(ts|mjs|ya?ml|json|properties|conf|sh)$/.test(path))
    .map(read)
  const names = texts.flatMap((text) => text.match(/\bSLUICE_[A-Z]+(?:_[A-Z]+)*\b/g) ?? [])
  return new Set(names.filter((name) => !(name in errorCodes)))
}

test('every error has a section, and every section is an error', () => {
  const sections = [...read('docs/errors.md').matchAll(/^## (.*)$/gm)].map(([, title]) => title)
  deepStrictEqual(sections.toSorted(), Object.keys(errorCodes).toSorted())
})

test('every section says whether a retry helps, the exit code, when it happens and what to do', () => {
  for (const section of read('docs/errors.md').split(/^## /m).slice(1)) {
    const code = section.slice(0, section.indexOf('\n')) as keyof typeof errorCodes
    const { retryable, exitCode } = errorCodes[code]
    const expected = `${retryable ? 'Retryable' : 'Not retryable'}, exit code ${exitCode}.`
    ok(section.includes(expected), `${code} should say: ${expected}`)
    match(section, /^\*\*When\.\*\* \S/m, code)
    match(section, /^\*\*What to do\.\*\* \S/m, code)
  }
})

test('the configuration page is what "npm run docs" writes', async () => {
  strictEqual(read('docs/configuration.md'), await configurationPage())
})

test('the page of features is what "npm run docs" writes', async () => {
  strictEqual(read('docs/features.md'), await featuresPage())
})

test('the page of the lake’s columns is what "npm run docs" writes', async () => {
  strictEqual(read('docs/lake-columns.md'), await lakePage())
})

test('every variable that a configuration reads, or code names, is on the page, and no other', () => {
  const documented = documentedVariables().map(({ name }) => name)
  deepStrictEqual(documented.toSorted(), [...new Set(documented)].toSorted(), 'no name twice')
  deepStrictEqual(documented.toSorted(), [...namesInCode()].toSorted())
  const missing = [...variablesRead()].filter((name) => !documented.includes(name))
  deepStrictEqual(missing, [])
})

test('a documented default is what a configuration uses when the variable is not set', () => {
  const readByCode = variablesRead()
  const given = documentedVariables().filter(({ name }) => readByCode.has(name))
  ok(given.length > 0)
  for (const variable of given) {
    if (variable.default === null) continue
    const { name } = variable
    // Servers without an address are started, so an absent address has another meaning only there.
    const loaders = /BROKERS|REDIS_URL/.test(name)
      ? LOADERS.filter((loader) => loader !== readGivenAddresses)
      : LOADERS
    for (const loader of loaders)
      deepStrictEqual(loader({ [name]: variable.default }), loader({}), name)
  }
})

test('a documented range is accepted at both ends and refused beyond them', () => {
  for (const { name, range } of documentedVariables()) {
    if (range === null) continue
    const [min, max] = range
    for (const value of [min, max]) load({ [name]: String(value) })
    for (const value of [min - 1, max + 1]) refuses(name, String(value))
  }
})

test('documented words are accepted, and others are refused', () => {
  const readByCode = variablesRead()
  for (const { name, words, default: baseline } of documentedVariables()) {
    if (words.length === 0 || !readByCode.has(name)) continue
    for (const word of words) load({ ...(word === baseline ? {} : COMPANIONS[name]), [name]: word })
    refuses(name, 'something-else')
  }
})

function refuses(name: string, value: string): void {
  throws(
    () => load({ [name]: value }),
    (error) => isSluiceError(error, 'SLUICE_CONFIG_INVALID') && error.message.includes(name),
    `${name}=${value}`,
  )
}

test('every dependency is listed with the version and licence that are installed, and no other', () => {
  const manifest = JSON.parse(read('package.json')) as Record<
    'dependencies' | 'devDependencies' | 'optionalDependencies',
    Record<string, string>
  >
  const { dependencies, devDependencies, optionalDependencies } = manifest
  const expected = Object.entries({
    ...dependencies,
    ...devDependencies,
    ...optionalDependencies,
  }).map(([name, version]) => {
    const path = `node_modules/${name}/package.json`
    const installed = JSON.parse(read(path)) as { version: string; license: string }
    strictEqual(
      installed.version.replace(/^v/, ''),
      version,
      `${name} is installed as package.json asks`,
    )
    return `${name} ${version} ${installed.license}`
  })
  const listed = rowsOf('docs/dependencies.md').map(
    ([name = '', version = '', licence = '']) => `${quoted(name)[0] ?? ''} ${version} ${licence}`,
  )
  deepStrictEqual(listed.toSorted(), expected.toSorted())
  for (const [name = '', , , reason = ''] of rowsOf('docs/dependencies.md'))
    ok(reason !== '', `${name} has a reason`)
})

test('every relative link of the documents leads to a file', () => {
  const broken = PAGES.flatMap((page) =>
    [...read(page).matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g)]
      .map(([, target = '']) => target)
      .filter((target) => !existsSync(join(root, dirname(page), target)))
      .map((target) => `${page}: ${target}`),
  )
  deepStrictEqual(broken, [])
})

test('every npm script that a document names exists', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  const named = PAGES.flatMap((page) =>
    [...read(page).matchAll(/`npm (?:run )?([a-z][a-z:]*)/g)].map(([, name = '']) => name),
  ).filter((name) => !['ci', 'install'].includes(name))
  ok(named.length > 0)
  deepStrictEqual(
    named.filter((name) => !(name in scripts)),
    [],
  )
})
