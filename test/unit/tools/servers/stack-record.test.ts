import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  emptyRecord,
  parseRecord,
  readRecord,
  writeRecord,
  type StackRecord,
} from '../../../../tools/servers/stack-record.ts'

// Parsed JSON has the usual prototype.
const plain = { noNullPrototype: true } as const
const identity = fc.record(
  { pid: fc.integer({ min: 2, max: 2 ** 22 }), startTime: fc.string() },
  plain,
)
const ports = fc.array(fc.integer({ min: 1, max: 65_535 }), { minLength: 1, maxLength: 3 })
const localServer = fc.record(
  {
    provider: fc.constant('local' as const),
    process: identity,
    ports,
    configHash: fc.string(),
  },
  plain,
)
const composeServer = fc.record(
  {
    provider: fc.constant('compose' as const),
    process: fc.constant(null),
    ports,
    configHash: fc.string(),
  },
  plain,
)
const server = fc.oneof(fc.constant(null), localServer, composeServer)
const record: fc.Arbitrary<StackRecord> = fc.record(
  {
    kept: fc.boolean(),
    users: fc.array(identity, { maxLength: 3 }),
    kafka: server,
    redis: server,
  },
  plain,
)

function temporaryFile(): string {
  return join(mkdtempSync(join(tmpdir(), 'sluice-record-')), 'run', 'stack.json')
}

test('what is written to the record is read back', () => {
  const path = temporaryFile()
  fc.assert(
    fc.property(record, (written) => {
      writeRecord(path, written)
      deepStrictEqual(readRecord(path), written)
    }),
    { numRuns: 50 },
  )
})

test('an absent record, a frontier one and one of another shape all read as nothing running', () => {
  const path = temporaryFile()
  deepStrictEqual(readRecord(path), emptyRecord())
  const full: StackRecord = {
    kept: true,
    users: [],
    kafka: {
      provider: 'local',
      process: { pid: 4711, startTime: '1' },
      ports: [19_092, 19_093],
      configHash: 'x',
    },
    redis: null,
  }
  writeRecord(path, full)
  const text = JSON.stringify(full)
  for (let length = 0; length < text.length; length += 1) {
    writeFileSync(path, text.slice(0, length))
    deepStrictEqual(readRecord(path), emptyRecord(), `cut to ${length} characters`)
  }
  for (const other of [
    'null',
    '7',
    '[]',
    '{}',
    '{"kept":1,"users":[],"kafka":null,"redis":null}',
  ]) {
    strictEqual(parseRecord(other), null, other)
  }
})

test('a pid that a signal would turn into a whole group of processes is refused', () => {
  for (const pid of [-1, 0, 1, 1.5]) {
    const text = JSON.stringify({
      kept: false,
      users: [],
      kafka: { provider: 'local', process: { pid, startTime: '1' }, ports: [1], configHash: '' },
      redis: null,
    })
    strictEqual(parseRecord(text), null, String(pid))
  }
})
