import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import avro from 'avsc'
import fc from 'fast-check'
import { isSluiceError } from '../../../../services/core/errors.ts'
import { createBoundedWalk, WALK_DEPTH_MAX } from '../../../../services/core/wire/bounded-walk.ts'

const ITEMS_MAX = 1_000

function check(schema: unknown, bytes: readonly number[]): string {
  const fault = createBoundedWalk(schema, ITEMS_MAX).check(Uint8Array.from(bytes), 0)
  return fault === null ? 'ok' : `${fault.positionBytes} ${fault.field}`.trim()
}

const everything = {
  type: 'record',
  name: 'Everything',
  namespace: 'test',
  fields: [
    { name: 'flag', type: 'boolean' },
    { name: 'small', type: 'int' },
    { name: 'large', type: 'long' },
    { name: 'single', type: 'float' },
    { name: 'double', type: 'double' },
    { name: 'text', type: 'string' },
    { name: 'blob', type: 'bytes' },
    { name: 'digest', type: { type: 'fixed', name: 'Digest', size: 4 } },
    { name: 'colour', type: { type: 'enum', name: 'Colour', symbols: ['red', 'green', 'blue'] } },
    { name: 'again', type: ['null', 'Colour', 'test.Digest'], default: null },
    { name: 'numbers', type: { type: 'array', items: 'long' } },
    { name: 'names', type: { type: 'map', values: ['null', 'string'] } },
    {
      name: 'tree',
      type: {
        type: 'record',
        name: 'Tree',
        fields: [
          { name: 'label', type: 'string' },
          { name: 'children', type: { type: 'array', items: 'Tree' } },
        ],
      },
    },
    { name: 'last', type: ['null', 'Tree'], default: null },
  ],
}
const everythingType = avro.Type.forSchema(everything as avro.Schema, { wrapUnions: 'always' })

interface Tree {
  readonly label: string
  readonly children: readonly Tree[]
}
const label = fc.string({ maxLength: 8 })
const trees = fc.memo((depth): fc.Arbitrary<Tree> =>
  fc.record({
    label,
    children: depth <= 1 ? fc.constant([]) : fc.array(trees(), { maxLength: 3 }),
  }),
)
const tree = trees(4)
const blob = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))
const digest = fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => Buffer.from(bytes))
const colour = fc.constantFrom('red', 'green', 'blue')
const everythingValue = fc.record({
  flag: fc.boolean(),
  small: fc.integer(),
  large: fc.integer({ min: -(2 ** 52), max: 2 ** 53 - 2 }),
  single: fc.float(),
  double: fc.double(),
  text: fc.string({ maxLength: 300 }),
  blob,
  digest,
  colour,
  again: fc.oneof(
    fc.constant(null),
    colour.map((name) => ({ 'test.Colour': name })),
    digest.map((bytes) => ({ 'test.Digest': bytes })),
  ),
  numbers: fc.array(
    fc.maxSafeInteger().map((number) => Math.trunc(number / 2)),
    { maxLength: 50 },
  ),
  names: fc.dictionary(
    fc.string({ maxLength: 8 }),
    fc.option(fc.string({ maxLength: 8 }).map((string) => ({ string }))),
  ),
  tree,
  last: fc.option(tree.map((one) => ({ 'test.Tree': one }))),
})

describe('bounded walk against avsc as oracle', () => {
  const walk = createBoundedWalk(everything, ITEMS_MAX)

  test('everything that avsc encodes passes', () => {
    fc.assert(
      fc.property(everythingValue, (value) => {
        assert.equal(walk.check(everythingType.toBuffer(value), 0), null)
      }),
    )
  })

  test('a message cut short at any byte, or with a byte more, fails', () => {
    fc.assert(
      fc.property(everythingValue, fc.nat(), (value, cut) => {
        const bytes = everythingType.toBuffer(value)
        assert.notEqual(walk.check(bytes.subarray(0, cut % bytes.length), 0), null)
        assert.notEqual(walk.check(Buffer.concat([bytes, Buffer.from([0])]), 0), null)
      }),
    )
  })

  test('what passes after a change of bytes is what avsc reads to the last byte', () => {
    let passed = 0
    fc.assert(
      fc.property(everythingValue, fc.nat(), fc.nat(255), (value, at, byte) => {
        const bytes = everythingType.toBuffer(value)
        bytes[at % bytes.length] = byte
        if (walk.check(bytes, 0) !== null) return
        passed += 1
        assert.equal(everythingType.decode(bytes).offset, bytes.length)
      }),
      { numRuns: 1_000 },
    )
    assert.ok(passed > 50, `only ${passed} changed messages passed, too few to say anything`)
  })
})

