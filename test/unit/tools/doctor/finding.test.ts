import { deepStrictEqual, match, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { backendCheck, checkMemory, checkNode } from '../../../../tools/doctor/machine-checks.ts'
import { ok, runChecks } from '../../../../tools/doctor/finding.ts'
import { BackendProblem } from '../../../../services/platform/tensorflow/load-tensorflow.ts'
import { judgeRedis } from '../../../../tools/doctor/server-checks.ts'

test('a check that throws or hangs is a failed finding, and the others stand', async () => {
  const findings = await runChecks(
    [
      { name: 'good', look: () => Promise.resolve(ok('fine')) },
      { name: 'throwing', look: () => Promise.reject(new Error('no such thing')) },
      { name: 'hanging', look: () => new Promise(() => undefined) },
    ],
    1,
  )
  deepStrictEqual(
    findings.map(({ name, level }) => [name, level]),
    [
      ['good', 'ok'],
      ['throwing', 'fail'],
      ['hanging', 'fail'],
    ],
  )
  match(findings[1]?.seen ?? '', /no such thing/)
})

test('one fast backend is enough; only the slow one, or a broken one, is a warning; none is a failure', async () => {
  const works = (name: string): { name: string; probe: () => Promise<string> } => ({
    name,
    probe: () => Promise.resolve('loads'),
  })
  const broken = { name: 'tensorflow', probe: () => Promise.reject(new Error('no libcudart')) }
  const absent = {
    name: 'tensorflow',
    probe: () => Promise.reject(new BackendProblem(null, 'not installed')),
  }
  const levels = await runChecks([
    backendCheck([absent, works('wasm'), works('cpu')]),
    backendCheck([broken, works('wasm'), works('cpu')]),
    backendCheck([broken, works('cpu')]),
    backendCheck([broken]),
  ])
  deepStrictEqual(
    levels.map(({ level }) => level),
    ['ok', 'warn', 'warn', 'fail'],
  )
  match(levels[0]?.seen ?? '', /tensorflow: not installed .*sluice tensorflow install/)
  match(levels[1]?.seen ?? '', /tensorflow: does not compute \(no libcudart\); wasm: loads/)
})

test('Node versions are judged by major and minor', () => {
  strictEqual(checkNode('24.10.9', '24.11.0').level, 'fail')
  strictEqual(checkNode('22.20.0', '24.11.0').level, 'fail')
  strictEqual(checkNode('24.11.0', '24.11.0').level, 'ok')
  strictEqual(checkNode('26.1.0', '24.11.0').level, 'ok')
})

test('a Redis that evicts fails, one without append-only file is a warning', () => {
  const info = (policy: string, aof: number): string =>
    `# Server\r\nredis_version:7.0.15\r\nmaxmemory_policy:${policy}\r\naof_enabled:${aof}\r\n`
  strictEqual(judgeRedis('redis://h', info('allkeys-lru', 1)).level, 'fail')
  strictEqual(judgeRedis('redis://h', info('noeviction', 0)).level, 'warn')
  deepStrictEqual(judgeRedis('redis://h', info('noeviction', 1)), {
    level: 'ok',
    seen: '7.0.15 at redis://h (noeviction, append-only file on)',
    remedy: null,
  })
  const failing = `${info('noeviction', 1)}aof_last_write_status:err\r\n`
  strictEqual(judgeRedis('redis://h', failing).level, 'warn', 'on, and not written')
  strictEqual(judgeRedis('redis://h', '').level, 'fail')
  for (const [field, remedy] of [
    ['role:slave', /It is a replica/],
    ['cluster_enabled:1', /It is a cluster/],
  ] as const) {
    const judged = judgeRedis('redis://h', `${info('noeviction', 1)}${field}\r\n`)
    strictEqual(judged.level, 'fail')
    match(judged.remedy ?? '', remedy)
  }
  const master = `${info('noeviction', 1)}role:master\r\ncluster_enabled:0\r\n`
  strictEqual(judgeRedis('redis://h', master).level, 'ok')
})

test('memory is judged against what the whole of Sluice takes', () => {
  const gib = 1024 ** 3
  strictEqual(checkMemory(8 * gib).level, 'ok')
  strictEqual(checkMemory(1.5 * gib).level, 'warn')
  strictEqual(checkMemory(0.5 * gib).level, 'fail')
})
