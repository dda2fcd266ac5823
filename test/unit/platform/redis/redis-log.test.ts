import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { test } from 'node:test'
import type { Redis } from 'ioredis'
import { logRedisEvents } from '../../../../services/platform/redis/redis-log.ts'
import { openKeptLog } from '../../../support/kept-log.ts'

function openFollowed() {
  const clock = { ms: 0 }
  const { log, lines } = openKeptLog()
  const events = new EventEmitter()
  logRedisEvents(events as unknown as Redis, log, () => clock.ms)
  return { clock, lines, events }
}

function refused(): Error {
  return Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
}

test('a loss is logged once, each kind of error once, and the return once, however many attempts', () => {
  const { clock, lines, events } = openFollowed()
  events.emit('ready')
  for (let attempt = 0; attempt < 20; attempt += 1) {
    events.emit('close')
    events.emit('reconnecting', 50)
    events.emit('error', refused())
  }
  clock.ms = 1_500
  events.emit('ready')
  deepStrictEqual(
    lines.map(({ level, msg }) => [level, msg]),
    [
      ['warn', 'The connection to Redis is lost; commands fail until it is back.'],
      ['warn', 'The Redis client reported an error.'],
      ['info', 'The connection to Redis is back.'],
    ],
  )
  deepStrictEqual([lines[2]?.['awayMs'], lines[2]?.['attempts']], [1_500, 20])
  events.emit('reconnecting', 50)
  events.emit('error', refused())
  strictEqual(lines.length, 5, 'the next loss is logged again')
})

test('being closed on purpose is no loss, and an error without other listeners does not throw', () => {
  const { lines, events } = openFollowed()
  events.emit('ready')
  events.emit('close')
  events.emit('end')
  deepStrictEqual(lines, [])
  events.emit('error', new Error('odd reply'))
  strictEqual(lines.length, 1)
})