describe('bounded walk of lengths and counts', () => {
  const strings = { type: 'array', items: 'string' }

  test('a string longer than the rest of the message fails at its field', () => {
    const schema = { type: 'record', name: 'R', fields: [{ name: 'text', type: 'string' }] }
    assert.equal(check(schema, [4, 65, 66]), 'ok')
    assert.equal(check(schema, [6, 65, 66]), '3 text')
    assert.equal(check(schema, [0xfe, 0xff, 0xff, 0xff, 0x0f, 65]), '6 text')
  })

  test('a negative length fails', () => {
    assert.notEqual(check('string', [1]), 'ok')
    assert.notEqual(check('bytes', [3, 0]), 'ok')
  })

  test('a count whose items cannot fit in the rest of the message fails before the items', () => {
    assert.equal(check(strings, [4, 2, 65, 0, 0]), 'ok')
    assert.equal(check(strings, [8, 2, 65, 0]), '1')
    assert.notEqual(
      check({ type: 'array', items: 'double' }, [4, ...Array<number>(9).fill(0), 0]),
      'ok',
    )
  })

  test('items that take no bytes are capped over all blocks together', () => {
    const nulls = { type: 'array', items: 'null' }
    const half = [0xe8, 0x07] // 500, zigzag
    assert.equal(check(nulls, [...half, ...half, 0]), 'ok')
    assert.notEqual(check(nulls, [...half, ...half, 2, 0]), 'ok')
  })

  test('the cap holds over several arrays of one message', () => {
    const schema = {
      type: 'record',
      name: 'R',
      fields: ['a', 'b'].map((name) => ({ name, type: { type: 'array', items: 'null' } })),
    }
    assert.equal(check(schema, [0xd0, 0x0f, 0, 0]), 'ok')
    assert.equal(check(schema, [0xd0, 0x0f, 0, 2, 0]), '4 b')
  })

  test('a block with a size in bytes passes only when the size is true', () => {
    assert.equal(check(strings, [3, 6, 2, 65, 0, 0]), 'ok')
    assert.notEqual(check(strings, [3, 4, 2, 65, 0, 0]), 'ok')
    assert.notEqual(check(strings, [3, 1, 2, 65, 0, 0]), 'ok')
  })

  test('a key of a map longer than the rest of the message fails', () => {
    const map = { type: 'map', values: 'int' }
    assert.equal(check(map, [2, 2, 65, 4, 0]), 'ok')
    assert.notEqual(check(map, [2, 20, 65, 4, 0]), 'ok')
  })

  test('nesting passes up to the limit and fails beyond it', () => {
    const chain = {
      type: 'record',
      name: 'Chain',
      fields: [{ name: 'next', type: ['null', 'Chain'], default: null }],
    }
    const nested = (depth: number): number[] => [...Array<number>(depth).fill(2), 0]
    assert.equal(check(chain, nested(WALK_DEPTH_MAX)), 'ok')
    assert.notEqual(check(chain, nested(WALK_DEPTH_MAX + 1)), 'ok')
    assert.notEqual(check(chain, nested(60_000)), 'ok')
  })
})

describe('bounded walk of numbers', () => {
  test('a varint longer than ten bytes fails', () => {
    assert.equal(check('long', [...Array<number>(9).fill(0x80), 0]), 'ok')
    assert.notEqual(check('long', [...Array<number>(10).fill(0x80), 0]), 'ok')
    assert.notEqual(check('long', Array<number>(40).fill(0xff)), 'ok')
  })

  test('a long passes exactly when avsc reads it right', () => {
    const long = avro.Type.forSchema('long')
    const write = (value: bigint): number[] => {
      const bytes: number[] = []
      let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
      for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128)
      return [...bytes, Number(rest)]
    }
    const edges = [
      0n,
      2n ** 31n,
      2n ** 52n,
      2n ** 53n - 2n,
      2n ** 53n - 1n,
      2n ** 53n,
      2n ** 62n,
      2n ** 63n - 1n,
    ]
    for (const edge of edges.flatMap((value) => [value, -value, -value - 1n])) {
      const bytes = write(edge)
      let isRead = true
      try {
        assert.equal(BigInt(long.fromBuffer(Buffer.from(bytes)) as number), edge)
      } catch {
        isRead = false
      }
      assert.equal(check('long', bytes) === 'ok', isRead, `long ${edge}`)
    }
  })

  test('an int beyond 32 bits fails', () => {
    assert.equal(check('int', [0xfe, 0xff, 0xff, 0xff, 0x0f]), 'ok')
    assert.equal(check('int', [0xff, 0xff, 0xff, 0xff, 0x0f]), 'ok')
    assert.notEqual(check('int', [0x80, 0x80, 0x80, 0x80, 0x10]), 'ok')
  })

  test('a boolean other than 0 and 1, an enum and a union beyond their list fail', () => {
    assert.equal(check('boolean', [1]), 'ok')
    assert.notEqual(check('boolean', [2]), 'ok')
    assert.notEqual(check('boolean', []), 'ok')
    const pair = { type: 'enum', name: 'Pair', symbols: ['a', 'b'] }
    assert.equal(check(pair, [2]), 'ok')
    assert.notEqual(check(pair, [4]), 'ok')
    assert.notEqual(check(pair, [1]), 'ok')
    assert.equal(check(['null', 'int'], [2, 0]), 'ok')
    assert.notEqual(check(['null', 'int'], [4, 0]), 'ok')
    assert.notEqual(check(['null', 'int'], [1, 0]), 'ok')
  })
})

test('a schema that is not Avro is refused with what is wrong in it', () => {
  for (const schema of [
    'Unheard',
    null,
    { type: 'record', name: 'R' },
    { type: 'record', name: 'R', fields: [{ type: 'int' }] },
    { type: 'fixed', name: 'F', size: -1 },
    { type: 'array', items: 'Unheard' },
    { type: 'enum', name: 'E' },
  ]) {
    assert.throws(
      () => createBoundedWalk(schema, ITEMS_MAX),
      (error: unknown) => isSluiceError(error, 'SLUICE_SCHEMA_INCOMPATIBLE'),
    )
  }
})
