// Values of every subject, minimal and full, shared by the wire's tests; the golden bytes were made from them.

import type {
  Alert,
  Control,
  DeadLetter,
  DecisionBatch,
  Disposition,
  Lease,
  Receipt,
} from '../../../../services/core/wire/records.ts'
import type { Label, Transaction, Watermark } from '../../../../services/core/transaction.ts'
import { decisionBatchOf } from './decision-batch-sample.ts'

const TIME_MS = 1_532_476_800_000
const DIGEST = '0123456789abcdef'.repeat(4)

export const minimalTransaction: Transaction = {
  id: 'tx-1',
  card: 'card-00042',
  eventTimeMs: TIME_MS,
  amountMinor: 0,
  currency: 'EUR',
  merchant: null,
  merchantCategory: null,
  terminal: null,
  country: null,
  latitude: null,
  longitude: null,
  utcOffsetMinutes: null,
  device: null,
  ipNetwork: null,
  channel: null,
  entryMode: null,
  authorisation: null,
  intentId: null,
  attributes: null,
}

export const fullTransaction: Transaction = {
  id: 'tx-1-000123',
  card: 'card-00042',
  eventTimeMs: TIME_MS,
  amountMinor: 123_456,
  currency: 'GBP',
  merchant: 'merchant-0012',
  merchantCategory: '5411',
  terminal: 'term-00423',
  country: 'DE',
  latitude: 52.125,
  longitude: -13.25,
  utcOffsetMinutes: -120,
  device: 'device-001',
  ipNetwork: '192.0.2.0/24',
  channel: 'ecommerce',
  entryMode: 'credential',
  authorisation: 'approved',
  intentId: 'intent-000123',
  attributes: {
    account: '계좌-0042',
    threeDSecure: 'frictionless',
    customerAgeDays: 412.5,
    isNewBeneficiary: true,
  },
}

export const minimalLabel: Label = {
  transactionId: 'tx-1',
  card: 'card-00042',
  eventTimeMs: TIME_MS,
  knownAtMs: TIME_MS + 604_800_000,
  verdict: 'fraud',
  source: 'unknown',
  merchant: null,
  terminal: null,
  device: null,
  ipNetwork: null,
}

export const fullLabel: Label = {
  ...minimalLabel,
  verdict: 'genuine',
  source: 'chargeback',
  merchant: 'merchant-0012',
  terminal: 'term-00423',
  device: 'device-001',
  ipNetwork: '192.0.2.0/24',
}

export const minimalWatermark: Watermark = { timeMs: TIME_MS }
export const fullWatermark: Watermark = { timeMs: 4_102_444_800_000 }

export const minimalDecisionBatch: DecisionBatch = {
  ...decisionBatchOf(0, 0),
  watermarks: 0,
  alignment: 'live',
  mode: 'observe',
  controlPosition: null,
  frontier: [],
  previousHash: Buffer.alloc(0),
  featureStates: null,
  deadLetterOffsets: [],
}

export const fullDecisionBatch: DecisionBatch = decisionBatchOf(4, 2)

export const minimalAlert: Alert = {
  alertId: 'a'.repeat(32),
  revision: 0,
  supersedes: null,
  action: 'flag',
  transactionId: 'tx-1',
  card: 'card-00042',
  eventTimeMs: TIME_MS,
  amountMinor: 100,
  currency: 'EUR',
  merchant: null,
  terminal: null,
  country: null,
  score: null,
  threshold: null,
  modelVersion: '2026-01-01.1',
  modelDigest: DIGEST,
  policyDigest: DIGEST,
  mode: 'flag',
  annotations: [],
  reasons: [],
  lease: null,
  source: {
    streamId: 'stream-1',
    topic: 'transactions',
    partition: 0,
    offset: 0,
    timestampMs: TIME_MS,
  },
  decidedAtMs: TIME_MS + 20,
  policyVersion: 0,
  segment: null,
  rules: [],
  counterfactual: null,
  expectedLossMinor: null,
  priority: 0,
  cause: null,
}

