// Goal: running demos are found, ended ones are not mistaken for running, and other names are not mistaken for a
// demo's.

import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import {
  demoIdOf,
  parseDemoRecord,
  readLivingDemos,
  writeDemoRecord,
} from '../../../../tools/demo/demo-record.ts'

const record = {
  id: 'abcd1234',
  brokers: ['127.0.0.1:9092'],
  topicPrefix: 'demo-abcd1234.',
  startedAtMs: 1,
}

function stateFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-demo-'))
  t.after(() => {
    rmSync(folder, { recursive: true })
  })
  return folder
}

test('a running demo is found, the newest first, until its record is removed', (t) => {
  const folder = stateFolder(t)
  deepStrictEqual(readLivingDemos(folder), [])
  const removeOld = writeDemoRecord(folder, record)
  const removeNew = writeDemoRecord(folder, { ...record, id: 'abcd9999', startedAtMs: 2 })
  deepStrictEqual(
    readLivingDemos(folder).map(({ id }) => id),
    ['abcd9999', 'abcd1234'],
  )
  removeNew()
  removeOld()
  deepStrictEqual(readLivingDemos(folder), [])
})

test('a record whose process has ended, or whose pid is another process now, is removed', (t) => {
  const folder = stateFolder(t)
  const demos = join(folder, 'run', 'demos')
  mkdirSync(demos, { recursive: true })
  const dead = { ...record, process: { pid: process.pid, startTime: 'another' } }
  writeFileSync(join(demos, 'abcd1234.json'), JSON.stringify(dead))
  writeFileSync(join(demos, 'torn.json'), '{"id":')
  deepStrictEqual(readLivingDemos(folder), [])
  deepStrictEqual(readdirSync(demos), [])
})

test('what is no record is refused', () => {
  const good = { ...record, process: { pid: 4_000, startTime: '5' } }
  deepStrictEqual(parseDemoRecord(JSON.stringify(good)), good)
  for (const change of [
    { id: 'a/../b' },
    { id: 5 },
    { brokers: 'x' },
    { topicPrefix: null },
    { startedAtMs: 'now' },
    { process: { pid: -1, startTime: '5' } },
    { process: { pid: 0, startTime: '5' } },
    { process: null },
  ]) {
    strictEqual(parseDemoRecord(JSON.stringify({ ...good, ...change })), null)
  }
  strictEqual(parseDemoRecord('null'), null)
  strictEqual(parseDemoRecord(''), null)
})

test('only the topics and groups of demos carry an id', () => {
  strictEqual(demoIdOf('demo-abcd1234.transactions'), 'abcd1234')
  for (const name of ['transactions', 'demo-.x', 'demo-abc', 'my-demo-abcd1234.x', 'demo-AB12.x']) {
    strictEqual(demoIdOf(name), null, name)
  }
})
