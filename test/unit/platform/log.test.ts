import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  type LogFormat,
  type Logger,
  type LogLevel,
  openLogger,
} from '../../../services/platform/log.ts'

const NUMBER = '4111 1111 1111 1111'

/** A logger whose lines are collected. */
function openKept(level: LogLevel, format: LogFormat) {
  const lines: string[] = []
  const log = openLogger('scorer', level, format, {
    write: (line) => {
      lines.push(line)
    },
  })
  return { log, lines }
}

function logAll(log: Logger): void {
  log.debug({ partition: 1 }, 'Debugged.')
  log.info({ partition: 1 }, 'Informed.')
  log.warn({ card: NUMBER }, 'Warned.')
  log.error({ error: new Error(`for ${NUMBER}`) }, 'Failed.')
}

test('lines are JSON with level, time, service, fields and message, at the level and above', () => {
  const { log, lines } = openKept('info', 'json')
  logAll(log)
  const parsed = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  deepStrictEqual(
    parsed.map(({ level, msg, name }) => [level, msg, name]),
    [
      ['info', 'Informed.', 'scorer'],
      ['warn', 'Warned.', 'scorer'],
      ['error', 'Failed.', 'scorer'],
    ],
  )
  strictEqual(parsed[0]?.['partition'], 1)
  match(String(parsed[0]['time']), /^\d{4}-\d\d-\d\dT.*Z$/)
  deepStrictEqual([log.isLevelEnabled('debug'), log.isLevelEnabled('info')], [false, true])
})

test('no field and no message shows a card number, in either format', () => {
  for (const format of ['json', 'pretty'] as const) {
    const { log, lines } = openKept('debug', format)
    logAll(log)
    log.info({ [NUMBER]: 1 }, `Said ${NUMBER}.`)
    const text = lines.join('')
    ok(text.includes('[redacted]') && text.includes('Failed.'), text)
    ok(!text.includes('4111'), text)
  }
})

test('a line for people has the level, the service, the message and the fields, and no JSON', () => {
  const { log, lines } = openKept('info', 'pretty')
  log.info({ partition: 3 }, 'Partitions assigned.')
  const text = lines.join('')
  match(text, /INFO \(scorer\): Partitions assigned\.\n\s+partition: 3\n/)
})

test('fields that cannot be read, or look like a request, are logged and do not throw', () => {
  const { log, lines } = openKept('info', 'json')
  const hostile = new Proxy<Record<string, unknown>>(
    {},
    {
      get() {
        throw new Error('no')
      },
    },
  )
  log.info(hostile, 'First.')
  log.info({ method: 'GET', headers: { cookie: 'a' }, socket: {} }, 'Second.')
  strictEqual(lines.length, 2)
  ok(!lines.join('').includes('"a"'))
})

test('without a terminal the automatic format is JSON, and pino-pretty is not loaded', () => {
  const module = join(import.meta.dirname, '../../../services/platform/log.ts')
  const script = `
    import { createRequire } from 'node:module'
    const { openLogger } = await import(${JSON.stringify(module)})
    openLogger('scorer', 'info').info({}, 'Ready.')
    const loaded = Object.keys(createRequire(import.meta.url).cache)
    console.log(loaded.some((file) => file.includes('pino-pretty')))`
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    env: { ...process.env, NODE_TEST_CONTEXT: undefined },
  })
  strictEqual((JSON.parse(stderr) as { msg: string }).msg, 'Ready.')
  strictEqual(stdout.trim(), 'false')
})
