import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { test } from 'node:test'
import { loadTargets } from '../../../../services/alerts/forward/config.ts'
import { parseTargets } from '../../../../services/alerts/forward/targets-file.ts'
import { isSluiceError } from '../../../../services/core/errors.ts'

const KEY = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const NEXT = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx'
const ENV: Readonly<Record<string, string>> = { KEY, NEXT, BAD: 'sesame' }

const readSecret = ({ kind, name }: { kind: 'env' | 'file'; name: string }) => {
  const text = ENV[name]
  return kind === 'file' || text === undefined ? { why: 'is not set' } : { text }
}

const parse = (text: string) => parseTargets(text, 'targets.yaml', readSecret)

/** Faults of a text, each with its line. */
function faultsOf(text: string): readonly string[] {
  let found: readonly string[] = []
  throws(
    () => parse(text),
    (error) => {
      ok(isSluiceError(error, 'SLUICE_CONFIG_INVALID'))
      ok(!error.message.includes('sesame') && !error.message.includes(KEY))
      found = error.details['problems'] as readonly string[]
      return true
    },
  )
  return found
}

const SHORTEST = `
targets:
  - name: core
    url: https://core.example.com/alerts
    filter: { actions: [block] }
    secrets: { current: { env: KEY } }
`

test('the shortest file has defaults for the rest', () => {
  const [target] = parse(SHORTEST)
  ok(target !== undefined)
  const { keys, ...rest } = target
  deepStrictEqual(
    keys.map((key) => key.reveal()),
    [KEY],
  )
  deepStrictEqual(rest, {
    name: 'core',
    url: 'https://core.example.com/alerts',
    filter: { actions: ['block'], scoreMin: null, segments: null, amountMinorMin: null },
    startAt: 'now',
    timeoutMs: 5_000,
    retries: { attemptsMax: 8, firstDelayMs: 500, delayMsMax: 30_000, giveUpMs: 86_400_000 },
    circuit: { failures: 5, openMs: 5_000, openMsMax: 60_000 },
    concurrency: 4,
    ratePerSecondMax: null,
  })
})

test('a full file is read field by field, and nothing shows its keys', () => {
  const targets = parse(`
targets:
  - name: core
    url: http://127.0.0.1:8080/a?b=c
    filter:
      actions: [release, block]
      scoreMin: 0.5
      segments: [ecommerce, none]
      amountMinorMin: { EUR: 5000, JPY: 800000 }
    secrets:
      current: { env: KEY }
      next: { env: NEXT }
    startAt: beginning
    timeoutMs: 1000
    retries: { attemptsMax: 3, firstDelayMs: 10, delayMsMax: 20, giveUpMs: 5000 }
    circuit: { failures: 2, openMs: 10, openMsMax: 20 }
    concurrency: 1
    ratePerSecondMax: 0.5
`)
  const [target] = targets
  ok(target !== undefined)
  const { keys, ...rest } = target
  deepStrictEqual(
    keys.map((key) => key.reveal()),
    [KEY, NEXT],
  )
  deepStrictEqual(rest, {
    name: 'core',
    url: 'http://127.0.0.1:8080/a?b=c',
    filter: {
      actions: ['block', 'release'],
      scoreMin: 0.5,
      segments: ['ecommerce', 'none'],
      amountMinorMin: { EUR: 5_000, JPY: 800_000 },
    },
    startAt: 'beginning',
    timeoutMs: 1_000,
    retries: { attemptsMax: 3, firstDelayMs: 10, delayMsMax: 20, giveUpMs: 5_000 },
    circuit: { failures: 2, openMs: 10, openMsMax: 20 },
    concurrency: 1,
    ratePerSecondMax: 0.5,
  })
  ok(!`${JSON.stringify(targets)}${inspect(targets, { depth: 9 })}`.includes(KEY.slice(6)))
})

test('all faults are told at once, each with its line, and no secret among them', () => {
  const faults = faultsOf(`targets:
  - name: Core Banking
    url: ftp://core.example.com
    filter: { actions: [block, shout], scoreMin: 7 }
    secrets: { current: { env: BAD }, next: { env: MISSING } }
    retry: { attemptsMax: 3 }
  - name: two
    url: https://user:sesame@core.example.com
    filter: { scoreMin: 0.5 }
    secrets: { current: whsec_sesame }
    timeoutMs: 1.5
    retries: { firstDelayMs: 100, delayMsMax: 10 }
  - name: two
    url: https://core.example.com
    filter: { actions: [flag], amountMinorMin: { euro: 5 } }
    secrets: { next: { env: KEY, file: key } }
`)
  const expected = [
    /^line 2: .*name must be/,
    /^line 3: .*url must be/,
    /^line 4: .*actions must be a list/,
    /^line 4: .*scoreMin must be a number 0 to 1/,
    /^line 5: .*env "BAD" holds no key/,
    /^line 5: .*env "MISSING" is not set/,
    /^line 6: .*retry is not a known field/,
    /^line 8: .*no user and no password/,
    /^line 9: .*actions is absent/,
    /^line 10: .*current must be a mapping of fields/,
    /^line 11: .*timeoutMs must be a whole number/,
    /^line 12: .*firstDelayMs must not be above/,
    /^line 13: .*"two" is taken/,
    /^line 15: .*"euro" is no currency/,
    /^line 16: .*current is absent/,
    /^line 16: .*either env or file/,
  ]
  const missing = expected.filter((pattern) => !faults.some((fault) => pattern.test(fault)))
  deepStrictEqual(missing, [], faults.join('\n'))
  strictEqual(faults.length, expected.length, faults.join('\n'))
})

test('what is no YAML, holds a field twice, an alias or no targets is refused', () => {
  deepStrictEqual(
    ['targets: [', 'targets: []', '', 'targets:\n  - 1', '- a'].map(
      (text) => faultsOf(text).length,
    ),
    [1, 1, 1, 1, 1],
  )
  ok(faultsOf(`${SHORTEST}    name: again\n`).some((fault) => /^line 7: /.test(fault)))
  ok(faultsOf('a: &a 1\ntargets: *a\n').length > 0)
  strictEqual(faultsOf(`targets:\n${'  - 1\n'.repeat(65)}`).length, 1)
  ok(faultsOf('#'.repeat(300_000)).length > 0)
})

test('keys come from files beside the targets file, without the line end of an editor', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-targets-'))
  t.after(() => {
    rmSync(folder, { recursive: true })
  })
  const file = join(folder, 'targets.yaml')
  writeFileSync(join(folder, 'key'), `${KEY}\n`)
  writeFileSync(file, SHORTEST.replace('env: KEY', 'file: key'))
  strictEqual(loadTargets(file, {})[0]?.keys[0]?.reveal(), KEY)
  writeFileSync(file, SHORTEST.replace('env: KEY', 'file: other'))
  throws(() => loadTargets(file, {}), /line 6: .*file "other" cannot be read \(ENOENT\)/)
  throws(() => loadTargets(join(folder, 'none.yaml'), {}), /cannot be read \(ENOENT\)/)
})
