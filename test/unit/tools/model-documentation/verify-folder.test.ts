// Goal: a model folder that does not match its claims is detected, and the mismatch is named. Method: copies of the
// released model with one change; once with the original digests, once made consistent again as by someone who wants
// to deceive, so that only the check itself can find the change.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { test, type TestContext } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { isSluiceError } from '../../../../services/core/errors.ts'
import {
  verifyModelFolder,
  type Check,
} from '../../../../tools/model-documentation/verify-folder.ts'

const MODELS = join(import.meta.dirname, '../../../../models')
const RESULTS = 'evaluation/results.json'
const ROWS = 'evaluation/test-rows.csv.gz'

function copyOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-verify-'))
  t.after(() => {
    rmSync(folder, { recursive: true })
  })
  cpSync(join(MODELS, 'simulator'), folder, { recursive: true })
  return folder
}

const digestOf = (bytes: Buffer | string): string =>
  createHash('sha256').update(bytes).digest('hex')

function filesOf(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => relative(folder, join(parentPath, name)))
    .toSorted()
}

/** Writes the digests of all files into the bill and the list of sums. */
function makeConsistent(folder: string): void {
  const path = join(folder, 'bom.json')
  const bill = JSON.parse(readFileSync(path, 'utf8')) as {
    metadata: { component: { hashes: { content: string }[] } }
    components: { type: string; 'bom-ref': string; name: string; hashes?: { content: string }[] }[]
  }
  const digest = (file: string): string => digestOf(readFileSync(join(folder, file)))
  for (const part of bill.components) {
    const [hash] = part.hashes ?? []
    if (hash === undefined) continue
    if (part.type === 'file') hash.content = digest(part.name)
    if (part['bom-ref'] === 'data:evaluation-rows') hash.content = digest(ROWS)
  }
  const [own] = bill.metadata.component.hashes
  if (own !== undefined) own.content = digest('manifest.json')
  writeFileSync(path, JSON.stringify(bill))
  const lines = filesOf(folder)
    .filter((file) => file !== 'SHA256SUMS')
    .map((file) => `${digest(file)}  ${file}\n`)
  writeFileSync(join(folder, 'SHA256SUMS'), lines.join(''))
}

async function problemsOf(folder: string): Promise<readonly (readonly [Check, string])[]> {
  const { checks, isSound } = await verifyModelFolder(folder, 'wasm')
  const problems = checks.flatMap(({ check, problems: found }) =>
    found.map((problem) => [check, problem] as const),
  )
  assert.equal(isSound, problems.length === 0)
  return problems
}

test('every released model matches its claims, in less than two megabytes', async () => {
  const names = readdirSync(MODELS)
  assert.ok(names.length > 0)
  for (const name of names) {
    const folder = join(MODELS, name)
    assert.deepEqual(await problemsOf(folder), [], name)
    const bytes = filesOf(folder).map((file) => readFileSync(join(folder, file)).length)
    assert.ok(bytes.reduce((sum, size) => sum + size, 0) < 2_000_000, name)
  }
})

test('a copy made consistent again is sound, so only the changes below are found', async (t) => {
  const folder = copyOf(t)
  makeConsistent(folder)
  assert.deepEqual(await problemsOf(folder), [])
})

test('any changed, missing or additional file is named', async (t) => {
  const folder = copyOf(t)
  for (const file of filesOf(folder).filter((path) => path !== 'SHA256SUMS')) {
    const path = join(folder, file)
    const bytes = readFileSync(path)
    writeFileSync(path, Buffer.concat([bytes, Buffer.from(' ')]))
    const changed = await problemsOf(folder)
    assert.ok(
      changed.some(([check, problem]) => check === 'files' && problem.startsWith(`${file} has`)),
      file,
    )
    rmSync(path)
    const gone = await problemsOf(folder)
    assert.ok(
      gone.some(([check, problem]) => check === 'files' && problem.startsWith(`${file} is listed`)),
      file,
    )
    writeFileSync(path, bytes)
  }
  writeFileSync(join(folder, 'extra.txt'), '')
  assert.deepEqual(
    (await problemsOf(folder)).map(([check]) => check),
    ['files', 'bill'],
  )
})

interface Forgery {
  readonly what: string
  readonly file: string
  readonly change: (text: string) => string
  readonly check: Check
  readonly said: RegExp
}

/** Replaces the first match, which must exist. */
const replacing =
  (pattern: RegExp, by: string) =>
  (text: string): string => {
    assert.match(text, pattern)
    return text.replace(pattern, by)
  }

