import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { isSluiceError } from '../../../../services/core/errors.ts'
import { frameSchemaId, writeFrameHeader } from '../../../../services/core/wire/codec.ts'
import {
  DECISION_BATCH_BYTES_MAX,
  INPUT_MESSAGE_BYTES_MAX,
  OUTPUT_MESSAGE_BYTES_MAX,
} from '../../../../services/core/wire/codecs.ts'
import {
  AUTHORISATIONS,
  CHANNELS,
  ENTRY_MODES,
  LABEL_SOURCES,
  type Label,
  type Transaction,
} from '../../../../services/core/transaction.ts'
import { decisionBatchOf } from './decision-batch-sample.ts'
import {
  fullAlert,
  fullLabel,
  fullTransaction,
  minimalTransaction,
  minimalWatermark,
} from './samples.ts'
import { codecs, subjectCases } from './wire-fixture.ts'

const FOREIGN_ID = 4_711

function withSchemaId(bytes: Uint8Array, schemaId: number): Buffer {
  const changed = Buffer.from(bytes)
  writeFrameHeader(changed, schemaId)
  return changed
}

describe('a value of any subject', () => {
  for (const { subject, codec, minimal, full } of subjectCases) {
    test(`comes back as it was written: ${subject}`, () => {
      for (const value of [minimal, full]) {
        assert.deepStrictEqual(codec.decode(codec.encode(value)), { ok: true, value })
      }
    })

    test(`is framed with the id of its schema: ${subject}`, () => {
      assert.equal(frameSchemaId(codec.encode(minimal)), codec.schemaId)
    })

    test(`is read from bytes that are no Buffer and lie inside others: ${subject}`, () => {
      const framed = codec.encode(full)
      const surrounded = new Uint8Array(framed.length + 20).fill(0xff)
      surrounded.set(framed, 10)
      const bytes = surrounded.subarray(10, 10 + framed.length)
      assert.deepStrictEqual(codec.decode(bytes), { ok: true, value: full })
    })

    test(`is refused when cut short anywhere or longer by a byte: ${subject}`, () => {
      const framed = codec.encode(full)
      for (let length = 0; length < framed.length; length += 1) {
        assert.equal(codec.decode(framed.subarray(0, length)).ok, false, `${length} bytes`)
      }
      assert.equal(codec.decode(Buffer.concat([framed, Buffer.alloc(1)])).ok, false)
    })

    test(`has memory of its own: ${subject}`, () => {
      const first = codec.encode(full)
      const copy = Buffer.from(first)
      codec.encode(minimal)
      assert.deepEqual(first, copy)
    })
  }
})

const identifier = fc.oneof(
  fc.stringMatching(/^[a-z][!-~ ]{0,63}$/),
  fc.stringMatching(/^[가-힣ก-ฮ][가-힣 !-/:-~]{0,63}$/),
)
const timeMs = fc.integer({ min: 946_684_800_000, max: 4_102_444_800_000 })
const place = fc.record({
  latitude: fc.double({ min: -90, max: 90, noNaN: true }),
  longitude: fc.double({ min: -180, max: 180, noNaN: true }),
})
const attributes = fc.dictionary(
  fc.stringMatching(/^[a-z][A-Za-z0-9_]{0,11}$/),
  fc.oneof(
    fc.stringMatching(/^[a-z가-힣ก-ฮ ]{0,64}$/),
    fc.boolean(),
    fc.double({ noNaN: true, noDefaultInfinity: true, max: 1e12, min: -1e12 }),
  ),
  { maxKeys: 32, noNullPrototype: true },
)
const transactionValue: fc.Arbitrary<Transaction> = fc
  .record({
    place: fc.oneof(place, fc.constant({ latitude: null, longitude: null })),
    rest: fc.record({
      id: identifier,
      card: identifier,
      eventTimeMs: timeMs,
      amountMinor: fc.integer({ min: 0, max: 1_000_000_000_000 }),
      currency: fc.constantFrom('EUR', 'USD', 'JPY', 'KWD', 'CLF'),
      merchant: fc.option(identifier),
      merchantCategory: fc.option(identifier),
      terminal: fc.option(identifier),
      country: fc.option(fc.stringMatching(/^[A-Z]{2}$/)),
      utcOffsetMinutes: fc.option(fc.integer({ min: -840, max: 840 })),
      device: fc.option(identifier),
      ipNetwork: fc.option(identifier),
      channel: fc.option(fc.constantFrom(...CHANNELS)),
      entryMode: fc.option(fc.constantFrom(...ENTRY_MODES)),
      authorisation: fc.option(fc.constantFrom(...AUTHORISATIONS)),
      intentId: fc.option(identifier),
      attributes: fc.option(attributes),
    }),
  })
  .map((parts) => ({ ...parts.rest, ...parts.place }))
const labelValue: fc.Arbitrary<Label> = fc.record(
  {
    transactionId: identifier,
    card: identifier,
    eventTimeMs: timeMs,
    knownAtMs: timeMs,
    verdict: fc.constantFrom('fraud', 'genuine'),
    source: fc.constantFrom(...LABEL_SOURCES),
    merchant: fc.option(identifier),
    terminal: fc.option(identifier),
    device: fc.option(identifier),
    ipNetwork: fc.option(identifier),
  },
  { noNullPrototype: true },
)

