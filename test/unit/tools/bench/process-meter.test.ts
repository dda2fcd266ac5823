import { ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import {
  CpuMeter,
  cpuMsOf,
  parseCpuMs,
  residentBytesOf,
} from '../../../../tools/bench/process-meter.ts'

test('processor time is user plus system time, also of a process with an odd name', () => {
  const rest = 'S 1 1 1 0 -1 4194560 11 22 33 44 250 130 0 0 20 0 11 0 9876 1 2'
  strictEqual(parseCpuMs(`4711 (redis-server) ${rest}`), 3_800)
  strictEqual(parseCpuMs(`4711 (a) S (b 1 2) ${rest}`), 3_800)
})

test('text that is no stat file gives no time', () => {
  strictEqual(parseCpuMs(''), null)
})

test('a process that is not known costs an unknown amount, not nothing', () => {
  const meter = new CpuMeter({ kafka: null })
  meter.sample()
  strictEqual(meter.perEvent(100)['kafka'], null)
  strictEqual(cpuMsOf(null), null)
  strictEqual(residentBytesOf(null), null)
})

test('work of this process shows up in its cost per event', (t) => {
  if (process.platform !== 'linux') {
    t.skip('processor time is read from /proc')
    return
  }
  const meter = new CpuMeter({ here: process.pid })
  const { user } = process.cpuUsage()
  // 60 ms of work is more than the tick of 10 ms in which the kernel counts.
  while (process.cpuUsage().user - user < 60_000) JSON.stringify(process.versions)
  meter.sample()
  ok((meter.perEvent(10)['here'] ?? 0) > 0)
  ok((residentBytesOf(process.pid) ?? 0) > 1024 * 1024)
})