export const fullAlert: Alert = {
  ...minimalAlert,
  revision: 2,
  supersedes: 1,
  action: 'block',
  merchant: 'merchant-0012',
  terminal: 'term-00423',
  country: 'DE',
  score: 0.96875,
  threshold: 0.9,
  mode: 'enforce',
  annotations: ['late'],
  reasons: [
    {
      feature: 'card_count_1h',
      value: 9,
      baseline: 1,
      scoreAtBaseline: 0.125,
      text: 'Nine payments in one hour; usually one.',
    },
    {
      feature: 'card_mean_minor_24h',
      value: null,
      baseline: 2_500,
      scoreAtBaseline: 0.5,
      text: 'No amounts in a day — usually some.',
    },
  ],
  lease: { grade: 'confirmed', startMs: TIME_MS, endMs: TIME_MS + 3_600_000 },
  policyVersion: 7,
  segment: 'ecommerce',
  rules: [{ name: 'many-cards', outcome: 'block', text: 'Nine payments in one hour.' }],
  counterfactual: {
    feature: 'card_count_1h',
    value: 9,
    changedTo: 2,
    scoreThen: 0.125,
    outcomeThen: 'approve',
    text: 'With 2 payments in one hour it would have been approved.',
    also: [{ feature: 'amount', value: 900, changedTo: null }],
  },
  expectedLossMinor: 96,
  priority: 2,
  cause: 'extended',
}

export const minimalLease: Lease = {
  card: 'card-00042',
  alertId: 'a'.repeat(32),
  revision: 0,
  grade: 'suspected',
  startMs: TIME_MS,
  endMs: TIME_MS,
  reason: '',
  alert: Buffer.alloc(0),
  releaseAtMs: null,
}

export const fullLease: Lease = {
  ...minimalLease,
  revision: 3,
  grade: 'corroborated',
  endMs: TIME_MS + 86_400_000,
  reason: 'Nine payments in one hour.',
  alert: Buffer.from('000000000a61', 'hex'),
  releaseAtMs: TIME_MS + 3_600_000,
}

export const minimalReceipt: Receipt = {
  alertId: 'a'.repeat(32),
  revision: 0,
  subscriber: 'tail',
  status: 'applied',
  reason: null,
  atMs: TIME_MS,
}

export const fullReceipt: Receipt = {
  ...minimalReceipt,
  revision: 1,
  status: 'too_late',
  reason: 'It was authorised 40 ms before.',
}

export const minimalControl: Control = {
  subject: 'model/cards',
  kind: 'model',
  activeDigest: null,
  shadowDigest: null,
  mode: null,
  card: null,
  alertId: null,
  body: null,
  author: 'operator',
  reason: 'First model.',
  atMs: TIME_MS,
  endMs: null,
}

export const fullControl: Control = {
  ...minimalControl,
  kind: 'override',
  activeDigest: DIGEST,
  shadowDigest: DIGEST,
  mode: 'enforce',
  card: 'card-00042',
  alertId: 'a'.repeat(32),
  body: '{"outcome":"approve"}',
  endMs: TIME_MS + 86_400_000,
}

export const minimalDeadLetter: DeadLetter = {
  topic: 'transactions',
  partition: 0,
  offset: 0,
  timestampMs: TIME_MS,
  reason: 'empty',
  field: null,
  payloadBytes: 0,
  payloadHmac: Buffer.alloc(0),
  sample: '',
  decidedAtMs: TIME_MS,
}

export const fullDeadLetter: DeadLetter = {
  ...minimalDeadLetter,
  partition: 5,
  offset: 9_007_199_254_740_990,
  reason: 'out_of_range',
  field: 'amountMinor',
  payloadBytes: 145,
  payloadHmac: Buffer.alloc(32, 0xa5),
  sample: 'tx-#-######',
}

export const minimalDisposition: Disposition = {
  transactionId: 'tx-1',
  alertId: null,
  card: 'card-00042',
  finding: 'inconclusive',
  source: 'analyst',
  author: 'analyst-7',
  reason: '',
  requestKey: null,
  atMs: TIME_MS,
}

export const fullDisposition: Disposition = {
  ...minimalDisposition,
  alertId: 'a'.repeat(32),
  finding: 'confirmed_fraud',
  reason: 'The holder did not make it.',
  requestKey: DIGEST,
}
