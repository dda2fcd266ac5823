import { match, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import {
  judgeDurability,
  judgeRetention,
  judgeTimes,
} from '../../../../tools/doctor/topic-checks.ts'

const DAY_MS = 86_400_000
const topicWith = (retentionMs: number, retentionBytes = -1) => ({
  topic: 'transactions',
  retentionMs,
  retentionBytes,
  isCompacted: false,
})

test('inputs must be kept for the longest look back and what comes late: 40 days', () => {
  strictEqual(judgeRetention([topicWith(40 * DAY_MS)]).level, 'ok')
  const short = judgeRetention([topicWith(40 * DAY_MS - 1)])
  strictEqual(short.level, 'warn')
  match(short.remedy ?? '', /retention\.ms of transactions/)
  strictEqual(judgeRetention([topicWith(-1)]).level, 'ok')
})

test('a limit in bytes is pointed out, since it may cut the time short', () => {
  match(judgeRetention([topicWith(-1, 1_000_000)]).remedy ?? '', /retention\.bytes/)
})

test('a compacted topic fails: what a later message of a card replaces is gone for a rebuild', () => {
  const compacted = judgeRetention([{ ...topicWith(-1), isCompacted: true }])
  strictEqual(compacted.level, 'fail')
  match(compacted.remedy ?? '', /cleanup\.policy=delete for transactions/)
})

test('a retention that is not told is not taken for a long one', () => {
  strictEqual(judgeRetention([topicWith(NaN)]).level, 'warn')
})

test('a topic that takes messages of the future is pointed out', () => {
  const judge = (aheadMsMax: number) => judgeTimes([{ topic: 'transactions', aheadMsMax }])
  strictEqual(judge(3_600_000).level, 'ok')
  strictEqual(judge(0).level, 'ok')
  // The broker's default before Kafka 4.0.
  const open = judge(Number('9223372036854775807'))
  strictEqual(open.level, 'warn')
  match(open.remedy ?? '', /message\.timestamp\.after\.max\.ms=3600000 for transactions/)
  strictEqual(judge(NaN).level, 'warn')
})

test('topics that may lose committed messages fail, and one broker is no fault', () => {
  const judge = (replicas: number, inSyncMin: number, isUnclean: boolean | null = false) =>
    judgeDurability([{ topic: 'decisions', replicas, inSyncMin, isUnclean }])
  strictEqual(judge(3, 2).level, 'ok')
  strictEqual(judge(1, 1).level, 'ok')
  strictEqual(judge(2, 1).level, 'ok')
  for (const [judged, remedy] of [
    [judge(3, 1), /decisions: .* 1 of 3 replicas; set min\.insync\.replicas=2/],
    [judge(3, 2, true), /unclean\.leader\.election\.enable=false/],
    [judge(1, 1, true), /unclean\.leader\.election\.enable=false/],
    [judge(1, 2), /can never be reached/],
  ] as const) {
    strictEqual(judged.level, 'fail')
    match(judged.remedy ?? '', remedy)
  }
  strictEqual(judge(3, NaN).level, 'warn')
  strictEqual(judge(3, 2, null).level, 'warn')
})