describe('the input topics', () => {
  test('any valid transaction comes back as it was written', () => {
    fc.assert(
      fc.property(transactionValue, (value) => {
        assert.deepStrictEqual(codecs.decodeTransactionMessage(codecs.transaction.encode(value)), {
          kind: 'transaction',
          value,
        })
      }),
    )
  })

  test('any valid label comes back as it was written', () => {
    fc.assert(
      fc.property(labelValue, (value) => {
        assert.deepStrictEqual(codecs.decodeLabelMessage(codecs.label.encode(value)), {
          kind: 'label',
          value,
        })
      }),
    )
  })

  test('both give watermarks, told apart by schema id', () => {
    const bytes = codecs.watermark.encode(minimalWatermark)
    const expected = { kind: 'watermark', timeMs: minimalWatermark.timeMs }
    assert.deepStrictEqual(codecs.decodeTransactionMessage(bytes), expected)
    assert.deepStrictEqual(codecs.decodeLabelMessage(bytes), expected)
  })

  test('each rejects the other one and output records as unexpected', () => {
    const reject = { kind: 'reject', reason: 'unexpected_schema', field: null }
    const transaction = codecs.transaction.encode(fullTransaction)
    const label = codecs.label.encode(fullLabel)
    const alert = codecs.alert.encode(fullAlert)
    assert.deepStrictEqual(codecs.decodeLabelMessage(transaction), reject)
    assert.deepStrictEqual(codecs.decodeTransactionMessage(label), reject)
    assert.deepStrictEqual(codecs.decodeTransactionMessage(alert), reject)
  })

  test('what is no message of ours is rejected with the reason', () => {
    const framed = codecs.transaction.encode(fullTransaction)
    const cases: [Uint8Array | null, string][] = [
      [null, 'empty'],
      [new Uint8Array(0), 'empty'],
      [Buffer.from('{"id":"tx-1"}'), 'not_framed'],
      [Buffer.from([0, 0, 0]), 'not_framed'],
      [withSchemaId(framed, FOREIGN_ID), 'unknown_schema'],
      [Buffer.alloc(INPUT_MESSAGE_BYTES_MAX + 1), 'too_large'],
    ]
    for (const [bytes, reason] of cases) {
      const reject = { kind: 'reject', reason, field: null }
      assert.deepStrictEqual(codecs.decodeTransactionMessage(bytes), reject)
      assert.deepStrictEqual(codecs.decodeLabelMessage(bytes), reject)
    }
  })

  test('a malformed message names the field where it broke', () => {
    const framed = codecs.transaction.encode(minimalTransaction)
    const frontier = codecs.decodeTransactionMessage(framed.subarray(0, framed.length - 1))
    assert.deepStrictEqual(frontier, { kind: 'reject', reason: 'malformed', field: 'attributes' })
    const first = codecs.decodeTransactionMessage(framed.subarray(0, 7))
    assert.deepStrictEqual(first, { kind: 'reject', reason: 'malformed', field: 'id' })
  })
})

describe('limits on size', () => {
  test('a message of the largest size is read and one of a byte more is too large', () => {
    const room = OUTPUT_MESSAGE_BYTES_MAX - codecs.lease.encode(leaseOf(0)).length
    // Lengths from 8,192 to 1,048,575 take three bytes, two more than the empty string's.
    const largest = codecs.lease.encode(leaseOf(room - 2))
    assert.equal(largest.length, OUTPUT_MESSAGE_BYTES_MAX)
    assert.equal(codecs.lease.decode(largest).ok, true)
    const larger = codecs.lease.decode(Buffer.concat([largest, Buffer.alloc(1)]))
    assert.deepStrictEqual(larger, { ok: false, reason: 'too_large', field: null })
    assert.throws(
      () => codecs.lease.encode(leaseOf(room - 1)),
      (error: unknown) => isSluiceError(error, 'SLUICE_INPUT_INVALID'),
    )
  })

  test('the limits are 64 KiB for inputs, 16 MiB for decision batches and 1 MiB for others', () => {
    const limits = subjectCases.map(({ subject, codec }) => [subject, codec.messageBytesMax])
    const inputs = ['transaction', 'label', 'watermark']
    for (const [subject, bytes] of limits) {
      if (inputs.includes(String(subject))) assert.equal(bytes, 65_536)
      else if (subject === 'decision-batch') assert.equal(bytes, 16_777_216)
      else assert.equal(bytes, 1_048_576)
    }
    assert.equal(INPUT_MESSAGE_BYTES_MAX, 65_536)
    assert.equal(DECISION_BATCH_BYTES_MAX, 16_777_216)
  })

  test('a decision batch of 4,096 decisions comes back as it was written', () => {
    const block = decisionBatchOf(4_096, 20)
    assert.deepStrictEqual(codecs.decisionBatch.decode(codecs.decisionBatch.encode(block)), {
      ok: true,
      value: block,
    })
  })

  function leaseOf(reasonBytes: number): Parameters<typeof codecs.lease.encode>[0] {
    return {
      card: 'card-1',
      alertId: 'a',
      revision: 0,
      grade: 'suspected',
      startMs: 0,
      endMs: 0,
      reason: 'x'.repeat(reasonBytes),
      alert: Buffer.alloc(0),
      releaseAtMs: null,
    }
  }
})

test('a value that does not fit its schema is refused by name', () => {
  const value = { ...fullTransaction, amountMinor: 1.5 }
  assert.throws(
    () => codecs.transaction.encode(value),
    (error: unknown) => isSluiceError(error, 'SLUICE_INPUT_INVALID') && /1\.5/.test(error.message),
  )
})