const FORGERIES: readonly Forgery[] = [
  {
    what: 'better figures in results and nowhere else',
    file: RESULTS,
    change: replacing(/"averagePrecision": 0\.\d+/, '"averagePrecision": 0.9'),
    check: 'results',
    said: /metrics differs from manifest\.json/,
  },
  {
    what: 'better figures of the shipped rows',
    file: RESULTS,
    change: replacing(/("shipped"[\s\S]*?"averagePrecision": )0\.\d+/, '$10.9'),
    check: 'rows',
    said: /average precision is 0\.\d+, but the results say 0\.9000/,
  },
  {
    what: 'a band that validation did not choose',
    file: RESULTS,
    change: replacing(/"verifiedShare": [\d.]+/, '"verifiedShare": 0.001'),
    check: 'results',
    said: /cascade differs from manifest\.json/,
  },
  {
    what: 'a model card that does not say where the target is asked',
    file: 'MODEL_CARD.md',
    change: replacing(/(probability (is|of)) 0\.\d{4}/, '$1 some height'),
    check: 'pages',
    said: /MODEL_CARD\.md does not say "0\.\d{4}"/,
  },
  {
    what: 'a larger tolerance',
    file: RESULTS,
    change: replacing(/"metric": 0\.002/, '"metric": 0.2'),
    check: 'results',
    said: /tolerance is not that of this build/,
  },
  {
    what: 'results without their history',
    file: RESULTS,
    change: replacing(/"history"/, '"histories"'),
    check: 'results',
    said: /results\.json\.history is not a JSON object/,
  },
  {
    what: 'a model card without limits',
    file: 'MODEL_CARD.md',
    change: replacing(/## Limits\n[\s\S]*?\n## /, '## Limits\n\n## '),
    check: 'pages',
    said: /MODEL_CARD\.md has nothing under "Limits"/,
  },
  {
    what: 'a model card with other figures',
    file: 'MODEL_CARD.md',
    change: (text) => {
      const [, , figure = ''] =
        /\| average precision \| ([\d.]+) \([^|]*\| ([\d.]+) \(/.exec(text) ?? []
      assert.notEqual(figure, '')
      return text.replaceAll(figure, '0.999')
    },
    check: 'pages',
    said: /MODEL_CARD\.md does not say "0\.\d{3}"/,
  },
  {
    what: 'a data card that forgets that data are simulated',
    file: 'DATA_CARD.md',
    change: replacing(/\*\*Trained[^*]*\*\*/, ''),
    check: 'pages',
    said: /DATA_CARD\.md does not say "Trained and measured on simulated/,
  },
  {
    what: 'a higher class',
    file: 'MOF.yml',
    change: replacing(/class: II$/m, 'class: I'),
    check: 'openness',
    said: /states class I, but the components reach class II/,
  },
  {
    what: 'a component that is not there',
    file: 'MOF.yml',
    change: replacing(/(name: Datasets\n.*\n\s+location: )""/, '$1data.csv'),
    check: 'openness',
    said: /"Datasets" is not at data\.csv/,
  },
  {
    what: 'a component that the framework does not know',
    file: 'MOF.yml',
    change: replacing(/name: Research paper/, 'name: Poster'),
    check: 'openness',
    said: /components\[15\] is "Poster", but must be "Research paper"/,
  },
  {
    what: 'a licence that is not stated',
    file: 'LICENSES/CC-BY-4.0.md',
    change: replacing(/CC-BY-4\.0\n/, 'CC-BY-NC-4.0\n'),
    check: 'openness',
    said: /"Model card" is under CC-BY-4\.0, which LICENSES\/CC-BY-4\.0\.md does not state/,
  },
  {
    what: 'a bill of another kind',
    file: 'bom.json',
    change: replacing(/"specVersion": ?"1\.6"/, '"specVersion":"1.4"'),
    check: 'bill',
    said: /bom\.json\.specVersion is "1\.4", but must be one of 1\.6/,
  },
  {
    what: 'a bill with another figure',
    file: 'bom.json',
    change: replacing(/("average precision",\s*"value": ?)"0\.\d+"/, '$1"0.99"'),
    check: 'bill',
    said: /bom\.json states average precision of validation: 0\.99/,
  },
  {
    what: 'other weights with their digest in the manifest',
    file: 'manifest.json',
    change: replacing(/"featureListHash": "[0-9a-f]{2}/, '"featureListHash": "ff'),
    check: 'model',
    said: /was trained on other features/,
  },
]

for (const { what, file, change, check, said } of FORGERIES) {
  test(`found even where all digests match: ${what}`, async (t) => {
    const folder = copyOf(t)
    const path = join(folder, file)
    writeFileSync(path, change(readFileSync(path, 'utf8')))
    makeConsistent(folder)
    const problems = await problemsOf(folder)
    const found = problems.filter(([where]) => where === check).map(([, problem]) => problem)
    assert.match(found.join('\n'), said)
    assert.ok(problems.every(([where]) => where !== 'files'))
  })
}

test('inverted truths are found, with the figures that result', async (t) => {
  const folder = copyOf(t)
  const path = join(folder, ROWS)
  const lines = gunzipSync(readFileSync(path)).toString('utf8').trimEnd().split('\n')
  const turned = lines.map((line, index) => {
    const cells = line.split(',')
    return index > 0 && index % 5 === 0 ? cells.with(1, cells[1] === '1' ? '0' : '1').join() : line
  })
  const text = `${turned.join('\n')}\n`
  writeFileSync(path, gzipSync(text))
  const results = readFileSync(join(folder, RESULTS), 'utf8')
  writeFileSync(
    join(folder, RESULTS),
    results.replace(/"textSha256": "[0-9a-f]+"/, `"textSha256": "${digestOf(text)}"`),
  )
  makeConsistent(folder)
  const found = (await problemsOf(folder)).map(([, problem]) => problem)
  assert.ok(found.some((problem) => /holds \d+ frauds in \d+ rows, but/.test(problem)))
  assert.ok(found.some((problem) => /^average precision is 0\.\d+, but/.test(problem)))
})

test('scores that the model does not produce are found', async (t) => {
  const folder = copyOf(t)
  const path = join(folder, ROWS)
  const lines = gunzipSync(readFileSync(path)).toString('utf8').split('\n')
  const cells = (lines[7] ?? '').split(',')
  const text = lines.with(7, cells.with(3, String(Number(cells[3]) + 3e-5)).join()).join('\n')
  writeFileSync(path, gzipSync(text))
  assert.ok(
    (await problemsOf(folder)).some(
      ([check, problem]) =>
        check === 'rows' && /scores differ by up to 3\.0e-5, allowed 0\.00001/.test(problem),
    ),
  )
})

test('a missing folder is a usage error', async () => {
  await assert.rejects(verifyModelFolder(join(MODELS, 'none'), 'wasm'), (error) =>
    isSluiceError(error, 'SLUICE_USAGE'),
  )
})
